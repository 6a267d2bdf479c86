"""The history of runs: kept, bounded, shared by several writers, and made again where it is damaged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.history import Bounds, RunHistory
from hpcbake.errors import CantWriteError, StateError
from hpcbake.model.history import PastCell, PastFigure, PastReport


def past(number: int, project: str = "/p", **more: object) -> PastReport:
    stamp = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    values: dict[str, object] = {
        "cells": (PastCell("app", "alder", "ok", True, "sha256:1"), PastCell("app", "birch", "failed", False)),
        "figures": (PastFigure("app", "alder", "cpu", str(number), "time", "s", float(number)),),
        **more,
    }
    return PastReport(f"01RUN{number:05}", project, "hpcbake ship", "h", "u", stamp, stamp, 1.5, 0, **values)  # type: ignore[arg-type]


def test_what_was_added_comes_back_newest_first(tmp_path: Path) -> None:
    """With its cells; of one project, or of all; of one image, if that is asked."""
    with RunHistory(tmp_path / "state/history.db") as history:
        history.add([past(1), past(2, "/other"), past(3, cells=(PastCell("tool", "alder", "ok", False),))])
        assert [report.id for report in history.reports(None, last=10)] == ["01RUN00003", "01RUN00002", "01RUN00001"]
        assert [report.id for report in history.reports("/p", last=1)] == ["01RUN00003"]
        (found,) = history.reports("/p", last=10, image="app")
        assert found == replace(past(1), figures=())
        assert history.known() == {"01RUN00001", "01RUN00002", "01RUN00003"}


def test_adding_again_replaces(tmp_path: Path) -> None:
    """A run that is told twice is one run."""
    with RunHistory(tmp_path / "history.db") as history:
        history.add([past(1)])
        history.add([past(1, cells=(PastCell("app", "alder", "failed", False),))])
        (found,) = history.reports(None, last=10)
    assert [cell.outcome for cell in found.cells] == ["failed"]


def test_a_job_counts_once(tmp_path: Path) -> None:
    """However many runs remember it, in the order of the nights."""
    job = PastFigure("app", "alder", "cpu", "12", "time", "s", 2.0)
    with RunHistory(tmp_path / "history.db") as history:
        history.add([past(3, figures=(job,)), past(1, figures=(job,)), past(2, figures=(replace(job, job="13"),))])
        assert [figure.job for figure in history.figures("/p")] == ["12", "13"]
        assert history.figures("/other") == []


def test_it_is_bounded(tmp_path: Path) -> None:
    """By runs, cells and figures; the oldest go, with all that belongs to them."""
    with RunHistory(tmp_path / "history.db", Bounds(runs=30, cells=1000)) as history:
        history.add([past(number) for number in range(1, 41)])
        assert history.known() == {f"01RUN{number:05}" for number in range(11, 41)}
    with RunHistory(tmp_path / "history.db", Bounds(cells=30)) as history:
        history.add([past(41)])
        assert history.known() == {f"01RUN{number:05}" for number in range(31, 42)}
        assert len(history.figures(None)) == 11


@pytest.mark.parametrize(
    "content", [b"no database at all, but longer than a header of one" * 40, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """And a new one begun; who opened it knows."""
    path = tmp_path / "history.db"
    path.write_bytes(content)
    with RunHistory(path) as history:
        assert history.was_damaged
        history.add([past(1)])
    assert (tmp_path / "history.db.damaged").read_bytes() == content
    with RunHistory(path) as history:
        assert not history.was_damaged
        assert history.known() == {"01RUN00001"}


def test_damage_in_the_middle_is_seen(tmp_path: Path) -> None:
    """Not only in the header."""
    path = tmp_path / "history.db"
    with RunHistory(path) as history:
        history.add([past(number) for number in range(300)])
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content) - 4096, 8192):
        content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with RunHistory(path) as history:
        assert history.was_damaged


def test_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """An older hpcbake neither reads nor spoils it."""
    path = tmp_path / "history.db"
    with RunHistory(path):
        pass
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(StateError, match="later hpcbake"):
        RunHistory(path)
    assert not (tmp_path / "history.db.damaged").exists()


def test_where_no_file_can_be_that_is_told(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CantWriteError, match="history of runs cannot be used"):
        RunHistory(tmp_path / "file/history.db")


_WRITER = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from hpcbake.adapters.history import RunHistory
from tests.unit.adapters.test_history import past
for number in range({first}, {first} + 15):
    with RunHistory(Path({path!r})) as history:
        history.add([past(number)])
"""


@pytest.mark.stand
def test_several_write_at_once(tmp_path: Path) -> None:
    """From the first moment, when there is no file yet; nothing is lost."""
    root, path = str(Path(__file__).resolve().parents[3]), str(tmp_path / "history.db")
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER.format(root=root, path=path, first=100 * number)])
        for number in range(3)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    with RunHistory(Path(path)) as history:
        assert len(history.known()) == 45
        assert not history.was_damaged


def test_text_that_is_no_utf8_is_kept_in_escapes(tmp_path: Path) -> None:
    """A folder may have any name."""
    with RunHistory(tmp_path / "history.db") as history:
        history.add([past(1, "/p\udcff")])
        (found,) = history.reports("/p\udcff", last=1)
    assert found.project == "/p\\udcff"
