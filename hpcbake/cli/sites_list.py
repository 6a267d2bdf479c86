"""`hpcbake sites list`: the clusters of the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from hpcbake.cli.options import read_sites, site_options
from hpcbake.model.site import Login, Site


@click.command("list")
@site_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(site_names: tuple[str, ...], site_configs: Path, as_json: bool) -> None:
    """List the sites: name, login, transport, way of delivery, scheduler, store, file. Reads files and asks nobody."""
    sites = read_sites(site_configs, site_names)
    if as_json:
        click.echo(json.dumps(_document(sites), indent=2))
    else:
        _print(sites)


def login_text(login: Login) -> str:
    """`user@host:port` with what is declared of it."""
    user = f"{login.user}@" if login.user else ""
    port = f":{login.port}" if login.port else ""
    return f"{user}{login.host}{port}"


def scheduler_text(site: Site) -> str:
    """Who runs smoke jobs, and in which partition."""
    if site.slurm.scheduler != "slurm":
        return site.slurm.scheduler
    return f"slurm, {site.slurm.partition or 'default partition'}"


def _print(sites: list[Site]) -> None:
    from rich.table import Table

    from hpcbake.cli.console import make_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("site", "login", "transport", "way", "scheduler", "store", "file", "description"):
        table.add_column(heading, no_wrap=heading != "description")
    for site in sites:
        reached = (site.name, login_text(site.login), site.login.transport, site.runtime.way)
        table.add_row(*reached, scheduler_text(site), site.store.root, site.path, site.description)
    make_console().print(table)


def _document(sites: list[Site]) -> dict[str, Any]:
    return {
        "kind": "hpcbake.sites",
        "version": 1,
        "sites": [
            {
                "name": site.name,
                "description": site.description,
                "login": {"host": site.login.host, "user": site.login.user, "port": site.login.port},
                "transport": site.login.transport,
                "way": site.runtime.way,
                "scheduler": site.slurm.scheduler,
                "partition": site.slurm.partition,
                "store": site.store.root,
                "file": site.path,
            }
            for site in sites
        ],
    }
