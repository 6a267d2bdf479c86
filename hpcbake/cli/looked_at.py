"""What was looked at on one machine, line by line: how `doctor` and `sites check` show it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from hpcbake.report.printable import printable
from hpcbake.sites.examine import Level, Line

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def print_looked_at(place: str, lines: Sequence[Line]) -> None:
    """The place, then level, topic and finding of each line, and below it what mends it."""
    click.echo(click.style(place, bold=True))
    for line in lines:
        head, *rest = printable(line.text).split("\n")
        level = click.style(f"{line.level.value:<4}", fg=_COLOURS[line.level])
        click.echo(f"  {level} {line.topic:<11} {head}")
        for more in rest:
            click.echo(f"{'':<19}| {more}")
        if line.fix:
            click.echo(f"{'':<19}fix: {printable(line.fix)}")
