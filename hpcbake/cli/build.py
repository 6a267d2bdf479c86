"""`hpcbake build`: build and push the targets, print the digests that the registry confirmed."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import click

from hpcbake.adapters.buildx import Buildx
from hpcbake.build.build import build
from hpcbake.build.document import SITE_PLATFORM, find_shipments
from hpcbake.cli.build_ahead import ask_entitlements, describe_places, make_workshop
from hpcbake.cli.options import bake_options, build_options, read_plan, read_project
from hpcbake.cli.world import make_world


@click.command("build")
@bake_options
@build_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    files: tuple[str, ...],
    targets: tuple[str, ...],
    overrides: tuple[str, ...],
    variables: tuple[str, ...],
    builder: str | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> int:
    """Build the targets for linux/amd64, push them by digest, and read back every blob.

    No tag moves: tags follow when a ship has promoted the digest at every site. Prints one
    REPOSITORY@DIGEST per target.
    """
    plan = read_plan(files, targets, overrides, variables)
    shipments = find_shipments(plan)
    folder = Path.cwd()
    granted = ask_entitlements(plan, shipments, allow, folder=folder)
    make = partial(Buildx, folder=folder, environment=os.environ, allow=granted)
    workshop = make_workshop(shipments, read_project(folder).builders, builder, make)
    for line in (line for lines in describe_places(workshop, shipments) for line in lines):
        click.echo(line, err=True)
    registry = make_world(os.environ, folder=folder).registry
    images = build(plan, shipments, builder=workshop.builder, registry=registry)
    if as_json:
        document = {
            "kind": "hpcbake.build",
            "version": 1,
            "platform": SITE_PLATFORM,
            "images": [
                {
                    "name": image.name,
                    "reference": str(image.reference),
                    "digest": str(image.digest),
                    "blobs": image.blobs,
                }
                for image in images
            ],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for image in images:
            click.echo(f"{image.name}  {image.reference}")
    return 0
