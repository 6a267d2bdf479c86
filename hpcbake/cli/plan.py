"""`hpcbake plan`: what ship would do at every site, and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from hpcbake import __version__
from hpcbake.adapters.buildx import Buildx
from hpcbake.build.document import Shipment, find_shipments
from hpcbake.build.entitlements import needed_entitlements
from hpcbake.cli.build_ahead import describe_places, make_workshop
from hpcbake.cli.console import print_page
from hpcbake.cli.destinations import Asked, choose_destinations
from hpcbake.cli.image_verb import refuse_twins, split_name
from hpcbake.cli.options import (
    bake_options,
    builder_option,
    jobs_option,
    read_plan,
    read_project,
    read_sites,
    site_options,
    way_option,
)
from hpcbake.cli.world import make_world
from hpcbake.errors import HpcbakeError, UsageError
from hpcbake.model.late import dataclass
from hpcbake.model.plan import Plan
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.report.records import error_record
from hpcbake.ship.forecast import Forecast
from hpcbake.ship.forecast_document import render_plan
from hpcbake.ship.forecast_table import render_forecast
from hpcbake.ship.parallel import in_parallel
from hpcbake.ship.plan import PlanSettings, plan
from hpcbake.ship.project import Project
from hpcbake.ship.prospect import Prospect, ReadableRegistry, prospect_of_reference, prospect_of_shipment


@click.command("plan")
@click.argument("images", nargs=-1, metavar="[[NAME=]IMAGE...]")
@bake_options
@site_options
@jobs_option
@way_option
@builder_option
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON document.")
@click.option("--detailed-exitcode", is_flag=True, help="End with 4 when ship has something to do, with 0 when not.")
def command(
    images: tuple[str, ...],
    files: tuple[str, ...],
    targets: tuple[str, ...],
    overrides: tuple[str, ...],
    variables: tuple[str, ...],
    site_names: tuple[str, ...],
    site_configs: Path,
    parallel_sites: int,
    way: str | None,
    builder: str | None,
    as_json: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what ship would do: create, update, unchanged or blocked for every image at every site, with the reason,
    the way it would take, the bytes to move and the smoke jobs to run. Reads only: nothing is built, pushed or
    written.

    \b
    hpcbake plan                              all targets at all sites
    hpcbake plan --site alder                 one site
    hpcbake plan app=registry/team/app:1.0    an image that is built already

    A target of a bake file is judged by what its tag holds in the registry now; only the build can tell whether
    that is still what it makes. What is blocked gives the exit code that ship would end with: 30 does not fit, 40
    site unreachable, 75 held, 3 when sites or images differ.
    """
    bake = (files, targets, overrides, variables)
    try:
        if images and any(bake):
            raise UsageError(
                "images by reference take no -f, --target, --set or --var: those choose targets of bake files",
                remedy="give the images, or the targets",
            )
        asked = _ask_images(images) if images else _ask_targets(bake)
        sites = read_sites(site_configs, site_names)
        project = read_project(Path.cwd())
        words = Asked(tuple(asked.questions) if images else targets, site_names)
        names, sites = choose_destinations(project.destinations, list(asked.questions), sites, words, site_configs)
        asked = asked.only(names)
        asked = replace(asked, warnings=(*asked.warnings, *_tell_builders(asked, project, builder, quiet=as_json)))
        forecast = _forecast(asked, sites, project, parallel_sites, way)
    except HpcbakeError as error:
        if as_json:
            click.echo(render_plan(Forecast(__version__, (), (), error=error_record("resolve", error))), nl=False)
        raise
    forecast = replace(forecast, is_detailed=detailed_exitcode)
    if as_json:
        click.echo(render_plan(forecast), nl=False)
    else:
        print_page(render_forecast(forecast))
    return int(forecast.code)


@dataclass(frozen=True)
class _Questions:
    """What is to be planned: each image's question to the registry, and the warnings of the bake files.

    `shipments` of `plan` are what a ship would build first.
    """

    questions: Mapping[str, Callable[[ReadableRegistry], Prospect]]
    warnings: tuple[str, ...] = ()
    plan: Plan | None = None
    shipments: tuple[Shipment, ...] = ()

    def only(self, names: Sequence[str]) -> _Questions:
        return replace(
            self,
            questions={name: self.questions[name] for name in names},
            shipments=tuple(shipment for shipment in self.shipments if shipment.name in names),
        )


def _ask_images(images: Sequence[str]) -> _Questions:
    named = [split_name(text) for text in images]
    refuse_twins([name for name, _ in named])
    return _Questions({name: partial(prospect_of_reference, name, text) for name, text in named})


def _ask_targets(bake: tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]]) -> _Questions:
    resolved = read_plan(*bake)
    shipments = tuple(find_shipments(resolved))
    questions = {item.name: partial(prospect_of_shipment, item) for item in shipments}
    return _Questions(questions, tuple(warning.message for warning in resolved.warnings), resolved, shipments)


def _tell_builders(asked: _Questions, project: Project, builder: str | None, *, quiet: bool) -> list[str]:
    """Say on stderr where a ship would build; warnings of emulation, and of what it would ask for."""
    if asked.plan is None or not asked.shipments:
        return []
    folder = Path.cwd()
    make = partial(Buildx, folder=folder, environment=os.environ)
    lines, warnings = describe_places(make_workshop(asked.shipments, project.builders, builder, make), asked.shipments)
    warnings += [
        f"ship will ask for --allow {need.grant}: target {need.target!r}: {need.why}"
        for need in needed_entitlements(asked.plan, asked.shipments, folder)
    ]
    for line in () if quiet else (*lines, *(f"warning: {warning}" for warning in warnings)):
        click.echo(printable(line), err=True)
    return warnings


def _forecast(
    asked: _Questions, sites: Sequence[Site], project: Project, parallel_sites: int, way: str | None
) -> Forecast:
    folder = Path.cwd()
    plain_http = sorted({host for site in sites for host in site.runtime.plain_http})
    world = make_world(os.environ, folder=folder, plain_http=plain_http, convert=project.convert)
    prospects = in_parallel(
        [partial(question, world.registry) for question in asked.questions.values()], parallel_sites
    )
    settings = PlanSettings(
        tool_version=__version__,
        tests={prospect.name: project.tests_for(prospect.name) for prospect in prospects},
        expose={prospect.name: project.exposed_by(prospect.name) for prospect in prospects},
        template_folders=(folder / "slurm",),
        way=way,
        destinations=project.destinations,
    )
    return plan(prospects, sites, settings, world=world, parallel_sites=parallel_sites, warnings=asked.warnings)
