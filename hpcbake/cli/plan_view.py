"""The plan that a run shows before it acts: on the terminal that shows the progress, in a log, or as an event."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from hpcbake import __version__
from hpcbake.cli.console import prepared
from hpcbake.report.progress import Progress
from hpcbake.ship.forecast import Forecast, SiteForecast
from hpcbake.ship.forecast_document import plan_document
from hpcbake.ship.plan_board import ShowPlan

if TYPE_CHECKING:
    from rich.console import RenderableType


def plan_shower(progress: Progress, *, to_stderr: bool) -> ShowPlan:
    """Shows plans beside this progress; on standard output, unless that is for a document alone."""
    shown: list[Sequence[SiteForecast]] = []

    def show(sites: Sequence[SiteForecast], late: Sequence[str]) -> None:
        forecast = Forecast(__version__, (), tuple(sites))
        progress.planned(plan_document(forecast))
        if sites:
            from hpcbake.ship.forecast_table import render_ahead

            stream = sys.stderr if to_stderr else sys.stdout
            is_here = sys.stderr.isatty() and (to_stderr or sys.stdout.isatty())
            what, print_out = prepared(render_ahead(forecast, is_later=bool(shown)), stream)
            progress.show(what, _quietly(print_out), is_here=is_here)
            shown.append(sites)
        if late:
            progress.step("survey", f"no answer yet from {', '.join(late)}: their plan follows when they give one")

    return show


def _quietly(act: Callable[[RenderableType], None]) -> Callable[[RenderableType], None]:
    """A reader who went away ends no run."""

    def print_out(what: RenderableType) -> None:
        with suppress(OSError):
            act(what)

    return print_out
