"""`--dry-run`: the exact commands of a run, without touching anything. Digests are not known before the build."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from hpcbake.adapters.buildx import Buildx
from hpcbake.build.document import Shipment, build_document
from hpcbake.build.entitlements import missing_entitlements, needed_entitlements
from hpcbake.cli.build_ahead import Workshop, make_workshop, place_lines
from hpcbake.cli.run import RunChoices
from hpcbake.cli.runlog import make_redactor
from hpcbake.cli.world import make_world
from hpcbake.deliver.convert import SifConverter, artifact_tag
from hpcbake.deliver.deliver import DeliverRequest, pull_argv, sbatch_argv
from hpcbake.deliver.ways import LoginFacts, choose_way
from hpcbake.model.artefacts import BuiltImage, ConvertedSif, Deployment
from hpcbake.model.plan import Plan
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.ship.ports import World
from hpcbake.ship.project import Project
from hpcbake.smoke.submit import SmokeRequest, render_jobs

#: Stands for a digest that only the build will tell.
_UNBUILT = Digest("sha256:" + "0" * 64)


def print_dry_run(
    plan: Plan, shipments: Sequence[Shipment], sites: Sequence[Site], project: Project, choices: RunChoices
) -> None:
    """Print the plan handed to BuildKit, then every command per site and image; what is secret is taken out."""
    folder = Path.cwd()
    redact = make_redactor(os.environ, plan, folder).text
    make = partial(Buildx, folder=folder, environment=os.environ, allow=choices.allow)
    for line in _build_lines(plan, shipments, make_workshop(shipments, project.builders, choices.builder, make)):
        click.echo(redact(line))
    for need in missing_entitlements(needed_entitlements(plan, shipments, folder), choices.allow):
        click.echo(redact(f"# asks for --allow {need.grant}: target {need.target!r}: {need.why}"))
    if choices.until == "build":
        return
    click.echo(f"# digests are known after the build; {_UNBUILT.short}… stands for them below")
    plain_http = sorted({host for site in sites for host in site.runtime.plain_http})
    world = make_world(os.environ, folder=folder, plain_http=plain_http, convert=project.convert)
    for site in sites:
        for shipment in shipments:
            if not project.destinations.includes(shipment.name, site.name):
                continue
            image = BuiltImage(shipment.name, shipment.version, shipment.tags[0].with_digest(_UNBUILT), _UNBUILT, 0)
            click.echo(f"\n# {site.name}: {shipment.name}; {_TRANSPORTS[site.login.transport]} {site.login.host}")
            for line in _site_commands(image, site, project, world, choices):
                click.echo(redact(line))


#: How the scripts with these commands come to a site.
_TRANSPORTS = {
    "fabric": "scripts on the standard input of /bin/sh -s, over SSH (fabric) to",
    "openssh": "scripts on the standard input of /bin/sh -s, over your own ssh to",
    "local": "scripts on the standard input of /bin/sh -s on this machine, which is",
}


def _build_lines(plan: Plan, shipments: Sequence[Shipment], workshop: Workshop) -> Iterator[str]:
    """The definition, and one command per builder."""
    by_digest = workshop.builder.pushes_by_digest()
    yield "# build: this plan, by the command below it"
    yield json.dumps(build_document(plan, shipments, by_digest=by_digest), indent=2)
    for line in place_lines(workshop.places(shipments)):
        yield f"# {line}"
    for name, builder in workshop.builders.items():
        own = [shipment.name for shipment in shipments if workshop.name_of(shipment.name) == name]
        yield shlex.join(builder.argv("plan.json", "metadata.json", own))


def _site_commands(image: BuiltImage, site: Site, project: Project, world: World, choices: RunChoices) -> list[str]:
    path = f"{site.store.root}/sif/{image.name}/{image.digest.hex}.sif"
    if choices.until == "check":
        return []
    lines = _delivery(image, site, world, choices.way or site.runtime.way)
    lines.append(f"mv -fT PARTIAL {shlex.quote(path)}")
    if choices.until == "deliver":
        return lines
    deployment = Deployment(site.name, image, path, "0" * 64, 0, changed=True)
    smoke = SmokeRequest(
        deployment,
        project.tests_for(image.name),
        run="RUN",
        template_folders=(Path.cwd() / "slurm",),
        programs=project.exposed_by(image.name),
    )
    jobs = render_jobs(smoke, site, world.commands)
    lines += [f"sbatch --parsable job.sh   # smoke test {job.test.name!r}" for job in jobs]
    if choices.until == "promote":
        lines.append(f"mv -fT LINK {shlex.quote(f'{site.store.root}/{image.name}/{image.version}')}")
        lines.append(f"mv -fT LINK {shlex.quote(f'{site.store.root}/{image.name}/current')}")
    return lines


def _delivery(image: BuiltImage, site: Site, world: World, way: str) -> list[str]:
    """The commands of one way; of `auto` those that come first, and what decides."""
    cannot = world.converter.why_not()
    if way == "auto":
        chosen = choose_way(way, site, image.reference, LoginFacts(), cannot_convert=cannot)
        others = "stream where the site gets no answer from the registry" if chosen.name == "oras" else chosen.why
        return [f"# way auto: {chosen.name}; {others}", *_delivery(image, site, world, chosen.name)]
    pull = shlex.join(pull_argv(DeliverRequest(image, run="RUN", created="", tool_version=""), site, world.commands))
    if way == "docker":
        return [f"# way {way}: on the login node", pull]
    if way == "job":
        return [f"# way {way}: in a Slurm job", shlex.join([*sbatch_argv(site), "job.sh"]), f"{pull}   # in that job"]
    lines = [f"# way {way}: converted once, on this machine" + (f", which cannot: {cannot}" if cannot else "")]
    if not cannot and isinstance(world.converter, SifConverter):
        lines.append(shlex.join(world.converter.command(image)))
    if way == "stream":
        return [*lines, "cat >PARTIAL <SIF   # sent over the connection to the site"]
    place = image.reference.with_tag(artifact_tag(image.digest))
    converted = ConvertedSif(Path("SIF"), "0" * 64, 0, place.with_digest(_UNBUILT))
    request = DeliverRequest(image, run="RUN", created="", tool_version="", way=way, converted=converted)
    return [*lines, f"# pushed as {place}", shlex.join(pull_argv(request, site, world.commands))]
