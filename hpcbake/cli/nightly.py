"""`hpcbake nightly`: ship as cron runs it, one run per project at a time, building only what has changed."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hpcbake.adapters.clock import SystemClock
from hpcbake.adapters.registry import RegistryClient
from hpcbake.adapters.runlock import run_lock
from hpcbake.build.document import find_shipments
from hpcbake.cli.configuration import state_folder
from hpcbake.cli.destinations import Asked
from hpcbake.cli.destinations import choose_shipments as choose_destined
from hpcbake.cli.dry_run import print_dry_run
from hpcbake.cli.faces import choose_faces, face_options
from hpcbake.cli.frame import Frame
from hpcbake.cli.image_verb import split_name
from hpcbake.cli.nightly_check import NightInputs, check_unattended
from hpcbake.cli.nightly_environment import prepare_for_cron
from hpcbake.cli.nightly_install import (
    TimerChoices,
    install,
    make_schedule,
    print_schedule,
    read_variables,
    timer_options,
    uninstall,
)
from hpcbake.cli.nightly_pull import follow, perform_pull, the_site_here
from hpcbake.cli.nightly_retention import clear_up
from hpcbake.cli.options import (
    all_or_none_option,
    bake_options,
    build_options,
    read_plan,
    read_project,
    read_sites,
    run_options,
    site_options,
)
from hpcbake.cli.retention import clear_after
from hpcbake.cli.run import RunChoices, announce_early_failure, perform_run, report_early_failure
from hpcbake.cli.signals import signals_raise
from hpcbake.errors import HpcbakeError, UsageError
from hpcbake.model.late import dataclass
from hpcbake.model.reference import parse_image_reference
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.ship.nightly import Night, choose_shipments, choose_sites, nightly_folder
from hpcbake.ship.project import Project
from hpcbake.ship.schedule import schedule_name

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class NightChoices:
    """What the flags say of the night itself; `run` is what any run is told."""

    run: RunChoices
    bake: tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]]
    site_names: Sequence[str]
    site_configs: Path
    jitter_s: float | None = None
    refresh_base: bool = False
    pull: bool = False
    images: Sequence[str] = ()
    dry_run: bool = False


def night_options(function: F) -> F:
    """--jitter, --refresh-base, --pull: what a night has and a plain ship has not."""
    for option in reversed(
        (
            click.option(
                "--jitter",
                "jitter_s",
                type=click.FloatRange(min=0, max=12 * 3600),
                metavar="SECONDS",
                help="Begin after a random time up to this, so that not all projects begin at once.",
            ),
            click.option("--refresh-base", is_flag=True, help="Pull base images anew and build, whatever has changed."),
            click.option(
                "--pull", is_flag=True, help="Run on the cluster itself: follow the tags of IMAGEs, build nothing."
            ),
        )
    ):
        function = option(function)
    return function


@click.command("nightly")
@click.argument("images", nargs=-1, metavar="[[NAME=]IMAGE...]")
@night_options
@timer_options
@bake_options
@build_options
@site_options
@run_options
@all_or_none_option
@face_options
def command(images: tuple[str, ...], **flags: Any) -> int:
    """Ship what has changed since last night, and mend what sites missed: the verb for cron.

    \b
    hpcbake nightly                          in the project's folder, from cron
    hpcbake nightly --jitter 900             begin within a quarter of an hour
    hpcbake nightly --pull app=REG/app:1.0   on a cluster that lets nobody in
    hpcbake nightly --install systemd        every night from now on

    A target is built only when its context, its part of the bake file, its Dockerfile or the digest of a base image
    has changed; the run says which. All sites are looked at every night: one that was down gets what it missed. One
    run per project at a time: another ends at once with exit code 75. See docs/how-to/nightly.md.
    """
    prepare_for_cron()
    choices = _choices(images, flags)
    timer = TimerChoices(*(flags[name] for name in ("install", "uninstall", "print_only", "check", "at")))
    if timer.is_wanted:
        return _set_timer(choices, timer)
    try:
        if choices.dry_run:
            return _run(choices)
        with run_lock(
            nightly_folder(state_folder(os.environ), Path.cwd()) / "lock",
            doing=f"hpcbake nightly in {Path.cwd()}",
        ) as held:
            if held.note:
                click.echo(f"note: {held.note}", err=True)
            return _run(choices)
    except HpcbakeError as error:
        if choices.run.as_json:
            report_early_failure(error)
        if not choices.dry_run:
            announce_early_failure(error)
        raise


def _choices(images: tuple[str, ...], flags: dict[str, Any]) -> NightChoices:
    faces = choose_faces(flags["junit"], flags["github"], flags["prometheus"], flags["pages"], os.environ)
    run = RunChoices(
        builder=flags["builder"],
        allow=flags["allow"],
        retry_failed=flags["retry_failed"],
        lock_wait_s=flags["lock_wait"],
        parallel_sites=flags["parallel_sites"],
        as_json=flags["as_json"],
        report_path=flags["report_path"],
        way=flags["way"],
        progress=flags["progress"],
        all_or_none=flags["all_or_none"],
        faces=faces,
        announces=True,
    )
    if images and not flags["pull"]:
        raise UsageError(
            f"{images[0]!r}: images are named with --pull only",
            remedy="without it, the targets of the bake file are shipped: --target NAME",
        )
    return NightChoices(
        run,
        (flags["files"], flags["targets"], flags["overrides"], flags["variables"]),
        flags["site_names"],
        flags["site_configs"],
        flags["jitter_s"],
        flags["refresh_base"],
        flags["pull"],
        images,
        flags["dry_run"],
    )


def _set_timer(choices: NightChoices, timer: TimerChoices) -> int:
    """Install, take away, show or try the timer of this folder."""
    folder = Path.cwd()
    kept = nightly_folder(state_folder(os.environ), folder)
    if timer.uninstall:
        uninstall(timer.uninstall, schedule_name(folder, kept.name))
        return 0
    project = read_project(folder)
    sites = read_sites(choices.site_configs, choices.site_names)
    sites = sites if choices.site_names else choose_sites(sites, project.nightly)
    if choices.pull:
        site = the_site_here(sites)
        images = [parse_image_reference(split_name(text)[1]) for text in follow(choices.images, project)]
        inputs = NightInputs((), tuple(images), (site,), ())
    else:
        shipments = find_shipments(read_plan(*choices.bake))
        names = [variable.name for variable in read_variables(*choices.bake)]
        inputs = NightInputs(tuple(shipments), (), tuple(sites), tuple(names))
    if timer.check:
        return check_unattended(inputs, kept, choices.run.builder)
    words = sys.argv[sys.argv.index("nightly") + 1 :]
    jitter_s = project.nightly.jitter_s if choices.jitter_s is None else choices.jitter_s
    schedule = make_schedule(folder, kept, words, inputs.variables, timer.at or project.nightly.at, jitter_s)
    assert timer.install
    if timer.print_only:
        print_schedule(timer.install, schedule)
    else:
        install(timer.install, schedule, inputs.variables)
    return 0


def _run(choices: NightChoices) -> int:
    """The night, once the lock is held."""
    project = read_project(Path.cwd())
    _wait(project.nightly.jitter_s if choices.jitter_s is None else choices.jitter_s, choices)
    sites = read_sites(choices.site_configs, choices.site_names)
    if not choices.site_names:
        sites = choose_sites(sites, project.nightly)
    if choices.pull:
        site = the_site_here(sites)
        code = perform_pull(follow(choices.images, project), site, project, choices.run)
        return clear_after(code, lambda: clear_up([site], project.retention))
    return _ship(choices, project, sites)


def _ship(choices: NightChoices, project: Project, sites: Sequence[Site]) -> int:
    plan = read_plan(*choices.bake)
    shipments = find_shipments(plan)
    if not choices.bake[1]:
        shipments = choose_shipments(shipments, project.nightly)
    asked = Asked(choices.bake[1], choices.site_names)
    shipments, sites = choose_destined(project.destinations, shipments, sites, asked, choices.site_configs)
    if choices.dry_run:
        print_dry_run(plan, shipments, sites, project, choices.run)
        return 0
    folder = Path.cwd()
    night = Night(
        *(plan, shipments),
        folder=folder,
        kept=nightly_folder(state_folder(os.environ), folder),
        refresh=choices.refresh_base or project.nightly.refresh_base,
    )
    frame = Frame(night.adapt, night.conclude)
    code = perform_run(plan, shipments, sites, project, choices.run, frame=frame)

    def clear_registry() -> list[str]:
        if code != 0:
            return []
        plain_http = frozenset(host for site in sites for host in site.runtime.plain_http)
        registry = RegistryClient.from_environment(os.environ, plain_http=plain_http)
        return [printable(problem) for problem in night.clear_registry(registry, keep=project.retention.releases)]

    reached = [site for site in sites if site.name not in night.unreachable]
    return clear_after(code, clear_registry, lambda: clear_up(reached, project.retention))


def _wait(jitter_s: float, choices: NightChoices) -> None:
    """Wait a random part of the jitter. Raises InterruptedByUserError."""
    if jitter_s <= 0 or choices.dry_run:
        return
    pause_s = random.uniform(0, jitter_s)  # noqa: S311  (spreads load, hides nothing)
    click.echo(f"begins in {pause_s:.0f} s (jitter up to {jitter_s:.0f} s)", err=True)
    with signals_raise():
        SystemClock().sleep(pause_s)
