"""`hpcbake status`: what is on every site, as the sites themselves say."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hpcbake.cli.console import make_console
from hpcbake.cli.destinations import choose_looked_at
from hpcbake.cli.fleet import sites_at_once
from hpcbake.cli.options import read_project, read_sites, site_options
from hpcbake.cli.world import connect
from hpcbake.deliver.status import SiteStatus, StoredRelease, site_status
from hpcbake.errors import ExitCode, HpcbakeError
from hpcbake.model.site import Site
from hpcbake.report.printable import printable


@click.command("status")
@site_options
@click.option("--verify", is_flag=True, help="Read every SIF and compare its sha256 with what was recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(site_names: tuple[str, ...], site_configs: Path, verify: bool, as_json: bool) -> int:
    """Show what is on every site: images, releases, which is current, who vouched for it.

    Looks, and changes nothing; with --verify, a SIF whose bytes are not what was verified is set aside, unless users
    reach it by `current` or a tag. Exit code 0 when every site is as its ledger says, 3 when something
    differs or a site does not answer, 43 when a SIF is not what was verified, 70 when a ledger was changed.
    """
    destinations = read_project(Path.cwd()).destinations
    sites = choose_looked_at(destinations, read_sites(site_configs, site_names), site_names)
    with ThreadPoolExecutor(max_workers=sites_at_once()) as pool:
        seen = list(pool.map(lambda site: _look(site, verify), sites))
    if as_json:
        click.echo(json.dumps(_document(sites, seen), indent=2))
    else:
        _print(sites, seen)
    return int(_code(seen))


def _look(site: Site, verify: bool) -> SiteStatus | HpcbakeError:
    node = connect(site)
    try:
        return site_status(site, node=node, verify=verify)
    except HpcbakeError as error:
        return error
    finally:
        node.close()


def _code(seen: list[SiteStatus | HpcbakeError]) -> ExitCode:
    """The gravest first: a changed ledger, a changed SIF, anything else that differs."""
    codes = [ExitCode.PARTIAL if isinstance(item, HpcbakeError) else item.code for item in seen]
    for code in (ExitCode.STATE, ExitCode.INTEGRITY, ExitCode.PARTIAL):
        if code in codes:
            return code
    return ExitCode.OK


def _print(sites: list[Site], seen: list[SiteStatus | HpcbakeError]) -> None:
    console = make_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("site", "image", "tag", "digest", "current", "state", "smoke job", "delivered"):
        table.add_column(heading, no_wrap=True)
    for site, status in zip(sites, seen, strict=True):
        if isinstance(status, HpcbakeError):
            table.add_row(site.name, "-", "-", "-", "-", "no answer", "-", "-", style="red")
            continue
        if not any(image.releases for image in status.images):
            table.add_row(site.name, "-", "-", "-", "-", "empty", "-", "-", style="dim")
        for image in status.images:
            for release in image.releases:
                style = "bold" if release.is_current else ""
                table.add_row(site.name, image.name, *_release_cells(release), style=style)
    console.print(table)
    for site, status in zip(sites, seen, strict=True):
        if isinstance(status, HpcbakeError):
            message = status.message.removeprefix(f"{site.name}: ")
            console.print(f"\n{site.name}: {message}", markup=False, style="red")
            if status.remedy:
                console.print(f"  help: {status.remedy}", markup=False)
        else:
            for image in status.images:
                if image.hold:
                    who = f" by {image.hold['by']}" if image.hold.get("by") else ""
                    line = f"{site.name}: {image.name} is held at {image.current}{who}: ship does not promote it"
                    console.print(f"\n{printable(line)}", markup=False)
            for problem in status.problems:
                console.print(f"\n{site.name}: {problem}", markup=False, style="red")


def _release_cells(release: StoredRelease) -> list[str]:
    jobs = [str(entry.get("job_id", "")) for entry in _smoke_entries(release)]
    return [
        ", ".join(release.tags) or str(release.provenance.get("tag", "-")),
        release.digest.removeprefix("sha256:")[:12],
        "yes" if release.is_current else "",
        f"{release.state}, pinned" if release.is_pinned else release.state,
        ", ".join(filter(None, jobs)) or "-",
        str(release.provenance.get("delivered", "-")),
    ]


def _smoke_entries(release: StoredRelease) -> list[dict[str, Any]]:
    entries = release.provenance.get("smoke", [])
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _document(sites: list[Site], seen: list[SiteStatus | HpcbakeError]) -> dict[str, Any]:
    return {
        "kind": "hpcbake.status",
        "version": 1,
        "exit": int(_code(seen)),
        "sites": [
            {"name": site.name, "answered": False, "error": {"kind": status.kind, "message": status.message}}
            if isinstance(status, HpcbakeError)
            else {
                "name": site.name,
                "answered": True,
                "problems": list(status.problems),
                "images": [
                    {
                        "name": image.name,
                        "current": image.current or None,
                        "hold": image.hold or None,
                        "releases": [
                            {
                                "digest": release.digest,
                                "state": release.state,
                                "current": release.is_current,
                                "pinned": release.is_pinned,
                                "set_aside": release.set_aside or None,
                                "tags": list(release.tags),
                                "provenance": release.provenance,
                            }
                            for release in image.releases
                        ],
                    }
                    for image in status.images
                ],
            }
            for site, status in zip(sites, seen, strict=True)
        ],
    }
