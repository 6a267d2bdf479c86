"""The report for people: every failure with its remedy, once; nothing in it steers the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hpcbake.errors import RegistryError
from hpcbake.report.printable import printable
from hpcbake.report.records import ShipReport, SiteRecord, error_record
from hpcbake.report.terminal import print_report
from tests.reports import RUN, empty_report, failed, full_report, promoted, target


def shown(report: ShipReport, *, width: int = 200, colours: bool = False) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width, force_terminal=colours, highlight=False))
    return stream.getvalue()


def test_a_row_per_image_and_site() -> None:
    """Outcome, digest, verdict, size, job and node."""
    lines = shown(full_report()).splitlines()
    row = next(line for line in lines if "alder" in line)
    assert row.split() == ["app", "alder", "promoted", "111111111111", "PASS", "1.2", "MB", "12", "n1"]


def test_a_run_that_ends_earlier_says_how_far_it_came() -> None:
    """In the words of the web pages."""
    for kept, words in ((1, "checked"), (2, "delivered"), (3, "tested")):
        image = replace(promoted(), stages=promoted().stages[:kept])
        text = shown(ShipReport("0", RUN, (target(),), (SiteRecord("alder", (image,)),)))
        assert f"alder  {words} " in text


def test_a_failure_is_told_with_its_remedy() -> None:
    """Where, what, what was seen, what to do."""
    text = shown(full_report())
    assert "birch · app · smoke\n  smoke test cpu failed [HB-SMOKE-001]\n" in text
    assert "help: mend the image" in text


def test_the_same_failure_at_many_sites_is_told_once() -> None:
    """With all their names."""
    sites = tuple(SiteRecord(name, (failed(),)) for name in ("birch", "cedar"))
    text = shown(ShipReport("0", RUN, (target(),), sites))
    assert text.count("mend the image") == 2  # cedar's message names birch, so it is another one
    alike = tuple(replace(site, name="birch") for site in sites)
    assert shown(ShipReport("0", RUN, (target(),), alike)).count("mend the image") == 1


def test_a_tag_that_did_not_move_is_told() -> None:
    """Although every site is fine."""
    broken = replace(target(), error=error_record("promote", RegistryError("the registry refused", remedy="log in")))
    text = shown(ShipReport("0", RUN, (broken,), (SiteRecord("alder", (promoted(),)),)))
    assert "the registry refused" in text
    assert "exit 3 PARTIAL" in text


def test_a_run_that_came_to_nothing_says_so() -> None:
    """In one line."""
    assert "nothing done" in shown(empty_report())


def test_an_interrupted_run_says_how_to_go_on() -> None:
    """By its signal."""
    text = shown(replace(full_report(), run=replace(RUN, interrupted_by="SIGTERM")))
    assert "interrupted by SIGTERM; what is where:\n  alder  app  promoted: users have 111111111111\n" in text
    assert "birch  app  checked; nothing that users see has moved: they have what they had" in text
    assert "still going on:\n  birch: job 12 of app goes on\n" in text
    assert "next: hpcbake ship --site 'a b'   # resumes" in text
    assert "next: hpcbake smoke --collect --site birch   #" in text


@pytest.mark.parametrize("colours", [False, True])
def test_what_a_site_printed_does_not_steer_the_terminal(colours: bool) -> None:
    """Escape sequences are shown, not sent; brackets are no markup; a bell does not ring."""
    text = shown(full_report(), colours=colours)
    assert "\\x1b[31mred\\x07 [bold]markup[/bold] \\ud800 é" in text
    assert "\x07" not in text
    assert "\x1b[31mred" not in text
    text.encode()


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_is_made_printable(text: str) -> None:
    """What comes out can be encoded, and holds no control character but tab and newline."""
    made = printable(text)
    made.encode()
    assert not [char for char in made if (ord(char) < 32 and char not in "\t\n") or 127 <= ord(char) < 160]
    if text.isprintable():
        assert made == text
