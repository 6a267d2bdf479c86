"""The log of a run: JSON lines, levels, bounded, redacted, and never a reason to fail."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from hpcbake.adapters.runlog import RunLog
from hpcbake.report.redact import Redactor


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_json_with_time_and_level(tmp_path: Path) -> None:
    """Facts that say nothing are left out; newlines and bytes that are no text survive."""
    log = RunLog(tmp_path / "log.jsonl", now=lambda: 1769860800.5)
    log.write("info", "a\nb\udc80", site="alder", image="", job=None)
    (entry,) = lines(log.path)
    assert entry == {"time": "2026-01-31T12:00:00.500Z", "level": "info", "text": "a\nb\udc80", "site": "alder"}
    assert log.path.stat().st_mode & 0o077 == 0


def test_what_is_below_the_level_is_left_out(tmp_path: Path) -> None:
    """warning: no info."""
    log = RunLog(tmp_path / "log.jsonl", level="warning")
    for level in ("debug", "info", "warning", "error"):
        log.write(level, level)
    assert [entry["level"] for entry in lines(log.path)] == ["warning", "error"]


def test_debug_hears_the_program(tmp_path: Path) -> None:
    """Only while the run goes on, and only at the level debug."""
    for level, expected in (("info", []), ("debug", ["ran x"])):
        log = RunLog(tmp_path / f"{level}.jsonl", level=level)
        with log:
            logging.getLogger("hpcbake.adapters.x").debug("ran %s", "x")
        logging.getLogger("hpcbake.adapters.x").warning("after")
        found = lines(log.path) if log.path.exists() else []
        assert [entry["text"] for entry in found] == expected


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    """One old part is kept."""
    log = RunLog(tmp_path / "log.jsonl", largest_bytes=2000)
    for number in range(200):
        log.write("info", f"line {number} {'x' * 50}")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["log.1.jsonl", "log.jsonl"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 4400
    assert lines(log.path)[-1]["text"].startswith("line 199")


def test_a_full_disk_is_told_and_fails_nothing(tmp_path: Path) -> None:
    """/dev/full takes nothing."""
    log = RunLog(Path("/dev/full"))
    log.write("info", "a")
    assert log.problem == "/dev/full: the log cannot be written: No space left on device"


def test_secrets_never_arrive(tmp_path: Path) -> None:
    """In texts, names and nested facts; in what an exception says, too."""
    log = RunLog(tmp_path / "log.jsonl", level="debug", redact=Redactor(["hunter2-hunter2"]).value)
    with pytest.raises(RuntimeError), log:
        log.write("info", "login hunter2-hunter2", evidence={"output": ["x hunter2-hunter2 y"]})
        logging.getLogger("hpcbake.x").debug("curl -u me:hunter2-hunter2")
        raise RuntimeError("hunter2-hunter2")
    assert "hunter2" not in log.path.read_text()
    assert log.path.read_text().count("[redacted]") == 4
