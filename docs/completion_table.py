"""The table that completion reads, from the verbs themselves: click is too slow for a Tab key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from hpcbake.cli.complete import FILES, FOLDERS
from hpcbake.cli.explain_topics import all_topics

#: What stands for the value of an option, or for an argument, by its name.
_KINDS = {
    "--site": "site",
    "--target": "target",
    "--pin": "image",
    "--unpin": "image",
    "--file": FILES,
    "--builder": "",
}
#: command → what its argument is.
_ARGUMENTS = {
    "print": "target",
    "lint": "target",
    "check": "target",
    "report": "run",
    "history": "image",
    "rollback": "image",
    "explain": "code",
    "init": FOLDERS,
    "validate": FILES,
    "sites show": "site",
    "sites check": "site",
    "sites trust": "site",
    "sites restrict": "site",
}


def render_completion(verbs: dict[str, tuple[str, click.Command]]) -> str:
    """`hpcbake/cli/completion.json`. `verbs` holds the help line and the command of each."""
    commands: dict[str, Any] = {
        "": {
            "commands": {verb: text for verb, (text, _) in verbs.items()},
            "options": {
                "--help": {"help": "Show this message and exit.", "value": ""},
                "--version": {"help": "Show the version and exit.", "value": ""},
            },
            "argument": "",
        }
    }
    for verb, (_, command) in verbs.items():
        commands.update(_commands(verb, command))
    codes = {topic.name: topic.means.split(". ")[0].rstrip(".") for topic in all_topics()}
    kinds = {topic.names[1]: topic.name for topic in all_topics() if topic.sort == "error"}
    return json.dumps({"commands": commands, "codes": {**codes, **kinds}}, indent=1, ensure_ascii=False) + "\n"


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, dict[str, Any]]]:
    context = click.Context(command)
    parts: dict[str, click.Command] = {}
    if isinstance(command, click.Group):
        parts = {
            part: found for part in command.list_commands(context) if (found := command.get_command(context, part))
        }
    yield (
        name,
        {
            "commands": {part: found.get_short_help_str(80) for part, found in parts.items()},
            "options": dict(_options(name, command)),
            "argument": _ARGUMENTS.get(name, ""),
        },
    )
    for part, found in parts.items():
        yield from _commands(f"{name} {part}", found)


def _options(name: str, command: click.Command) -> Iterator[tuple[str, dict[str, str]]]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            for spelling in option.opts:
                yield spelling, {"help": (option.help or "").rstrip("."), "value": _value(name, option)}
    yield "--help", {"help": "Show this message and exit", "value": ""}


def _value(name: str, option: click.Option) -> str:
    """What the option takes: empty for a flag."""
    if option.is_flag:
        return ""
    long = max(option.opts, key=len)
    if long in _KINDS and not (name == "init" and long == "--site"):
        return _KINDS[long] or "text"
    if isinstance(option.type, click.Choice):
        return f"one of {' '.join(map(str, option.type.choices))}"
    if isinstance(option.type, click.Path):
        return FILES if option.type.file_okay else FOLDERS
    return "text"
