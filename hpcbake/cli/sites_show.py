"""`hpcbake sites show`: one site config as it takes effect."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hpcbake.cli.options import configs_option, read_sites


@click.command("show")
@click.argument("name")
@configs_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, site_configs: Path, as_json: bool) -> None:
    """Show every setting of a site with the line that makes it so, or that it is the default.

    What is printed is itself a valid site config. Reads one file and asks nobody.
    """
    from hpcbake.sites.effective import effective_settings, render_settings

    (site,) = read_sites(site_configs, [name])
    settings = effective_settings(site, Path(site.path).read_text(encoding="utf-8"))
    if not as_json:
        click.echo(render_settings(settings, site.path), nl=False)
        return
    shown = [{"key": item.key, "value": item.value, "line": item.line} for item in settings]
    document = {"kind": "hpcbake.site", "version": 1, "name": site.name, "file": site.path, "settings": shown}
    click.echo(json.dumps(document, indent=2))
