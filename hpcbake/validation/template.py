"""The project's own smoke templates: is it Jinja, and does it ask only for what a job is rendered with."""

from __future__ import annotations

from pathlib import Path

import jinja2
from jinja2 import meta, nodes

from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.datafiles import data_folder
from hpcbake.smoke.job import VALUES, template_environment
from hpcbake.validation.problem import Problem, problem_at


def look_at_template(source: SourceFile) -> list[Problem]:
    """Everything that keeps a template from rendering, as far as its text alone tells."""
    folder = Path(source.name).parent
    environment = template_environment((str(folder),))
    try:
        tree = environment.parse(source.text)
    except jinja2.TemplateSyntaxError as error:
        return [problem_at(source, error.lineno, _first_column(source, error.lineno), error.message or "is not Jinja")]
    except RecursionError:
        return [problem_at(source, 1, 1, "is nested too deeply to be a template")]
    try:
        unknown = meta.find_undeclared_variables(tree) - set(VALUES) - set(environment.globals)
    except jinja2.TemplateAssertionError as error:  # a filter or test that does not exist
        names = {*environment.filters, *environment.tests}
        word = (error.message or "").split("'")[1:2]
        advice = did_you_mean(word[0], names, what="filter") if word else ""
        return [problem_at(source, error.lineno, _first_column(source, error.lineno), error.message or "", advice)]
    except RecursionError:
        return [problem_at(source, 1, 1, "is nested too deeply to be a template")]
    return [*_unknown_values(source, tree, unknown), *_missing_templates(source, tree, folder)]


def _first_column(source: SourceFile, line: int) -> int:
    text = source.line_text(line)
    return len(text) - len(text.lstrip()) + 1


def _unknown_values(source: SourceFile, tree: nodes.Template, unknown: set[str]) -> list[Problem]:
    first: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            first.setdefault(name.name, name.lineno)
    return [
        problem_at(
            source,
            line,
            source.line_text(line).find(name) + 1 or 1,
            f"no job is rendered with a value `{name}`",
            did_you_mean(name, VALUES, what="value"),
        )
        for name, line in first.items()
    ]


def _missing_templates(source: SourceFile, tree: nodes.Template, folder: Path) -> list[Problem]:
    wanted = [name for name in meta.find_referenced_templates(tree) if name]
    return [
        problem_at(
            source,
            *_where(source, name),
            f"there is no template {name!r}",
            f"put it into {folder}, or use one that travels with hpcbake, such as _head.j2",
        )
        for name in wanted
        if not (folder / name).is_file() and not (data_folder("slurm") / name).is_file()
    ]


def _where(source: SourceFile, word: str) -> tuple[int, int]:
    at = max(source.text.find(word), 0)
    line = source.line_number(at)
    return line, at - source.line_start(line) + 1
