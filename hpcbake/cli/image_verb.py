"""The verbs deliver, smoke and promote: a run that ends after that stage, for images that are built already."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from hpcbake.build.build import image_from_reference
from hpcbake.build.document import RESERVED_NAMES, Shipment
from hpcbake.cli.destinations import Asked, choose_destinations
from hpcbake.cli.options import read_project, read_sites, run_options, site_options
from hpcbake.cli.run import RunChoices, perform_collect, perform_run
from hpcbake.cli.world import make_world
from hpcbake.errors import UsageError
from hpcbake.model.plan import Plan, Target
from hpcbake.model.reference import parse_image_reference


def make_image_verb(stage: str, help_text: str) -> click.Command:
    """The command for one stage."""

    @click.command(stage, help=help_text)
    @click.argument("images", nargs=-1, required=stage != "smoke", metavar="[NAME=]IMAGE...")
    @site_options
    @run_options
    def command(
        images: tuple[str, ...],
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
        detach: bool = False,
        collect: bool = False,
    ) -> int:
        sites = read_sites(site_configs, site_names)
        if collect:
            choices = RunChoices(
                parallel_sites=parallel_sites, as_json=as_json, report_path=report_path, progress=progress
            )
            return perform_collect(sites, [split_name(text)[0] for text in images], choices)
        if not images:
            raise click.MissingParameter(param_type="argument", param_hint="[NAME=]IMAGE...")
        plain_http = sorted({host for site in sites for host in site.runtime.plain_http})
        world = make_world(os.environ, folder=Path.cwd(), plain_http=plain_http)
        named = [split_name(text) for text in images]
        refuse_twins([name for name, _ in named])
        built = [image_from_reference(reference, name=name, registry=world.registry) for name, reference in named]
        project = read_project(Path.cwd())
        names, sites = choose_destinations(
            project.destinations,
            [image.name for image in built],
            sites,
            Asked([image.name for image in built], site_names),
            site_configs,
        )
        built = [image for image in built if image.name in names]
        shipments = [Shipment(Target(image.name, {}), (image.reference,)) for image in built]
        if dry_run:
            for image in built:
                for site in sites:
                    if not project.destinations.includes(image.name, site.name):
                        continue
                    click.echo(f"{stage} {image.name} {image.reference} at {site.name}")
            return 0
        choices = RunChoices(
            *(stage, None, (), retry_failed, lock_wait, parallel_sites, as_json, report_path, way),
            # Who names an image to promote wants it promoted.
            release_hold=stage == "promote",
            detach=detach,
            progress=progress,
        )
        return perform_run(Plan({}, {}), shipments, sites, project, choices, images=built)

    return with_job_options(command) if stage == "smoke" else command


def with_job_options(command: click.Command) -> click.Command:
    """--detach and --collect, for the verb that runs jobs."""
    command.params += [
        click.Option(["--detach"], is_flag=True, help="Submit the jobs and leave; --collect tells how they ended."),
        click.Option(
            ["--collect"],
            is_flag=True,
            help="Submit nothing: wait for the jobs that were left to themselves, of the images named or of all.",
        ),
    ]
    return command


def split_name(text: str) -> tuple[str, str]:
    """`NAME=IMAGE`, or an IMAGE whose repository's last part becomes the name in the store."""
    name, equals, reference = text.partition("=")
    if not equals:
        reference, name = text, parse_image_reference(text).repository.rsplit("/", 1)[-1].replace(".", "_")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name in RESERVED_NAMES:
        raise UsageError(
            f"{name!r} cannot be an image's name in the store",
            remedy=f"use letters, digits, _ and -, and not {' or '.join(sorted(RESERVED_NAMES))}",
        )
    return name, reference


def refuse_twins(names: Sequence[str]) -> None:
    """Raises UsageError when two images would have one folder in the store."""
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two images would both be {name!r} in the store", remedy="name them: NAME=IMAGE")
