"""The runs that are kept in the state folder: their reports, and those that died without leaving one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hpcbake.errors import HpcbakeError, UsageError
from hpcbake.model.history import PastFigure
from hpcbake.model.late import dataclass
from hpcbake.report.read import parse_report
from hpcbake.report.records import ShipReport
from hpcbake.ship.journal import PastRun, is_alive, read_past_run

#: Web pages and metrics look at so many runs: a month of nights.
LAST_RUNS = 30


@dataclass(frozen=True)
class KeptRuns:
    """Reports, newest first. `lost` has a line for each run that left none, or one that cannot be read.

    `figures` are those of smoke tests as the history has them, further back than the reports.
    """

    reports: tuple[ShipReport, ...]
    lost: tuple[str, ...] = ()
    figures: tuple[PastFigure, ...] = ()


def read_kept_runs(runs: Path, project: str | None, *, last: int, boot_id: str) -> KeptRuns:
    """The `last` newest runs of this project folder, or of all when it is None."""
    reports: list[ShipReport] = []
    lost: list[str] = []
    for folder in _newest_first(runs):
        if len(reports) >= last:
            break
        past = read_past_run(folder / "journal.jsonl")
        if past is not None and project is not None and past.project != project:
            continue
        path = folder / "report.json"
        if not path.exists():
            is_running = past is not None and past.boot_id == boot_id and is_alive(past.pid)
            # One that a later run came after has been resumed.
            if past is not None and not is_running and not reports:
                lost.append(_epitaph(past))
            continue
        try:
            report = read_report_file(path)
        except HpcbakeError as error:
            lost.append(error.message)
            continue
        # Before reports named their folder, the journal alone did.
        if project is None or (report.run.project or (past.project if past else "")) == project:
            reports.append(report)
    return KeptRuns(tuple(reports), tuple(lost))


def read_report_file(path: Path) -> ShipReport:
    """The report in this file. Raises UsageError when there is none, StateError when it is something else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}",
            remedy="name a file that `--report` wrote, or the id of a kept run",
        ) from error
    return parse_report(content, str(path))


def find_report(named: str, runs: Path) -> ShipReport:
    """The report of a kept run's id, or that of a file."""
    kept = runs / named / "report.json"
    is_id = named.isalnum() and kept.is_file()
    return read_report_file(kept if is_id else Path(named))


def _newest_first(runs: Path) -> Iterator[Path]:
    """Run folders; their names sort by time."""
    try:
        yield from sorted((folder for folder in runs.iterdir() if folder.is_dir()), reverse=True)
    except OSError:
        return


def _epitaph(past: PastRun) -> str:
    where = f"{past.last_stage}{' for ' + past.last_site if past.last_site else ''}"
    return f"Run {past.id} died in {where} and left no report. Run the same command again: it goes on from there."
