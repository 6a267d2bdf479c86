"""What other programs print is explained by one table, held by captures of the real programs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.catalogue import failure_class, find_entry
from hpcbake.catalogue.causes import CAUSES, Cause, find_cause, find_causes, find_line_cause
from hpcbake.catalogue.causes.log import read_log
from hpcbake.errors import BuildError, RegistryError, SiteTrustError

GOLDEN = Path(__file__).resolve().parents[2] / "golden/stderr"
CAPTURES = sorted(GOLDEN.glob("*/*.txt"))
ALL = [cause for causes in CAUSES.values() for cause in causes]


@cache
def read_capture(path: Path) -> tuple[dict[str, str], str]:
    """The header of a golden file by name, and what the program printed."""
    head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    return dict(line.removeprefix("# ").split(": ", 1) for line in head.splitlines()), text


def capture_id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", CAPTURES, ids=capture_id)
def test_what_a_real_program_printed_is_explained(path: Path) -> None:
    """By the cause that its header names, and some line of it alone tells of a cause, too."""
    header, text = read_capture(path)
    found = find_cause(text, path.parent.name)
    assert found is not None
    assert found.name == header["cause"]
    assert any(find_line_cause(line) for line in text.splitlines())


def test_every_capture_says_where_it_is_from() -> None:
    """Captured from a program of a version, or written after documentation: never left open."""
    origins = [read_capture(path)[0]["origin"] for path in CAPTURES]
    captured = [origin for origin in origins if origin.startswith("captured in the lab: ")]
    assert len(captured) >= 60
    assert all(origin.startswith(("captured in the lab: ", "format from the program's doc")) for origin in origins)
    assert all(("not captured" in origin) == (origin not in captured) for origin in origins)


@pytest.mark.parametrize("cause", ALL, ids=lambda cause: cause.name)
def test_every_cause_is_held_by_a_capture(cause: Cause) -> None:
    """A row that no real text reaches may be a dead one."""
    assert any(read_capture(path)[0]["cause"] == cause.name for path in CAPTURES)


@pytest.mark.parametrize("cause", ALL, ids=lambda cause: cause.name)
def test_a_cause_is_of_a_known_kind(cause: Cause) -> None:
    """So it has a code and an exception; its name is its own, and its words fit into a sentence."""
    assert find_entry(cause.kind) is not None
    assert failure_class(cause.kind)
    assert [other.name for other in ALL].count(cause.name) == 1
    assert cause.meaning
    assert not cause.meaning.endswith(".")
    assert cause.remedy
    assert not cause.remedy.endswith(".")


@pytest.mark.parametrize("line", (GOLDEN / "harmless.txt").read_text(encoding="utf-8").splitlines())
def test_a_harmless_line_tells_of_nothing(line: str) -> None:
    """Numbers in digests, progress, banners, results that speak of errors."""
    assert find_line_cause(line) is None


@given(st.text(max_size=300))
def test_no_text_stops_the_matcher(text: str) -> None:
    """Whatever a site prints."""
    found = find_line_cause(text)
    assert found is None or found in ALL
    for speaker in CAUSES:
        assert find_cause(text, speaker) in (None, *find_causes(text, speaker)[:1])


@pytest.mark.parametrize("piece", ["x509: ", "failed to push ", "error ", "MPI_Init", 'process "', "squashfs "])
def test_a_long_line_is_read_in_no_time(piece: str) -> None:
    """No pattern tries all ways to match a megabyte: this would not end."""
    line = piece * (200_000 // len(piece))
    reading = read_log([line])
    assert reading.lines == 1


def test_a_log_is_read_line_by_line() -> None:
    """Each cause once with all its lines, hpcbake's own codes, and honestly what is not known."""
    reading = read_log(
        [
            "INFO:    Starting build...\n",
            "FATAL:   x: no space left on device\n",
            "  | FATAL:   y: no space left on device\r\n",
            "error: no site 'adler' in site-configs [HB-CONF-002]\n",
            "frobnicate: error 42\n",
            "0 errors\n",
        ]
    )
    assert [(known.cause.kind, known.numbers) for known in reading.known] == [("site.space", (2, 3))]
    assert [(coded.code, coded.numbers) for coded in reading.coded] == [("HB-CONF-002", (4,))]
    assert reading.unknown == ((5, "frobnicate: error 42"),)
    assert reading.lines == 6


def test_an_empty_log_holds_nothing() -> None:
    """Zero lines."""
    assert read_log([]) == (0, (), (), ())


def test_a_kind_is_an_exception() -> None:
    """The one whose exit code it has."""
    kinds = ("image.build", "registry.tls", "ssh.auth")
    assert [failure_class(kind) for kind in kinds] == [BuildError, RegistryError, SiteTrustError]


def test_no_capture_names_a_machine_of_its_makers() -> None:
    """Paths of the makers' machine and their keys have no place in the tests."""
    for path in CAPTURES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/run/hpcbake|/tmp/cap|/work/", text), path
