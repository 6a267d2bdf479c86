"""One run from the command line: its id, journal, signals, progress lines and report."""

from __future__ import annotations

import getpass
import importlib
import os
import secrets
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import click

from hpcbake import __version__
from hpcbake.adapters.buildx import Buildx
from hpcbake.adapters.clock import SystemClock
from hpcbake.adapters.git import source_commit
from hpcbake.adapters.runlog import RunLog
from hpcbake.build.document import Shipment
from hpcbake.cli.boot import boot_id
from hpcbake.cli.build_ahead import ask_entitlements, describe_places, make_workshop
from hpcbake.cli.configuration import configuration, state_folder
from hpcbake.cli.console import takes_words_alone
from hpcbake.cli.faces import NO_FACES, Faces
from hpcbake.cli.frame import PLAIN_FRAME, Frame
from hpcbake.cli.left_out import left_out_records
from hpcbake.cli.notify import Announcer
from hpcbake.cli.plan_view import plan_shower
from hpcbake.cli.project_templates import require_project_templates
from hpcbake.cli.publish import Outlets, publish
from hpcbake.cli.runlog import LoggedListener, log_begin, log_end, make_redactor, open_log
from hpcbake.cli.signals import signals_raise
from hpcbake.cli.world import make_world
from hpcbake.errors import BusyError, CantWriteError, ConfigError, HpcbakeError, InterruptedByUserError, UsageError
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.late import dataclass
from hpcbake.model.notification import Notifications
from hpcbake.model.plan import Plan
from hpcbake.model.site import Site
from hpcbake.report.document import render_report
from hpcbake.report.progress import Progress, choose_mode, make_progress
from hpcbake.report.records import FileRecord, RunRecord, ShipReport, error_record
from hpcbake.report.redact import Redactor
from hpcbake.ship.collect import Collection
from hpcbake.ship.journal import Journal, PastRun, find_dead_run, prune_runs
from hpcbake.ship.ports import World
from hpcbake.ship.project import Project
from hpcbake.ship.settings import ShipSettings
from hpcbake.ship.ship import ShipResult, run_sites, ship
from hpcbake.ship.times import render_utc, run_id


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
    #: Tell those whom the project names that the run begins and ends.
    announces: bool = False
    progress: str = "auto"
    #: Do the stage `until` alone.
    only: bool = False
    all_or_none: bool = False


@dataclass(frozen=True)
class _OpenRun:
    """A run that has begun: its name and times, and everything that it writes to and shows itself by."""

    identity: str
    #: The run that died before this one, which this one takes up.
    dead: PastRun | None
    clock: SystemClock
    started: float
    began: float
    folder: Path
    redactor: Redactor
    listener: Progress
    log: RunLog
    logged: LoggedListener
    journal: Journal

    @property
    def resumes(self) -> str | None:
        return self.dead.id if self.dead else None

    def record(self, *, interrupted_by: str | None = None) -> RunRecord:
        """The run as it is now."""
        duration_s = self.clock.monotonic() - self.began
        return _run_record(
            *(self.identity, self.started, self.clock, duration_s),
            resumes=self.resumes,
            interrupted_by=interrupted_by,
        )


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
    folder = Path.cwd()
    require_project_templates({one.name: project.tests_for(one.name) for one in shipments}, folder)
    allow = ask_entitlements(plan, shipments, choices.allow, folder=folder) if images is None else ()
    run = _open_run(plan, sites, project, choices, folder)
    announcer = Announcer(project.notifications if choices.announces else Notifications())
    announcer.begin(run.record())
    world, places, warnings = _make_run_world(
        run, shipments, sites, project, choices, folder, allow, is_built=images is not None
    )
    settings = _ship_settings(run, shipments, project, choices, folder, is_built=images is not None)
    run.listener.begun(run.identity, run.resumes)
    with signals_raise(), run.listener, run.log:
        for line in (*places, *warnings):
            run.logged.step("build", line)
        threading.Thread(target=_load_the_end, name="load", daemon=True).start()
        try:
            result = ship(
                plan,
                shipments,
                sites,
                settings,
                world=frame.adapt(world, run.logged),
                journal=run.journal,
                listener=run.logged,
                parallel_sites=choices.parallel_sites,
                images=images,
                show_plan=plan_shower(run.listener, to_stderr=choices.as_json),
            )
        except InterruptedByUserError as stopped:
            result = ShipResult((), (), interrupted=stopped)
    report = ShipReport(
        tool_version=__version__,
        run=run.record(interrupted_by=result.interrupted.message if result.interrupted else None),
        targets=result.targets,
        sites=(*result.sites, *left_out_records([shipment.name for shipment in shipments])),
        bake_files=_file_records(plan.files),
        site_files=_file_records([site.path for site in sites if site.path]),
        warnings=(*(warning.message for warning in plan.warnings), *warnings),
        error=result.error,
        interrupted_code=result.interrupted.exit_code if result.interrupted else None,
    )
    report = run.redactor.value(frame.conclude(report))
    problems = _close_run(run, report)
    return publish(report, _outlets(choices), run.folder / "report.json", announcer=announcer, problems=problems)


def _load_the_end() -> None:
    """Load what shows the plan and the report while sites are at work: their answers take longer."""
    pages = () if takes_words_alone(sys.stdout) else ("rich.console", "rich.table")
    for name in ("hpcbake.ship.forecast_table", *pages, "hpcbake.report.terminal", "hpcbake.cli.past"):
        importlib.import_module(name)


def _open_run(
    plan: Plan, sites: Sequence[Site], project: Project, choices: RunChoices, project_folder: Path
) -> _OpenRun:
    """Begin: look for a run that died here, and open journal and log. Raises CantWriteError."""
    clock = SystemClock()
    started, began = clock.now(), clock.monotonic()
    identity = run_id(started, secrets.randbits(80))
    runs = state_folder(os.environ) / "runs"
    listener = progress_of(choices.progress, clock)
    dead = find_dead_run(runs, str(project_folder), boot_id=boot_id())
    if dead is not None:
        where = f"{dead.last_stage}{' for ' + dead.last_site if dead.last_site else ''}"
        listener.step("resume", f"previous run {dead.id} (pid {dead.pid}) died in {where}; resuming")
    prune_runs(runs, keep=project.retention.runs)
    redactor = make_redactor(os.environ, plan, project_folder)
    journal = Journal(runs / identity / "journal.jsonl", redact=redactor.value)
    log = open_log(runs / identity, redactor)
    log_begin(log, identity, dead.id if dead else None)
    journal.note(
        "begin",
        run=identity,
        project=str(project_folder),
        pid=os.getpid(),
        boot_id=boot_id(),
        sites=[site.name for site in sites],
        resumes=dead.id if dead else None,
    )
    logged = LoggedListener(listener, log, redactor)
    return _OpenRun(
        *(identity, dead, clock, started, began, runs / identity),
        redactor=redactor,
        listener=listener,
        log=log,
        logged=logged,
        journal=journal,
    )


def _make_run_world(
    run: _OpenRun,
    shipments: Sequence[Shipment],
    sites: Sequence[Site],
    project: Project,
    choices: RunChoices,
    folder: Path,
    allow: Sequence[str],
    *,
    is_built: bool,
) -> tuple[World, list[str], list[str]]:
    """The world of this run; where each platform is built; and what is to be warned of."""
    world = make_world(
        os.environ,
        folder=folder,
        plain_http=sorted({host for site in sites for host in site.runtime.plain_http}),
        convert=project.convert,
        redactor=run.redactor,
    )
    workshop = make_workshop(
        *(shipments, project.builders, choices.builder),
        partial(
            Buildx,
            folder=folder,
            environment=os.environ,
            allow=allow,
            log_path=run.folder / "build.log",
            redact=run.redactor.text,
        ),
    )
    places, warnings = ([], []) if is_built else describe_places(workshop, shipments)
    return replace(world, builder=workshop.builder), places, warnings


def _ship_settings(
    run: _OpenRun,
    shipments: Sequence[Shipment],
    project: Project,
    choices: RunChoices,
    folder: Path,
    *,
    is_built: bool,
) -> ShipSettings:
    """What flags and project file ask for."""
    return ShipSettings(
        run=run.identity,
        created=render_utc(run.started),
        tool_version=__version__,
        tests={shipment.name: project.tests_for(shipment.name) for shipment in shipments},
        expose={shipment.name: project.exposed_by(shipment.name) for shipment in shipments},
        until=choices.until,
        only=choices.only,
        all_or_none=choices.all_or_none,
        retry_failed=choices.retry_failed,
        lock_wait_s=choices.lock_wait_s,
        template_folders=(folder / "slurm",),
        way=choices.way,
        by=f"{_user()}@{socket.gethostname()}",
        # What somebody else built tells of its source by a label, if at all.
        revision="" if is_built else source_commit(folder),
        release_hold=choices.release_hold,
        detach=choices.detach,
        regression_factor=project.regression_factor,
        destinations=project.destinations,
        tags=project.tags,
    )


def _close_run(run: _OpenRun, report: ShipReport) -> list[str]:
    """End journal and log; what could not be written there."""
    log_end(run.log, report)
    problems = [run.log.problem] if run.log.problem else []
    if report.interrupted_code is None:
        try:
            run.journal.note("end", code=int(report.code))
        except CantWriteError as error:
            problems.append(error.message)
    run.journal.close()
    run.listener.ended(int(report.code))
    return problems


def _outlets(choices: RunChoices) -> Outlets:
    return Outlets(choices.as_json, choices.report_path, choices.faces)


def progress_of(wanted: str, clock: SystemClock) -> Progress:
    """What shows the run on standard error."""
    return make_progress(choose_mode(wanted, sys.stderr, os.environ), sys.stderr, clock)


def perform_collect(sites: Sequence[Site], images: Sequence[str], choices: RunChoices) -> int:
    """Wait for the smoke jobs that were left to themselves, print the report, return the exit code."""
    clock = SystemClock()
    started, began = clock.now(), clock.monotonic()
    identity = run_id(started, secrets.randbits(80))
    kept = state_folder(os.environ) / "runs" / identity / "report.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    world = make_world(os.environ, folder=Path.cwd())
    listener = progress_of(choices.progress, clock)
    work = [Collection(site, images, world, listener) for site in sites]
    interrupted: InterruptedByUserError | None = None
    with signals_raise(), listener:
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
        sites=(*records, *left_out_records(images)),
        site_files=_file_records([site.path for site in sites if site.path]),
        interrupted_code=interrupted.exit_code if interrupted else None,
    )
    return publish(report, _outlets(choices), kept)


def report_early_failure(error: HpcbakeError) -> None:
    """Print the report of a run that ended before it began: `--json` promises one document, whatever happens."""
    click.echo(render_report(_early_report(error)), nl=False)


def announce_early_failure(error: HpcbakeError) -> None:
    """Tell those whom the project names, if it can be read, of a run that ended before it began.

    One that only found another run at work is no news: that one will tell. Nor is a mistyped command.
    """
    try:
        notifications = configuration().project().notifications
    except ConfigError:
        return
    if not notifications.is_empty and not isinstance(error, BusyError | UsageError):
        Announcer(notifications).end(_early_report(error), None)


def _early_report(error: HpcbakeError) -> ShipReport:
    clock = SystemClock()
    started = clock.now()
    record = _run_record(run_id(started, secrets.randbits(80)), started, clock, 0.0)
    return ShipReport(__version__, record, (), (), error=error_record("resolve", error))


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


def _file_records(paths: Sequence[str]) -> tuple[FileRecord, ...]:
    found = [Path(path) for path in paths if Path(path).is_file()]
    return tuple(FileRecord(str(path), sha256(path.read_bytes()).hexdigest()) for path in found)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's uid without a name
        return str(os.getuid())
