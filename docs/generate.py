"""Writes the reference pages that are made from the code: `python docs/generate.py`, or `--check` to find stale ones.

What a page says about the code is read from the code (its tables, its click commands, its `conclude`), so that it
cannot disagree with it. `--check` also follows every relative link of every Markdown file of the repository.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
from completion_table import render_completion
from errors_page import render_errors
from key_tables import default_text, value_text
from licences import check_licences, render_licences
from links import broken_links
from manpages import render_man_pages
from project_file import render_project_file
from settings_page import render_settings
from smoke_states import render_smoke_states
from tables import NOTE, code, paragraph, table

from hpcbake import errors
from hpcbake.bakefile import codes, lint, resolution_codes
from hpcbake.catalogue import error_code, failure_class
from hpcbake.catalogue.causes import CAUSES
from hpcbake.catalogue.exits import EXITS
from hpcbake.check import rules as check
from hpcbake.check.policy import POLICY
from hpcbake.check.schema import render_check_schema
from hpcbake.cli.examples import add_examples
from hpcbake.cli.main import VERBS
from hpcbake.doctor import render_doctor_schema
from hpcbake.errors import RETRYABLE_CODES, ExitCode, HpcbakeError
from hpcbake.model.site import Gpu, Injection, Login, Profile, Runtime, Slurm, Store
from hpcbake.report.progress.rawjson import render_progress_schema
from hpcbake.report.schema import KIND_FAMILIES, render_report_schema
from hpcbake.ship.forecast_document import render_plan_schema
from hpcbake.ship.project_keys import render_project_schema
from hpcbake.sites import render_site_schema
from hpcbake.sites.schema import SECTIONS
from hpcbake.validation.schema import render_validation_schema

ROOT = Path(__file__).resolve().parent.parent
_VERBS_FOLDER = "docs/reference/verbs"


# ---- exit codes -----------------------------------------------------------------------------------------------------


@cache
def failure_classes() -> dict[str, type[HpcbakeError]]:
    """Every exception of hpcbake by name."""
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, HpcbakeError) and value is not HpcbakeError
    }


def render_exit_codes() -> str:
    rows = []
    for number in ExitCode:
        meaning, _ = EXITS[number]
        again = "yes" if number in RETRYABLE_CODES else ""
        rows.append((str(int(number)), code(number.name), meaning, again))
    kinds = [
        (
            code(kind),
            f"[{error_code(kind)}](errors.md#{error_code(kind).lower()})" if error_code(kind) else "",
            ", ".join(f"{int(n)} {n.name}" for n in sorted(found)),
        )
        for kind, found in find_kinds()
    ]
    return (
        f"# Exit codes\n\n{NOTE}\n"
        "An exit code says what the operator must do, not which stage failed; the stage is in the\n"
        "[report](report.md). Codes are frozen: new ones may be added, none will change. What each looks like and\n"
        "what to do about it: [when it fails](../how-to/when-it-fails.md).\n\n"
        + table(("code", "name", "means", "worth running again as it is"), rows)
        + "\nSeveral images and sites give one code: 0 if all went well; the common code if every one of them failed\n"
        "with that same code; 3 in all other cases. Standard output that is closed early (`hpcbake ... | head`)\n"
        "ends with 141, as for any program.\n\n"
        "## Kinds\n\n"
        "Every failure also carries a kind: a stable dotted name, in the report's `errors[].kind`. It is finer than\n"
        "the exit code. What each means and what to do: [errors](errors.md).\n\n"
        + table(("kind", "error", "exit code"), kinds)
    )


_KIND = re.compile(rf"(?:{'|'.join(KIND_FAMILIES)})(?:\.[a-z0-9-]+)+")


@cache
def find_kinds() -> list[tuple[str, set[ExitCode]]]:
    """Every kind in hpcbake's code with its exit codes: those of the exceptions named nearest to it."""
    kinds: dict[str, set[ExitCode]] = {cls.kind: {cls.exit_code} for cls in failure_classes().values()}
    for path in sorted((ROOT / "hpcbake").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = [number for number, line in enumerate(text.splitlines(), 1) if _KIND.search(line)]
        for around in ast.walk(ast.parse(text)) if lines else ():
            if isinstance(around, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign) and any(
                around.lineno <= number <= (around.end_lineno or 0) for number in lines
            ):
                _add_kinds(around, kinds)
    for cause in (*CAUSES["pull"], *CAUSES["build"]):
        kinds.setdefault(cause.kind, set()).add(failure_class(cause.kind).exit_code)
    return sorted(kinds.items())


def _add_kinds(around: ast.AST, kinds: dict[str, set[ExitCode]]) -> None:
    """Kinds of `around`, each with the exception named beside it, or else with the only one named around it."""
    classes = failure_classes()
    nodes = list(ast.walk(around))
    named = {node.id for node in nodes if isinstance(node, ast.Name) and node.id in classes}
    for node in nodes:
        parts = list(ast.iter_child_nodes(node)) if isinstance(node, ast.Call | ast.Tuple | ast.Assign) else []
        parts += [part.value for part in parts if isinstance(part, ast.keyword)]
        beside = [part.id for part in parts if isinstance(part, ast.Name) and part.id in classes]
        near = beside[:1] or (list(named) if len(named) == 1 else [])
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and _KIND.fullmatch(part.value) and near:
                kinds.setdefault(part.value, set()).add(classes[near[0]].exit_code)


# ---- files that users write -----------------------------------------------------------------------------------------

_SITE_DEFAULTS: dict[str, object] = {
    "login": Login(host=""),
    "store": Store(root=""),
    "runtime": Runtime(),
    "slurm": Slurm(),
    "profile": Profile(),
    "profile.gpu": Gpu(),
    "profile.inject": Injection(name=""),
}


def render_site_config() -> str:
    parts = [
        f"# The site config\n\n{NOTE}\n"
        "One file per cluster, `site-configs/<name>.yaml`. How to write one:\n"
        "[write a site config](../how-to/write-a-site-config.md). Two that work, for the lab's sites:\n"
        "[alder.yaml](../../site-configs/alder.yaml) and [birch.yaml](../../site-configs/birch.yaml).\n"
        "Editors that know the YAML language server check the file while you type if it begins with\n"
        "`# yaml-language-server: $schema=site.schema.json`\n"
        "([site.schema.json](../../site-configs/site.schema.json)).\n\n"
        "Scalars are kept as they are written: `2.30` stays 2.30, `no` is the text no. YAML aliases are not read.\n"
        "Unknown keys are mistakes, not warnings. All mistakes of all files are shown at once, and nothing starts\n"
        "(with `--keep-going-sites`: the other sites go on, and the run ends with exit code 3).\n"
    ]
    for name, fields in SECTIONS.items():
        defaults = _SITE_DEFAULTS.get(name)
        rows = [
            (code(key), value_text(field.schema), default_text(key, defaults, required=field.required), field.doc)
            for key, field in fields.items()
        ]
        parts.append(f"\n## {f'`{name}`' if name else 'Top level'}\n\n")
        parts.append(table(("key", "value", "default", "what it is"), rows))
    return "".join(parts)


def render_bake_codes() -> str:
    meanings = {**codes.MEANINGS, **resolution_codes.MEANINGS}
    return (
        f"# Codes of bake file diagnostics\n\n{NOTE}\n"
        "What is wrong in a bake file is shown with file, line, column and one of these codes. Codes are stable.\n\n"
        + table(("code", "means"), ((code(name), meaning) for name, meaning in sorted(meanings.items())))
    )


def render_check_rules() -> str:
    parts = [
        f"# What the check looks for\n\n{NOTE}\n"
        "`hpcbake check`, and the check stage of `hpcbake ship`, judge every program and library of an image by these\n"
        "rules. A finding of severity error makes the verdict FAIL, unknown makes it UNKNOWN, warning makes it WARN.\n"
    ]
    for rule in check.RULES:
        parts.append(f"\n## {code(rule.id)}\n\n{paragraph(f'{rule.title[0].upper()}{rule.title[1:]}. {rule.about}')}")
    return "".join(parts)


def render_check_policy() -> str:
    parts = [
        f"# The policy of the check\n\n{NOTE}\n"
        "`hpcbake-check.yaml`, in the folder where hpcbake is run; or any file, by `--policy`. Optional: without it\n"
        "every [rule](check-rules.md) weighs what it weighs by itself. `ship` heeds it as `check` does.\n\n"
        "```yaml\nseverities:\n  - rule: large-image\n    severity: info\n    reason: the model weights are part of "
        "the product\naccept:\n  - rule: missing-library\n    subject: /opt/vendor/bin/*\n    site: alder\n"
        '    until: "2027-01-31"\n    reason: nobody starts the viewer on alder; mended in 4.2\n```\n',
    ]
    for name, field in POLICY.fields.items():
        items: Any = field.schema.get("items", {})
        rows = [
            (code(key), value_text(entry), "yes" if key in items["required"] else "", entry["description"])
            for key, entry in items["properties"].items()
        ]
        parts += [f"\n## Items of `{name}`\n\n", table(("key", "value", "required", "what it is"), rows)]
    parts.append(
        "\nThe first entry that fits a finding counts. An accepted finding is shown as information, with its reason\n"
        "and its last day; on the day after, it counts again and says so. What could not be read (UNKNOWN) cannot\n"
        "be accepted or changed: nobody has seen it.\n"
    )
    return "".join(parts)


def render_lint_rules() -> str:
    parts = [
        f"# What lint looks for\n\n{NOTE}\n"
        "`hpcbake lint` reads bake files and the Dockerfiles that they name. To accept a finding, write a comment on\n"
        "its line or above it: `# hpcbake: ignore=CODE reason`; code and name are both taken.\n"
    ]
    for rule in lint.RULES:
        about = paragraph(f"*{rule.severity.value}*: {rule.title}. {rule.why}")
        parts.append(f"\n## {rule.code} {code(rule.name)}\n\n{about}\n{paragraph('Mend: ' + rule.mend)}")
    return "".join(parts)


# ---- verbs ----------------------------------------------------------------------------------------------------------


def render_verb(verb: str, command: click.Command) -> str:
    parts = [f"# hpcbake {verb}\n\n{NOTE}\n", _command_text(f"hpcbake {verb}", command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in list(command.commands) or command.list_commands(context):
            part = command.get_command(context, name)
            assert part is not None
            parts += [f"\n## hpcbake {verb} {name}\n\n", _command_text(f"hpcbake {verb} {name}", part)]
    parts.append("\nExit codes: [all of them](../exit-codes.md).\n")
    return "".join(parts)


def _command_text(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"```\n{usage}\n```\n", *(f"\n{paragraph}\n" for paragraph in help_paragraphs(command.help or ""))]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        parts += ["\n", table(("option", "default", "what it does"), map(_option_row, options))]
    return "".join(parts)


def help_paragraphs(text: str) -> Iterator[str]:
    """Click's help text as Markdown: paragraphs marked with `\\b` keep their lines, others flow."""
    lines = [line.strip() if not line.startswith(" " * 8) else line[4:] for line in text.splitlines()]
    for part in "\n".join(lines).split("\n\n"):
        if part.startswith("\b"):
            yield "```\n" + part.lstrip("\b\n") + "\n```"
        elif part.strip():
            yield part.strip()


def _option_row(option: click.Option) -> tuple[str, str, str]:
    choices = isinstance(option.type, click.Choice) and "|".join(map(str, option.type.choices))
    metavar = "" if option.is_flag else f" {option.metavar or choices or option.type.name.upper()}"
    setting = getattr(option, "setting", None)
    variables = setting.variables if setting else [option.envvar] if isinstance(option.envvar, str) else option.envvar
    environment = f" Environment variable: {' or '.join(map(code, variables))}." if variables else ""
    environment += f" [Key](../settings.md): `{setting.key}`." if setting else ""
    repeatable = " May be given several times." if option.multiple else ""
    shown = option.show_default and not option.is_flag
    default = code(option.show_default if isinstance(option.show_default, str) else option.default) if shown else ""
    return code(", ".join(option.opts) + metavar), default, f"{option.help or ''}{repeatable}{environment}"


# ---- all pages ------------------------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/exit-codes.md": render_exit_codes,
    "docs/reference/errors.md": render_errors,
    "docs/reference/site-config.md": render_site_config,
    "docs/reference/project-file.md": render_project_file,
    "docs/reference/settings.md": render_settings,
    "docs/reference/bake-codes.md": render_bake_codes,
    "docs/reference/check-rules.md": render_check_rules,
    "docs/reference/check-policy.md": render_check_policy,
    "docs/reference/check.schema.json": render_check_schema,
    "docs/reference/lint-rules.md": render_lint_rules,
    "docs/reference/smoke-states.md": render_smoke_states,
    "docs/reference/licences.md": render_licences,
    "docs/reference/report.schema.json": render_report_schema,
    "docs/reference/plan.schema.json": render_plan_schema,
    "docs/reference/progress.schema.json": render_progress_schema,
    "docs/reference/doctor.schema.json": render_doctor_schema,
    "docs/reference/validation.schema.json": render_validation_schema,
    "site-configs/site.schema.json": render_site_schema,
    "site-configs/project.schema.json": render_project_schema,
}


def render_pages() -> tuple[dict[str, str], list[str]]:
    """Every generated page by its path, and what could not be made."""
    pages, failures = {name: render() for name, render in PAGES.items()}, []
    commands: dict[str, tuple[str, click.Command]] = {}
    for verb, (module, text) in VERBS.items():
        try:
            command = add_examples(verb, importlib.import_module(module).command)
        except ImportError as error:
            failures.append(f"{_VERBS_FOLDER}/{verb}.md: cannot be made: {error}")
            continue
        pages[f"{_VERBS_FOLDER}/{verb}.md"] = render_verb(verb, command)
        commands[verb] = (text, command)
    if len(commands) == len(VERBS):
        pages["hpcbake/cli/completion.json"] = render_completion(commands)
        pages.update(render_man_pages(commands))
    return pages, failures


def stale_files(root: Path, pages: Mapping[str, str]) -> list[str]:
    """Pages that are missing, say something else than the code, or belong to a verb that is gone."""
    stale = []
    for name, text in pages.items():
        path = root / name
        if not path.is_file():
            stale.append(f"{name}: missing")
        elif path.read_text(encoding="utf-8") != text:
            stale.append(f"{name}: stale")
    present = {str(path.relative_to(root)) for path in (root / _VERBS_FOLDER).glob("*.md")}
    known = {f"{_VERBS_FOLDER}/{verb}.md" for verb in VERBS}
    return stale + [f"{name}: no such verb" for name in sorted(present - known)]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` name what is stale or broken; 0 when nothing is."""
    pages, complaints = render_pages()
    if "--check" in arguments:
        complaints += stale_files(ROOT, pages)
    else:
        for name, text in pages.items():
            path = ROOT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
    complaints += [*check_licences(), *broken_links(ROOT)]
    for complaint in complaints:
        click.echo(complaint, err=True)
    if complaints:
        click.echo("help: run `python docs/generate.py`, and mend the links by hand", err=True)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
