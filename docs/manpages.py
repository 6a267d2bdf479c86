"""Manual pages from the click commands: `hpcbake(1)`, and `hpcbake-VERB(1)` for each verb. Wheels carry them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from hpcbake.catalogue.exits import EXITS
from hpcbake.cli.group import TASKS, hpcbake

FOLDER = "docs/man"


def render_man_pages(verbs: dict[str, tuple[str, click.Command]]) -> dict[str, str]:
    """Every page by its path. `verbs` holds the help line and the command of each."""
    pages = {f"{FOLDER}/hpcbake.1": _main_page(verbs)}
    for verb, (text, command) in verbs.items():
        pages[f"{FOLDER}/hpcbake-{verb}.1"] = "\n".join([*_verb_page(verb, text, command), ""])
    return pages


def _main_page(verbs: dict[str, tuple[str, click.Command]]) -> str:
    lines = [
        *_head("hpcbake", hpcbake.help or ""),
        *(".SH SYNOPSIS", r".B hpcbake", r".I VERB", "[options]"),
        *(".SH DESCRIPTION", *_paragraphs(hpcbake.help or "")),
    ]
    for title, names in TASKS:
        lines += [f".SS {_text(title)}"]
        for name in names:
            lines += [".TP", rf".BR hpcbake\-{_text(name)} (1)", _text(verbs[name][0])]
    lines += [".SH OPTIONS", *_options(hpcbake)]
    lines += [".SH EXAMPLES", *_paragraphs((hpcbake.epilog or "").partition("Exit codes:")[0])]
    lines += _exit_status()
    lines += [".SH SEE ALSO", *(rf".BR hpcbake\-{_text(name)} (1)," for name in list(verbs)[:-1])]
    lines += [rf".BR hpcbake\-{_text(list(verbs)[-1])} (1)", ""]
    return "\n".join(lines)


def _verb_page(verb: str, text: str, command: click.Command) -> Iterator[str]:
    yield from _head(f"hpcbake-{verb}", text)
    yield ".SH SYNOPSIS"
    yield from _synopsis(f"hpcbake {verb}", command)
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command.help or "")
    options = list(_options(command))
    if options:
        yield ".SH OPTIONS"
        yield from options
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            part = command.get_command(context, name)
            assert part is not None
            yield f".SH HPCBAKE {_text(verb).upper()} {_text(name).upper()}"
            yield from _synopsis(f"hpcbake {verb} {name}", part)
            yield ".PP"
            yield from _paragraphs(part.help or "")
            yield from _options(part)
    yield from _exit_status()
    yield from (".SH SEE ALSO", ".BR hpcbake (1)")


def _head(name: str, text: str) -> Iterator[str]:
    yield '.\\" Written by docs/generate.py from the code. Do not edit: run `python docs/generate.py`.'
    yield f'.TH {_text(name).upper()} 1 "" hpcbake "hpcbake manual"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(text.split('. ')[0].strip().rstrip('.').replace(chr(10), ' '))}"


def _synopsis(name: str, command: click.Command) -> Iterator[str]:
    yield f".B {_text(name)}"
    pieces = command.collect_usage_pieces(click.Context(command))
    if pieces:
        yield _text(" ".join(pieces))


def _options(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for option in command.params:
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None:
            yield ".TP"
            yield rf"\fB{_text(record[0])}\fR"
            yield _text(" ".join(record[1].split()))


def _exit_status() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, (means, _) in EXITS.items():
        yield ".TP"
        yield rf"\fB{int(code)}\fR"
        yield _text(means.replace("`", ""))


def _paragraphs(text: str) -> Iterator[str]:
    """Click's help text: paragraphs flow, those marked with `\\b` and those that are indented keep their lines."""
    first = True
    for part in re.split(r"\n[ \t]*\n", text.strip("\n")):
        lines = part.strip("\n").splitlines()
        if not lines:
            continue
        if not first:
            yield ".PP"
        first = False
        if lines[0].strip() == "\b" or part.startswith("\b"):
            yield from (".nf", *(_text(line.replace("\b", "").rstrip()) for line in lines if line.strip("\b ")), ".fi")
        else:
            yield from (_text(line.strip()) for line in lines)


def _text(text: str) -> str:
    """Text that roff prints as it stands."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    for sign, name in (("…", "..."), ("×", r"\(mu"), ("→", r"\(->"), ("“", '"'), ("”", '"'), ("’", r"\(cq")):
        text = text.replace(sign, name)
    return rf"\&{text}" if text.startswith(".") else text
