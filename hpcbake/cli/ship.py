"""`hpcbake ship`: bring the targets of the bake files to every site."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from hpcbake.build.document import find_shipments
from hpcbake.cli.destinations import Asked, choose_shipments
from hpcbake.cli.dry_run import print_dry_run
from hpcbake.cli.faces import choose_faces, face_options
from hpcbake.cli.options import (
    bake_options,
    build_options,
    detach_option,
    read_plan,
    read_project,
    read_sites,
    run_options,
    site_options,
)
from hpcbake.cli.run import RunChoices, perform_run, report_early_failure
from hpcbake.errors import HpcbakeError


@click.command("ship")
@bake_options
@build_options
@site_options
@run_options
@click.option(
    "--until",
    type=click.Choice(["check", "deliver", "smoke", "promote"]),
    default="promote",
    show_default=True,
    help="Stop after this stage.",
)
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
    until: str,
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

    Run it again at any time: what is in place stays untouched, what was interrupted is finished.
    """
    faces = choose_faces(junit, github, prometheus, pages, os.environ)
    try:
        plan = read_plan(files, targets, overrides, variables)
        shipments = find_shipments(plan)
        sites = read_sites(site_configs, site_names)
        project = read_project(Path.cwd())
        asked = Asked(targets, site_names)
        shipments, sites = choose_shipments(project.destinations, shipments, sites, asked, site_configs)
    except HpcbakeError as error:
        if as_json:
            report_early_failure(error)
        raise
    choices = RunChoices(until, builder, allow, retry_failed, lock_wait, parallel_sites, as_json, report_path, way)
    choices = replace(choices, detach=detach, faces=faces)
    if dry_run:
        print_dry_run(plan, shipments, sites, project, choices)
        return 0
    return perform_run(plan, shipments, sites, project, choices)
