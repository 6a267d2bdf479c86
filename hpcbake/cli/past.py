"""The history of runs beside the kept runs: filled by every run, and made again from the reports where it is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hpcbake.adapters.history import RunHistory
from hpcbake.cli.kept import read_report_file
from hpcbake.errors import HpcbakeError
from hpcbake.model.history import PastFigure, PastReport
from hpcbake.report.records import ShipReport
from hpcbake.report.timeline import past_report

#: So many reports are read before they are written together.
_BATCH = 50


def history_path(runs: Path) -> Path:
    """The history's file, beside the folder of the kept runs."""
    return runs.parent / "history.db"


def remember(report: ShipReport, runs: Path) -> list[str]:
    """Add a run to the history; what went wrong, in lines. Nothing of the run is lost where it cannot be."""
    try:
        with RunHistory(history_path(runs)) as history:
            _catch_up(history, runs)
            history.add([past_report(report)])
    except HpcbakeError as error:
        return [error.message]
    return []


def past_runs(runs: Path, project: str | None, *, last: int, image: str = "") -> list[PastReport]:
    """The newest runs, newest first. Raises CantWriteError, StateError."""
    with RunHistory(history_path(runs)) as history:
        _catch_up(history, runs)
        return history.reports(project, last=last, image=image)


def past_figures(runs: Path, project: str | None) -> tuple[tuple[PastFigure, ...], list[str]]:
    """Every figure of these runs, oldest first, and what went wrong, in lines."""
    try:
        with RunHistory(history_path(runs)) as history:
            _catch_up(history, runs)
            return tuple(history.figures(project)), []
    except HpcbakeError as error:
        return (), [error.message]


def _catch_up(history: RunHistory, runs: Path) -> None:
    """Add kept reports that the history does not know: those of before it began, or of before it was damaged."""
    known = history.known()
    oldest = min(known) if len(known) >= history.bounds.runs else ""
    batch: list[PastReport] = []
    for report in _reports(path for path in _report_files(runs) if oldest < path.parent.name not in known):
        batch.append(past_report(report))
        if len(batch) == _BATCH:
            history.add(batch)
            batch = []
    if batch:
        history.add(batch)


def _report_files(runs: Path) -> list[Path]:
    try:
        return sorted(path / "report.json" for path in runs.iterdir())
    except OSError:
        return []


def _reports(paths: Iterable[Path]) -> Iterator[ShipReport]:
    """The reports that can be read; a run that is still at work has none yet."""
    for path in paths:
        if path.is_file():
            try:
                report = read_report_file(path)
            except HpcbakeError:
                continue
            if report.run.id == path.parent.name:  # a copy would be read again each time
                yield report
