"""Progress: the right kind for the place, whole lines, valid JSON, a table that fits any terminal; never a failure."""

from __future__ import annotations

import io
import json
import re
import threading
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from hpcbake.report.page import size_words
from hpcbake.report.progress import MODES, choose_mode, make_progress
from hpcbake.report.progress.event import Event
from hpcbake.report.progress.lines import PlainProgress, QuietProgress
from hpcbake.report.progress.live import LiveProgress, clock_words, render_rows
from hpcbake.report.progress.rawjson import RawJsonProgress, progress_schema
from hpcbake.report.progress.rows import DONE, FAILED, WORKING, Rows
from tests.clocks import FastClock

_VALIDATOR = jsonschema.Draft202012Validator(progress_schema())
HOSTILE = "\x1b[31mred\x07 [bold]x[/bold] \ud800\nsecond"


class Terminal(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, is_terminal: bool = True) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Gone(io.StringIO):
    """A terminal that somebody closed."""

    def write(self, _text: str, /) -> int:
        raise OSError(5, "Input/output error")


# ---- which kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "is_terminal", "term", "mode"),
    [
        ("auto", True, "xterm-256color", "tty"),
        ("auto", True, "dumb", "plain"),
        ("auto", True, None, "plain"),
        ("auto", False, "xterm", "plain"),
        ("tty", False, "dumb", "tty"),
        ("plain", True, "xterm", "plain"),
        ("quiet", True, "xterm", "quiet"),
        ("rawjson", True, "xterm", "rawjson"),
    ],
)
def test_a_terminal_gets_a_table_and_a_log_gets_lines(
    wanted: str, is_terminal: bool, term: str | None, mode: str
) -> None:
    """Unless somebody says otherwise."""
    environment = {} if term is None else {"TERM": term}
    assert choose_mode(wanted, Terminal(is_terminal), environment) == mode


def test_every_mode_can_be_made() -> None:
    """And is what it says."""
    made = {mode: type(make_progress(mode, io.StringIO(), FastClock())) for mode in MODES if mode != "auto"}
    assert made == {"tty": LiveProgress, "plain": PlainProgress, "rawjson": RawJsonProgress, "quiet": QuietProgress}


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_has_time_stage_place_and_words() -> None:
    """Nothing in it steers a terminal, and it is one line."""
    stream, clock = io.StringIO(), FastClock()
    progress = PlainProgress(stream, clock)
    clock.sleep(12.34)
    progress.step("deliver", HOSTILE, site="alder", image="app")
    assert (
        stream.getvalue()
        == "  12.3s  deliver  alder app                    \\x1b[31mred\\x07 [bold]x[/bold] \\ud800 second\n"
    )


def test_quiet_says_what_failed_only() -> None:
    """Not a word of what goes well."""
    stream = io.StringIO()
    progress = QuietProgress(stream, FastClock())
    progress.show("a plan", lambda _: pytest.fail("shown"), is_here=True)
    for status in ("begin", "note", "done", "failed"):
        progress.step("smoke", f"it is {status}", site="alder", status=status)
    assert re.findall(r"it is (\w+)", stream.getvalue()) == ["failed"]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "auto"])
def test_a_terminal_that_goes_away_ends_no_run(mode: str) -> None:
    """What cannot be shown is not shown."""
    with make_progress(mode, Gone(), FastClock()) as progress:
        progress.begun("01RUN", None)
        progress.step("check", "…", site="alder", image="app", status="begin")
        progress.step("check", "no", site="alder", image="app", status="failed")
        progress.ended(3)


# ---- JSON ------------------------------------------------------------------------------------------------------------


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in found:
        _VALIDATOR.validate(line)
    return found


def test_every_event_is_a_valid_line() -> None:
    """In order, numbered, with the time of day in UTC; hostile text is text."""
    stream = io.StringIO()
    progress = RawJsonProgress(stream, FastClock())
    progress.begun("01RUN", None)
    progress.planned({"kind": "hpcbake.plan"})
    progress.step("build", HOSTILE)
    progress.step("deliver", "ok (1.0 s)", site="alder", image="app", status="done", facts={"bytes": 5, "seconds": 1.0})
    progress.ended(0)
    found = lines_of(stream)
    assert [line["event"] for line in found] == ["begin", "plan", "step", "step", "end"]
    assert [line["seq"] for line in found] == [1, 2, 3, 4, 5]
    assert found[0]["time"] == "2026-01-31T12:00:00.000Z"
    assert found[3]["facts"] == {"bytes": 5, "seconds": 1.0}


@pytest.mark.parametrize(
    "broken", [{"seq": 0}, {"time": "noon"}, {"event": "other"}, {"schema": "hpcbake.progress/2"}, {"status": "odd"}]
)
def test_the_schema_refuses_what_is_none(broken: dict[str, object]) -> None:
    """A schema that takes everything says nothing."""
    stream = io.StringIO()
    RawJsonProgress(stream, FastClock()).step("build", "x")
    (line,) = lines_of(stream)
    with pytest.raises(jsonschema.ValidationError):
        _VALIDATOR.validate({**line, **broken})


def test_lines_of_many_threads_are_whole() -> None:
    """And their numbers have no gap."""
    stream = io.StringIO()
    progress = RawJsonProgress(stream, FastClock())

    def talk(site: str) -> None:
        for _ in range(50):
            progress.step("smoke", "x" * 200, site=site)

    threads = [threading.Thread(target=talk, args=(f"s{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["seq"] for line in lines_of(stream)] == list(range(1, 201))


# ---- the table -------------------------------------------------------------------------------------------------------


def event(stage: str, text: str = "", *, site: str = "alder", image: str = "app", **more: Any) -> Event:
    return Event(stage, text, site, image, **more)


def shown(rows: Rows, *, width: int = 120, height: int = 30, now_s: float = 10.0) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, height=height, force_terminal=False, highlight=False)
    console.print(render_rows(rows, now_s, width=width, height=height))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_row_tells_stage_bytes_rate_job_and_time() -> None:
    """One per image and site, from the check to the end."""
    rows = Rows()
    rows.hear(event("check", "…", status="begin"))
    rows.hear(event("deliver", "…", status="begin", facts={"bytes_to_move": 25_700_000}, elapsed_s=1.0))
    assert "of 25.7 MB" in shown(rows)[1]
    rows.hear(event("deliver", "sending", status="moved", facts={"bytes_moved": 0}, elapsed_s=3.0))
    assert "of 25.7 MB" in shown(rows)[1]
    rows.hear(event("deliver", "sending", status="moved", facts={"bytes_moved": 5_000_000}, elapsed_s=5.0))
    assert "5.0 MB/25.7 MB 2.5 MB/s" in shown(rows)[1], "the rate of sending, not of what came before it"
    rows.hear(event("deliver", "sending", status="moved", facts={"bytes_moved": 20_000_000}, elapsed_s=7.0))
    rows.hear(event("deliver", "ok", status="done", facts={"bytes": 20_000_000, "seconds": 4.0, "outcome": "ok"}))
    rows.hear(event("smoke", "cpu running", facts={"job": "123", "state": "RUNNING"}, elapsed_s=6.0))
    assert re.match(r"alder +app +smoke +10s +20\.0 MB 5\.0 MB/s +123 RUNNING +cpu running", shown(rows)[1])
    rows.hear(event("promote", "ok (0.1 s)", status="done", facts={"outcome": "ok"}, elapsed_s=8.0))
    assert rows.counts() == {DONE: 1}
    assert re.match(r"alder +app +promote +8s", shown(rows, now_s=99.0)[1])


def test_what_befalls_a_site_befalls_its_images() -> None:
    """A site that cannot be reached."""
    rows = Rows()
    for name in ("app", "tool"):
        rows.hear(event("check", "…", image=name, status="begin"))
    rows.hear(event("connect", "no route", image="", status="failed"))
    assert rows.counts() == {FAILED: 2}


def test_a_small_terminal_shows_what_matters() -> None:
    """Failures and work before what is done, and how many more there are."""
    rows = Rows()
    for number in range(40):
        rows.hear(event("promote", "ok", site=f"site-{number}", status="done", facts={"outcome": "ok"}))
    rows.hear(event("smoke", "it broke", site="broken", status="failed"))
    rows.hear(event("deliver", "pulls", site="busy"))
    lines = shown(rows, height=7)
    assert any("broken" in line for line in lines)
    assert any("busy" in line for line in lines)
    assert "and 39 more; 1 working, 1 failed, 40 done; 10s" in lines[-1]
    assert rows.counts() == {WORKING: 1, FAILED: 1, DONE: 40}


@settings(max_examples=40, deadline=None)
@given(width=st.integers(10, 300), height=st.integers(1, 60), count=st.integers(0, 40))
def test_the_table_never_leaves_the_terminal(width: int, height: int, count: int) -> None:
    """No line is wider, and it is never higher: a table that scrolls cannot be drawn over."""
    rows = Rows()
    for number in range(count):
        rows.hear(event("deliver", HOSTILE * 5, site=f"a-site-with-a-long-name-{number}"))
    lines = shown(rows, width=width, height=height)
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= max(height, 5)


def test_the_table_is_gone_at_the_end() -> None:
    """The cursor is back, and what was printed above it stays; failures are told when they happen."""
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24, force_terminal=True, highlight=False, color_system=None)
    with LiveProgress(stream, FastClock(), console=console) as progress:
        progress.step("check", "…", site="alder", image="app", status="begin")
        progress.show("the plan", lambda _: pytest.fail("elsewhere"), is_here=True)
        progress.step("check", HOSTILE, site="alder", image="app", status="failed")
    text = stream.getvalue()
    assert "the plan" in text
    assert "\\x1b[31mred" in text
    assert "\x1b[31mred" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (59.9, "59s"), (125, "2:05"), (3723, "1:02:03"), (-1, "0s")])
def test_times_are_short(seconds: float, words: str) -> None:
    """As a clock has them."""
    assert clock_words(seconds) == words


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (999, "999 B"), (25_700_000, "25.7 MB"), (10**13, "10000 GB")])
def test_sizes_are_short(size: int, words: str) -> None:
    """In the units that people use."""
    assert size_words(size) == words
