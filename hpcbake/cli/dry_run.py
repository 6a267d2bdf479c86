"""`--dry-run`: the exact commands of a run, without touching anything. Digests are not known before the build."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.adapters.buildx import Buildx
from hpcbake.build.document import Shipment, build_document
from hpcbake.cli.run import RunChoices
from hpcbake.deliver.deliver import DeliverRequest, pull_argv
from hpcbake.model.artefacts import BuiltImage, Deployment
from hpcbake.model.plan import Plan
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.ship.project import Project
from hpcbake.smoke.submit import SmokeRequest, render_jobs

#: Stands for a digest that only the build will tell.
_UNBUILT = Digest("sha256:" + "0" * 64)


def print_dry_run(
    plan: Plan, shipments: Sequence[Shipment], sites: Sequence[Site], project: Project, choices: RunChoices
) -> None:
    """Print the plan handed to BuildKit, then every command per site and image."""
    builder = Buildx(folder=Path.cwd(), environment=os.environ, builder=choices.builder, allow=choices.allow)
    click.echo("# build: this plan, by this command")
    click.echo(json.dumps(build_document(plan, shipments, by_digest=builder.pushes_by_digest()), indent=2))
    click.echo(shlex.join(builder.argv("plan.json", "metadata.json", [s.name for s in shipments])))
    commands = SpythonCommands()
    click.echo(f"# digests are known after the build; {_UNBUILT.short}… stands for them below")
    for site in sites:
        for shipment in shipments:
            if not project.destinations.includes(shipment.name, site.name):
                continue
            image = BuiltImage(shipment.name, shipment.version, shipment.tags[0].with_digest(_UNBUILT), _UNBUILT, 0)
            click.echo(f"\n# {site.name} ({site.login.transport} to {site.login.host}): {shipment.name}")
            for line in _site_commands(image, site, project, commands, choices):
                click.echo(line)


def _site_commands(
    image: BuiltImage, site: Site, project: Project, commands: SpythonCommands, choices: RunChoices
) -> list[str]:
    path = f"{site.store.root}/sif/{image.name}/{image.digest.hex}.sif"
    lines: list[str] = []
    if choices.until == "check":
        return lines
    request = DeliverRequest(image, run="RUN", created="", tool_version="")
    lines.append(shlex.join(pull_argv(request, site, commands)))
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
    lines += [f"sbatch --parsable job.sh   # smoke test {job.test.name}" for job in render_jobs(smoke, site, commands)]
    if choices.until == "promote":
        lines.append(f"mv -fT LINK {site.store.root}/{image.name}/{image.version}")
        lines.append(f"mv -fT LINK {site.store.root}/{image.name}/current")
    return lines
