"""The end of a run: its report is kept, shown, told and written. What was done stays done where none of that works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from hpcbake.adapters.clock import SystemClock
from hpcbake.cli.boot import boot_id
from hpcbake.cli.faces import NO_FACES, Faces, write_faces
from hpcbake.cli.files import write_whole
from hpcbake.cli.kept import LAST_RUNS, KeptRuns, read_kept_runs
from hpcbake.cli.notify import Announcer
from hpcbake.errors import ExitCode
from hpcbake.model.late import dataclass
from hpcbake.report.document import render_report
from hpcbake.report.printable import printable
from hpcbake.report.records import ShipReport


@dataclass(frozen=True)
class Outlets:
    """Where the report goes beside the state folder: standard output as text or JSON, a file, its faces."""

    as_json: bool = False
    path: Path | None = None
    faces: Faces = NO_FACES


def publish(
    report: ShipReport,
    outlets: Outlets,
    kept: Path,
    *,
    announcer: Announcer | None = None,
    problems: Sequence[str] = (),
) -> int:
    """Print the report, tell of it, write its files; the exit code.

    It is kept before anything else and shown before anybody is told, which may take a while: neither a signal nor an
    address that hangs costs the report.
    """
    from hpcbake.cli.console import print_page
    from hpcbake.cli.past import remember
    from hpcbake.report.terminal import render_terminal

    found = [*problems, *_write_report(kept, render_report(report))]
    output = StandardOutput()
    if not outlets.as_json:
        output.show(lambda: print_page(render_terminal(report)))
    runs = kept.parent.parent
    told = () if announcer is None or announcer.is_silent else announcer.end(report, code_before(report, runs))
    if told:
        report = replace(report, notifications=told)
        found += [] if found else _write_report(kept, render_report(report))
    for line in remember(report, runs):
        click.echo(f"warning: {printable(line)}", err=True)
    text = render_report(report)
    if outlets.path is not None:
        found += _write_report(outlets.path, text)
    if not outlets.faces.is_empty:
        found += _write_faces(report, outlets.faces, runs)
    if outlets.as_json:
        output.show(lambda: click.echo(text, nl=False))
    found += output.problems
    for problem in found:
        click.echo(f"error: {problem}", err=True)
    if found:
        click.echo(f"help: make room or mend the permissions; the run itself ended with {report.code.name}", err=True)
    if output.left is not None:
        raise output.left
    return int(ExitCode.CANTWRITE if found and report.code is ExitCode.OK else report.code)


def code_before(report: ShipReport, runs: Path) -> ExitCode | None:
    """How the run before this one ended in this folder, if one is kept."""
    known = read_kept_runs(runs, report.run.project, last=2, boot_id=boot_id())
    return next((other.code for other in known.reports if other.run.id != report.run.id), None)


class StandardOutput:
    """Standard output, whatever becomes of it: a full disk is a problem to be told, a reader that left is none."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.left: BrokenPipeError | None = None

    def show(self, write: Callable[[], None]) -> None:
        """Write, and see it through to whoever reads."""
        try:
            write()
            sys.stdout.flush()
        except OSError as error:
            # What is still in the buffer would be tried again at the end of the process, and fail without a word.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                self.left = error
            else:
                self.problems.append(f"cannot write to standard output: {error.strerror}")


def _write_report(path: Path, text: str) -> list[str]:
    """Write one report file; what went wrong in words."""
    try:
        write_whole(path, text)
    except OSError as error:
        return [f"cannot write the report to {path}: {error.strerror}"]
    return []


def _write_faces(report: ShipReport, faces: Faces, runs: Path) -> list[str]:
    """Write what the flags ask for. This run is told also where its report could not be kept."""
    known = read_kept_runs(runs, report.run.project, last=LAST_RUNS, boot_id=boot_id())
    others = [other for other in known.reports if other.run.id != report.run.id]
    from hpcbake.cli.past import past_figures

    figures, _ = past_figures(runs, report.run.project) if faces.pages else ((), [])
    kept = KeptRuns((report, *others), known.lost, figures)
    return write_faces(faces, report, kept, now=SystemClock().now())
