"""`hpcbake diff`: what a new image needs and offers that the old one did not."""

from __future__ import annotations

import json

import click

from hpcbake.check.diff import diff_document, diff_images, render_diff
from hpcbake.check.document import printable
from hpcbake.cli.scan import registry_options, scan
from hpcbake.model.site import Login, Site, Store
from hpcbake.sites.profile import find_profile


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--profile", help="Judge what loads by this profile; default: an x86-64 site that declares nothing.")
@registry_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    old: str,
    new: str,
    profile: str | None,
    files: tuple[str, ...],
    plain_http: tuple[str, ...],
    mirrors: tuple[str, ...],
    ca_file: str | None,
    no_fact_cache: bool,
    as_json: bool,
) -> int:
    """Show what changed from one image to another in what they need and offer.

    OLD and NEW are named as for `hpcbake check`. Exit code 0 whether they differ or not.
    """
    site = find_profile(profile) if profile else Site("any", Login(""), Store(""))
    before, after = (
        scan(
            name,
            files=files,
            plain_http=plain_http,
            mirrors=mirrors,
            ca_file=ca_file,
            use_cache=not no_fact_cache,
            sites=[site],
        )
        for name in (old, new)
    )
    differences = diff_images(before, after, site)
    if as_json:
        click.echo(json.dumps(diff_document(before, after, differences), indent=2))
    elif differences:
        click.echo("\n".join(printable(line) for line in render_diff(differences).split("\n")))
    else:
        click.echo("no difference in what they need, offer and start")
    return 0
