"""`hpcbake lint`: what bake files and their Dockerfiles say that will hurt on a cluster."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpcbake.cli.printing import local_platform, parse_variables
from hpcbake.errors import ExitCode, RegistryError

if TYPE_CHECKING:
    from hpcbake.bakefile.lint.case import BaseCatalogue
    from hpcbake.model.reference import ImageReference


@click.command("lint", short_help="Look for what will hurt on a cluster, before anything is built.")
@click.argument("targets", nargs=-1)
@click.option(
    "-f", "--file", "files", multiple=True, metavar="FILE", help="Bake file; repeatable; - is standard input."
)
@click.option("--set", "overrides", multiple=True, metavar="PATTERN.KEY=VALUE", help="Override a value; += appends.")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable of the bake file.")
@click.option("--online", is_flag=True, help="Look base images up in their registries: do they exist, which digest.")
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
@click.option("--sarif", "as_sarif", is_flag=True, help="Write the findings as SARIF 2.1.0.")
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
def command(
    targets: tuple[str, ...],
    files: tuple[str, ...],
    overrides: tuple[str, ...],
    variables: tuple[str, ...],
    online: bool,
    as_json: bool,
    as_sarif: bool,
    strict: bool,
) -> int:
    """Look at bake files and the Dockerfiles that they name for what will hurt on a cluster.

    Nothing is built. A finding is accepted with a comment on its line or above it:
    `# hpcbake: ignore=CODE reason`. Exits with 10 when there are errors.
    """
    from hpcbake.bakefile import BakeRequest
    from hpcbake.bakefile.lint import lint
    from hpcbake.bakefile.lint.report import render_text, report_as_json, report_as_sarif
    from hpcbake.bakefile.resolve import plan_of, read_request

    request = BakeRequest(files=files, targets=targets, overrides=overrides, variables=parse_variables(variables))
    folder = Path()
    read = read_request(
        request, folder=folder, environment=os.environ, stdin=sys.stdin.read, local_platform=local_platform()
    )
    plan = plan_of(read, request, folder=folder, environment=os.environ)
    report = lint(
        read,
        plan,
        folder=folder,
        today=datetime.now(timezone.utc).date(),
        catalogue=_registry_catalogue() if online else None,
    )
    if as_sarif:
        click.echo(json.dumps(report_as_sarif(report), indent=2))
    elif as_json:
        click.echo(json.dumps(report_as_json(report), indent=2))
    else:
        click.echo(render_text(report))
    failed = report.has_errors or (strict and bool(report.findings))
    return int(ExitCode.CONFIG if failed else ExitCode.OK)


def _registry_catalogue() -> BaseCatalogue:
    from hpcbake.adapters.registry import RegistryClient

    client = RegistryClient.from_environment(os.environ)

    class Catalogue:
        """Base images as their registries have them."""

        def find_digest(self, reference: ImageReference) -> str | None:
            try:
                return str(client.fetch_manifest(reference).digest)
            except RegistryError as error:
                if error.kind == "registry.not-found":
                    return None
                raise

    return Catalogue()
