"""One or two real command lines for every command: shown by --help, on the reference pages and in the man pages.

A test reads each of them with the command's own parser.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

import click

#: command → (command line behind `hpcbake`, what it is for). A command whose help has examples of its own is not here.
EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "status": (
        ("status", "what is on every site"),
        ("status --site alder --verify", "and read every byte of it"),
    ),
    "print": (
        ("print", "the plan as JSON"),
        ("print --list targets", "the targets that there are"),
    ),
    "lint": (
        ("lint", "the bake files here"),
        ("lint --strict --sarif", "for a pipeline"),
    ),
    "build": (
        ("build", "build and push the group `default`"),
        ("build --target app --set app.tags=registry.example.org/team/app:test", "one target under another tag"),
    ),
    "builder add": (("builder add ssh://me@amd64.example.org", "a native amd64 machine"),),
    "builder check": (("builder check native", "does every node answer"),),
    "builder list": (("builder list", "builders and their nodes"),),
    "builder remove": (("builder remove native", "forget it"),),
    "check": (
        ("check app --site alder", "a target against one site"),
        ("check rockylinux/rockylinux:9 --profile rocky-8.10", "any image against a shipped profile"),
        ("check app --explain /usr/local/bin/app", "how one file finds its libraries"),
    ),
    "diff": (("diff registry.example.org/app:1.0 registry.example.org/app:1.1", "what changed for a site"),),
    "deliver": (
        ("deliver registry.example.org/team/app:1.0", "to every site"),
        ("deliver app=registry.example.org/team/app:1.0 --site alder --way stream", "over SSH, under a name"),
    ),
    "smoke": (
        ("smoke registry.example.org/team/app:1.0 --site alder", "test what was delivered"),
        ("smoke registry.example.org/team/app:1.0 --detach", "submit and leave"),
    ),
    "promote": (("promote registry.example.org/team/app:1.0 --site alder", "make it current"),),
    "sites": (
        ("sites check alder", "does the config hold"),
        ("sites probe me@login.example.org", "write a config for a new cluster"),
    ),
    "sites list": (("sites list", "the clusters that are declared"),),
    "sites show": (("sites show alder", "one config, with defaults"),),
    "sites check": (("sites check alder", "log in and compare"),),
    "sites probe": (("sites probe me@login.example.org -o site-configs/cluster.yaml", "draft a config"),),
    "sites trust": (("sites trust alder", "accept a host key that you have compared"),),
    "config": (("config show --origin", "every setting, and who said so"),),
    "lab": (("lab up", "a small cluster on this machine"), ("lab shell alder sinfo", "a command on it")),
    "lab up": (("lab up", "bring it up, or mend it"),),
    "lab down": (("lab down", "take it down"),),
    "lab reset": (("lab reset", "empty stores and registries"),),
    "lab status": (("lab status", "is it up"),),
    "lab shell": (("lab shell alder", "a shell on the login node"), ("lab shell birch sinfo", "one command")),
}


#: A line of a help text that is an example.
_OWN = re.compile(r"^ *hpcbake [a-z]", re.MULTILINE)


def add_examples(name: str, command: click.Command) -> click.Command:
    """The command, with its examples behind the words of its help; for a group those of its parts, too."""
    if not _OWN.search(command.help or ""):
        command.help = "\n\n".join(filter(None, [inspect.cleandoc(command.help or ""), render_examples(name)]))
    if isinstance(command, click.Group):
        for part, found in command.commands.items():
            add_examples(f"{name} {part}", found)
    return command


def render_examples(name: str) -> str:
    """The examples of a command as a block of help text; empty where there are none."""
    rows = EXAMPLES.get(name, ())
    width = max((len(line) for line, _ in rows), default=0)
    if width > 60:  # a comment behind that would stand far to the right
        lines = [text for line, why in rows for text in (f"  # {why}", f"  hpcbake {line}")]
    else:
        lines = [f"  hpcbake {line:{width}}   {why}" for line, why in rows]
    return "\n".join(["\b", "Examples:", *lines]) if rows else ""
