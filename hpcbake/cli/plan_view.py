"""The plan that a run shows before it acts: on the terminal that shows the progress, in a log, or as an event."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from hpcbake import __version__
from hpcbake.cli.console import make_console, print_words, takes_words_alone
from hpcbake.report.page import Page, as_rich, plain_text
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
            _show_page(render_ahead(forecast, is_later=bool(shown)), progress, stream, is_here=is_here)
            shown.append(sites)
        if late:
            progress.step("survey", f"no answer yet from {', '.join(late)}: their plan follows when they give one")

    return show


def _show_page(page: Page, progress: Progress, stream: TextIO, *, is_here: bool) -> None:
    """Print beside the progress; a reader who went away ends no run."""
    what: RenderableType
    if takes_words_alone(stream):
        what, print_out = plain_text(page), _quietly(lambda text: print_words(str(text), stream))
    else:
        what, print_out = as_rich(page), _quietly(make_console(stream).print)
    progress.show(what, print_out, is_here=is_here)


def _quietly(act: Callable[[RenderableType], object]) -> Callable[[RenderableType], None]:
    def print_out(what: RenderableType) -> None:
        with suppress(OSError):
            act(what)

    return print_out
