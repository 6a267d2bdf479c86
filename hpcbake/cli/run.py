"""One run from the command line: its id, journal, signals, progress lines and report."""

from __future__ import annotations

import getpass
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import FrameType

import click

from hpcbake import __version__
from hpcbake.adapters.clock import SystemClock
from hpcbake.adapters.git import source_commit
from hpcbake.build.document import Shipment
from hpcbake.cli.configuration import state_folder
from hpcbake.cli.console import make_console
from hpcbake.cli.faces import NO_FACES, Faces, write_faces
from hpcbake.cli.files import write_whole
from hpcbake.cli.frame import PLAIN_FRAME, Frame
from hpcbake.cli.kept import LAST_RUNS, KeptRuns, read_kept_runs
from hpcbake.cli.world import make_world
from hpcbake.errors import CantWriteError, ExitCode, HpcbakeError, InterruptedByUserError
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.plan import Plan
from hpcbake.model.site import Site
from hpcbake.report.document import render_report
from hpcbake.report.printable import printable
from hpcbake.report.records import FileRecord, RunRecord, ShipReport, error_record
from hpcbake.report.terminal import print_report
from hpcbake.ship.collect import Collection
from hpcbake.ship.journal import Journal, find_dead_run, prune_runs
from hpcbake.ship.project import Project
from hpcbake.ship.settings import ShipSettings
from hpcbake.ship.ship import ShipResult, run_sites, ship
from hpcbake.ship.times import render_utc, run_id

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class RunChoices:
    """What the flags of a run say."""

    until: str = "promote"
    builder: str | None = None
    allow: tuple[str, ...] = ()
    retry_failed: bool = False
    lock_wait_s: int = 300
    parallel_sites: int = 16
    as_json: bool = False
    report_path: Path | None = None
    way: str | None = None
    release_hold: bool = False
    detach: bool = False
    faces: Faces = NO_FACES


class ProgressLines:
    """A Listener that prints one plain line per event to stderr."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def step(self, stage: str, text: str, *, site: str = "", image: str = "") -> None:
        where = " ".join(part for part in (site, image) if part)
        with self._lock:
            click.echo(f"{time.monotonic() - self._began:6.1f}s  {stage:<8} {where:<28} {printable(text)}", err=True)


def boot_id() -> str:
    """This machine's boot id, or `unknown` where the kernel has none (macOS)."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else "unknown"


def perform_run(
    plan: Plan,
    shipments: Sequence[Shipment],
    sites: Sequence[Site],
    project: Project,
    choices: RunChoices,
    *,
    images: Sequence[BuiltImage] | None = None,
    frame: Frame = PLAIN_FRAME,
) -> int:
    """Run the chain, print the report, return the exit code."""
    clock = SystemClock()
    started, began = clock.now(), clock.monotonic()
    identity = run_id(started, secrets.randbits(80))
    folder = Path.cwd()
    runs = state_folder(os.environ) / "runs"
    listener = ProgressLines()
    dead = find_dead_run(runs, str(folder), boot_id=boot_id())
    if dead is not None:
        where = f"{dead.last_stage}{' for ' + dead.last_site if dead.last_site else ''}"
        listener.step("resume", f"previous run {dead.id} (pid {dead.pid}) died in {where}; resuming")
    prune_runs(runs, keep=project.retention.runs)
    journal = Journal(runs / identity / "journal.jsonl")
    journal.note(
        "begin",
        run=identity,
        project=str(folder),
        pid=os.getpid(),
        boot_id=boot_id(),
        sites=[site.name for site in sites],
        resumes=dead.id if dead else None,
    )
    world = make_world(
        os.environ,
        folder=folder,
        builder=choices.builder,
        allow=choices.allow,
        build_log=runs / identity / "build.log",
        plain_http=sorted({host for site in sites for host in site.runtime.plain_http}),
        convert=project.convert,
    )
    settings = ShipSettings(
        run=identity,
        created=render_utc(started),
        tool_version=__version__,
        tests={shipment.name: project.tests_for(shipment.name) for shipment in shipments},
        expose={shipment.name: project.exposed_by(shipment.name) for shipment in shipments},
        until=choices.until,
        retry_failed=choices.retry_failed,
        lock_wait_s=choices.lock_wait_s,
        template_folders=(folder / "slurm",),
        way=choices.way,
        by=f"{_user()}@{socket.gethostname()}",
        # What somebody else built tells of its source by a label, if at all.
        revision=source_commit(folder) if images is None else "",
        release_hold=choices.release_hold,
        detach=choices.detach,
        regression_factor=project.regression_factor,
        destinations=project.destinations,
    )
    with signals_raise():
        try:
            result = ship(
                plan,
                shipments,
                sites,
                settings,
                world=frame.adapt(world, listener),
                journal=journal,
                listener=listener,
                parallel_sites=choices.parallel_sites,
                images=images,
            )
        except InterruptedByUserError as stopped:
            result = ShipResult((), (), interrupted=stopped)
    report = ShipReport(
        tool_version=__version__,
        run=_run_record(
            identity,
            started,
            clock,
            clock.monotonic() - began,
            resumes=dead.id if dead else None,
            interrupted_by=result.interrupted.message if result.interrupted else None,
        ),
        targets=result.targets,
        sites=result.sites,
        bake_files=_file_records(plan.files),
        site_files=_file_records([site.path for site in sites if site.path]),
        warnings=tuple(warning.message for warning in plan.warnings),
        error=result.error,
        interrupted_code=result.interrupted.exit_code if result.interrupted else None,
    )
    report = frame.conclude(report)
    problems: list[str] = []
    if not result.interrupted:
        try:
            journal.note("end", code=int(report.code))
        except CantWriteError as error:
            problems.append(error.message)
    journal.close()
    return _publish(report, choices, runs / identity / "report.json", problems)


def perform_collect(sites: Sequence[Site], images: Sequence[str], choices: RunChoices) -> int:
    """Wait for the smoke jobs that were left to themselves, print the report, return the exit code."""
    clock = SystemClock()
    started, began = clock.now(), clock.monotonic()
    identity = run_id(started, secrets.randbits(80))
    kept = state_folder(os.environ) / "runs" / identity / "report.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    world = make_world(os.environ, folder=Path.cwd())
    work = [Collection(site, images, world, ProgressLines()) for site in sites]
    interrupted: InterruptedByUserError | None = None
    with signals_raise():
        try:
            records = run_sites(work, sites, choices.parallel_sites)
        except InterruptedByUserError as stopped:
            records, interrupted = [item.record() for item in work], stopped
    report = ShipReport(
        tool_version=__version__,
        run=_run_record(
            identity,
            started,
            clock,
            clock.monotonic() - began,
            interrupted_by=interrupted.message if interrupted else None,
        ),
        targets=(),
        sites=tuple(records),
        site_files=_file_records([site.path for site in sites if site.path]),
        interrupted_code=interrupted.exit_code if interrupted else None,
    )
    return _publish(report, choices, kept, [])


def report_early_failure(error: HpcbakeError) -> None:
    """Print the report of a run that ended before it began: `--json` promises one document, whatever happens."""
    clock = SystemClock()
    started = clock.now()
    record = _run_record(run_id(started, secrets.randbits(80)), started, clock, 0.0)
    report = ShipReport(__version__, record, (), (), error=error_record("resolve", error))
    click.echo(render_report(report), nl=False)


def _run_record(
    identity: str,
    started: float,
    clock: SystemClock,
    duration_s: float,
    *,
    resumes: str | None = None,
    interrupted_by: str | None = None,
) -> RunRecord:
    return RunRecord(
        id=identity,
        command=("hpcbake", *sys.argv[1:]),
        host=socket.gethostname(),
        user=_user(),
        pid=os.getpid(),
        boot_id=boot_id(),
        started=render_utc(started),
        ended=render_utc(clock.now()),
        duration_s=duration_s,
        resumes=resumes,
        interrupted_by=interrupted_by,
        project=str(Path.cwd()),
    )


def _publish(report: ShipReport, choices: RunChoices, kept: Path, problems: Sequence[str]) -> int:
    """Print the report and write its files. What was done stays done and is told, also where no file can be written."""
    text = render_report(report)
    found = [*problems, *_write_report(kept, text)]
    if choices.report_path is not None:
        found += _write_report(choices.report_path, text)
    if not choices.faces.is_empty:
        found += _write_faces(report, choices.faces, kept.parent.parent)
    if choices.as_json:
        click.echo(text, nl=False)
    else:
        print_report(report, make_console())
    for problem in found:
        click.echo(f"error: {problem}", err=True)
    if found:
        click.echo(f"help: make room or mend the permissions; the run itself ended with {report.code.name}", err=True)
    return int(ExitCode.CANTWRITE if found and report.code is ExitCode.OK else report.code)


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
    return write_faces(faces, report, KeptRuns((report, *others), known.lost), now=SystemClock().now())


def _file_records(paths: Sequence[str]) -> tuple[FileRecord, ...]:
    found = [Path(path) for path in paths if Path(path).is_file()]
    return tuple(FileRecord(str(path), sha256(path.read_bytes()).hexdigest()) for path in found)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's uid without a name
        return str(os.getuid())


class signals_raise:  # noqa: N801  (reads as what it does)
    """While it is entered, SIGINT, SIGTERM and SIGHUP end the run with a report; a second SIGINT ends it at once."""

    def __enter__(self) -> None:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            signal.signal(number, self._raise)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @staticmethod
    def _raise(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
        raise InterruptedByUserError(signal.Signals(number).name, signal_number=number)
