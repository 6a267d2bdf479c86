"""A page says the same with rich and without it."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from hpcbake.cli.console import print_page
from hpcbake.errors import RegistryError
from hpcbake.report.page import Columns, Page, Words, as_rich, plain_text
from hpcbake.report.records import error_record
from hpcbake.report.terminal import render_terminal
from hpcbake.ship.forecast import Action, Forecast, ImageForecast, SiteForecast, TargetForecast
from hpcbake.ship.forecast_table import render_ahead, render_forecast
from tests.reports import full_report


def mixed() -> Page:
    words = Words("\nnote: ", "bold")
    words.append("[not markup] ", "dim")
    words.append("two\nlines")
    rows = [[Words("app", "red"), Words("alder"), Words("because")], [Words("a-longer-name"), Words("b"), Words("-")]]
    return [Columns(("image", "site", "reason"), rows, last_wraps=True), words, Words("end")]


def some_forecast() -> Forecast:
    error = error_record("deliver", RegistryError("no route", remedy="open one", kind="registry.unavailable"))
    new = ImageForecast("app", Action.CREATE, "not there yet", "sha256:" + "a" * 64, way="oras", why="it is near")
    blocked = ImageForecast("tool", Action.BLOCKED, "no route", size_bytes=None, error=error)
    target = TargetForecast("app", "registry.example.org/app:1", needs_build=True)
    return Forecast("1.0", (target,), (SiteForecast("alder", (new, blocked)), SiteForecast("birch", (new,))))


def pages() -> list[Page]:
    forecast = some_forecast()
    return [
        mixed(),
        render_terminal(full_report()),
        render_forecast(forecast),
        render_ahead(forecast, is_later=True),
        [],
    ]


@pytest.mark.parametrize("number", range(5))
def test_the_words_are_the_same(number: int) -> None:
    """Rich, with room enough, only adds blanks at the ends of lines."""
    page = pages()[number]
    stream = io.StringIO()
    Console(file=stream, width=500, highlight=False).print(as_rich(page))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert plain_text(page).splitlines() == (lines if page else [])


def test_colours_are_for_terminals_and_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets words alone, unless FORCE_COLOR says otherwise."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for value, coloured in (("", False), ("1", True)):
        monkeypatch.setenv("FORCE_COLOR", value)
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        print_page(mixed(), stream)
        stream.flush()
        assert ("\x1b[" in stream.buffer.getvalue().decode()) is coloured


def test_signs_that_the_stream_does_not_know_end_nothing() -> None:
    """A log in ASCII shows them as question marks."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_page([Words("run · exit 0")], stream)
    assert stream.buffer.getvalue() == b"run ? exit 0\n"


def test_a_page_without_colours_loads_no_rich() -> None:
    """It takes longer to load than an unchanged run to ask its sites."""
    program = (
        "import sys; from hpcbake.cli.console import print_page; from hpcbake.report.page import Words; "
        "import hpcbake.report.terminal, hpcbake.ship.forecast_table, hpcbake.cli.run; print_page([Words('x')]); "
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False).returncode == 0
