"""`hpcbake nightly --pull`: a site that lets nobody in follows tags of a registry by itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import click

from hpcbake.adapters.registry import RegistryClient
from hpcbake.build.build import image_from_reference
from hpcbake.build.document import Shipment
from hpcbake.cli.frame import Frame
from hpcbake.cli.image_verb import refuse_twins, split_name
from hpcbake.cli.run import RunChoices, perform_run
from hpcbake.deliver.published import PublishedSifs
from hpcbake.errors import HpcbakeError, UsageError
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.plan import Plan, Target
from hpcbake.model.site import Site
from hpcbake.ship.nightly import with_target_errors
from hpcbake.ship.project import Project


def the_site_here(sites: Sequence[Site]) -> Site:
    """The site that this machine belongs to, reached without SSH. Raises UsageError when several could be it."""
    if len(sites) != 1:
        names = ", ".join(site.name for site in sites) or "none"
        raise UsageError(
            f"--pull works on the cluster that it runs on, and there are several sites: {names}",
            remedy="name the one that this machine is: --site NAME",
        )
    return replace(sites[0], login=replace(sites[0].login, transport="local"))


def perform_pull(named: Sequence[str], site: Site, project: Project, choices: RunChoices) -> int:
    """Bring what these tags name now to this site: fetch the SIF beside it, or convert; test, promote, report.

    Registry tags are read and never moved. An image that cannot be found costs no other its night.
    """
    if not named:
        raise UsageError(
            "--pull follows nothing: no image is named",
            remedy="name them, `hpcbake nightly --pull app=registry.example.org/team/app:1.0`, "
            "or write them to hpcbake.yaml: nightly.images",
        )
    pairs = [split_name(text) for text in named]
    refuse_twins([name for name, _ in pairs])
    registry = RegistryClient.from_environment(os.environ, plain_http=frozenset(site.runtime.plain_http))
    images: list[BuiltImage] = []
    failures: dict[str, HpcbakeError] = {}
    for name, reference in pairs:
        try:
            images.append(image_from_reference(reference, name=name, registry=registry))
        except HpcbakeError as error:
            click.echo(f"warning: {name}: {error.message}", err=True)
            failures[name] = error
    frame = Frame(
        adapt=lambda world, _: replace(world, converter=PublishedSifs(registry)),
        conclude=lambda report: with_target_errors(report, failures, "resolve"),
    )
    shipments = [Shipment(Target(image.name, {}), (image.reference,)) for image in images]
    # What the site config says of ways is for a build host that comes from outside.
    choices = replace(choices, way=choices.way or "auto")
    return perform_run(Plan({}, {}), shipments, [site], project, choices, images=images, frame=frame)


def follow(images: Sequence[str], project: Project) -> tuple[str, ...]:
    """The images of the command line, or else those of the project."""
    return tuple(images) or project.nightly.images
