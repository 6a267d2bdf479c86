"""The plan that a run shows before it acts: on the terminal that shows the progress, in a log, or as an event."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from hpcbake import __version__
from hpcbake.report.progress import Progress
from hpcbake.ship.forecast import Forecast, SiteForecast
from hpcbake.ship.forecast_document import plan_document
from hpcbake.ship.plan_board import ShowPlan

if TYPE_CHECKING:  # rich takes long to load: while sites answer, not before they are asked
    from rich.console import Console, RenderableType


def plan_shower(progress: Progress, *, to_stderr: bool) -> ShowPlan:
    """Shows plans beside this progress; on standard output, unless that is for a document alone."""
    shown: list[Sequence[SiteForecast]] = []

    def show(sites: Sequence[SiteForecast], late: Sequence[str]) -> None:
        forecast = Forecast(__version__, (), tuple(sites))
        progress.planned(plan_document(forecast))
        if sites:
            from rich.console import Console

            from hpcbake.cli.console import make_console
            from hpcbake.ship.forecast_table import render_ahead

            console = Console(file=sys.stderr, width=200, highlight=False) if to_stderr else make_console()
            is_here = sys.stderr.isatty() and (to_stderr or sys.stdout.isatty())
            progress.show(render_ahead(forecast, is_later=bool(shown)), _printer(console), is_here=is_here)
            shown.append(sites)
        if late:
            progress.step("survey", f"no answer yet from {', '.join(late)}: their plan follows when they give one")

    return show


def _printer(console: Console) -> Callable[[RenderableType], None]:
    """Prints on a console; a reader who went away ends no run."""

    def print_out(what: RenderableType) -> None:
        with suppress(OSError):
            console.print(what)

    return print_out
