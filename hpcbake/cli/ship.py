"""`hpcbake ship`: bring the targets of the bake files to every site."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from hpcbake.build.build import confirm
from hpcbake.build.document import Shipment, find_shipments
from hpcbake.cli.build_ahead import ask_entitlements
from hpcbake.cli.configuration import state_folder
from hpcbake.cli.destinations import Asked, choose_shipments
from hpcbake.cli.dry_run import print_dry_run
from hpcbake.cli.faces import choose_faces, face_options
from hpcbake.cli.nightly_retention import clear_up
from hpcbake.cli.options import (
    all_or_none_option,
    bake_options,
    build_options,
    detach_option,
    read_plan,
    read_project,
    read_sites,
    run_options,
    site_options,
)
from hpcbake.cli.project_templates import require_project_templates
from hpcbake.cli.retention import ServedSites, clear_after
from hpcbake.cli.run import RunChoices, announce_early_failure, perform_run, report_early_failure
from hpcbake.cli.world import make_world
from hpcbake.errors import HpcbakeError, UsageError
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.site import Site
from hpcbake.ship.last_build import find_built

#: What --until and --only-stage take.
STAGES = ("build", "check", "deliver", "smoke", "promote")


@click.command("ship")
@bake_options
@build_options
@site_options
@run_options
@click.option(
    "--until",
    type=click.Choice(STAGES),
    default="promote",
    show_default=True,
    help="Stop after this stage.",
)
@click.option(
    "--only-stage",
    type=click.Choice(STAGES),
    help="Do this stage alone, for the images of the last build; what it stands on must be there.",
)
@all_or_none_option
@detach_option
@face_options
def command(
    files: tuple[str, ...],
    targets: tuple[str, ...],
    overrides: tuple[str, ...],
    variables: tuple[str, ...],
    builder: str | None,
    allow: tuple[str, ...],
    site_names: tuple[str, ...],
    site_configs: Path,
    retry_failed: bool,
    lock_wait: int,
    parallel_sites: int,
    dry_run: bool,
    as_json: bool,
    report_path: Path | None,
    way: str | None,
    progress: str,
    until: str,
    only_stage: str | None,
    all_or_none: bool,
    detach: bool,
    junit: Path | None,
    github: str | None,
    prometheus: Path | None,
    pages: Path | None,
) -> int:
    """Bring images from the bake file to every site: build, check, deliver, smoke, promote.

    \b
    hpcbake ship                       all targets to all sites
    hpcbake ship --site alder          one site
    hpcbake ship --target app --json   one target, the report as JSON

    The plan is shown before anything is done at a site, and is what is then done: hpcbake plan shows it alone.
    Run it again at any time: what is in place stays untouched, what was interrupted is finished.
    """
    refuse_odd_stages(until, only_stage, all_or_none=all_or_none)
    faces = choose_faces(junit, github, prometheus, pages, os.environ)
    try:
        plan = read_plan(files, targets, overrides, variables)
        shipments = find_shipments(plan)
        sites = read_sites(site_configs, site_names)
        project = read_project(Path.cwd())
        asked = Asked(targets, site_names)
        shipments, sites = choose_shipments(project.destinations, shipments, sites, asked, site_configs)
        tests = {shipment.name: project.tests_for(shipment.name) for shipment in shipments}
        require_project_templates(tests, Path.cwd())
        is_late_stage = only_stage is not None and only_stage != "build" and not dry_run
        images = built_before(shipments, sites) if is_late_stage else None
        if images is None and not dry_run:
            allow = ask_entitlements(plan, shipments, allow, folder=Path.cwd())
    except HpcbakeError as error:
        if as_json:
            report_early_failure(error)
        if not dry_run:
            announce_early_failure(error)
        raise
    choices = RunChoices(until, builder, allow, retry_failed, lock_wait, parallel_sites, as_json, report_path, way)
    choices = replace(choices, until=only_stage or until, only=bool(only_stage), all_or_none=all_or_none)
    choices = replace(choices, progress=progress, detach=detach, faces=faces, announces=True)
    if dry_run:
        print_dry_run(plan, shipments, sites, project, choices)
        return 0
    served = ServedSites()
    code = perform_run(plan, shipments, sites, project, choices, images=images, frame=served.frame)
    return clear_after(code, lambda: clear_up(served.among(sites), project.retention))


def refuse_odd_stages(until: str, only_stage: str | None, *, all_or_none: bool) -> None:
    """Raises UsageError for flags that contradict each other."""
    if only_stage and until != "promote":
        raise UsageError(
            "--until and --only-stage say different things",
            remedy=f"give one: --only-stage {only_stage} does that stage alone, --until {until} all up to there",
        )
    if all_or_none and (only_stage or until) != "promote":
        raise UsageError(
            f"--all-or-none is about promoting, and this run ends with {only_stage or until}",
            remedy="leave one of the two away",
        )


def built_before(shipments: Sequence[Shipment], sites: Sequence[Site]) -> list[BuiltImage]:
    """What the last build of this folder made of these targets, asked for in the registry again.

    Raises UsageError for a target that was not built here yet, RegistryError for what the registry lost.
    """
    folder = Path.cwd()
    known = find_built(state_folder(os.environ) / "runs", str(folder), [shipment.name for shipment in shipments])
    missing = [shipment.name for shipment in shipments if shipment.name not in known]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} was not built in this folder yet, as far as the kept runs tell",
            remedy="build: hpcbake ship --only-stage build, or leave --only-stage away",
        )
    plain_http = sorted({host for site in sites for host in site.runtime.plain_http})
    registry = make_world(os.environ, folder=folder, plain_http=plain_http).registry
    return [confirm(shipment, known[shipment.name], registry=registry) for shipment in shipments]
