"""What the project sends where, and what of it the command line asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from hpcbake.build.document import Shipment
from hpcbake.cli.configuration import PROJECT_FILE
from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.ship.project_parts import Destinations


@dataclass(frozen=True)
class Asked:
    """The words of the command line that choose images and sites; empty: all."""

    images: Sequence[str] = ()
    sites: Sequence[str] = ()

    def __str__(self) -> str:
        words = [
            f"{what} {', '.join(names)}" for what, names in (("image", self.images), ("site", self.sites)) if names
        ]
        return " and ".join(words)


def choose_destinations(
    destinations: Destinations, names: Sequence[str], sites: Sequence[Site], asked: Asked, configs: Path
) -> tuple[list[str], list[Site]]:
    """The images that go anywhere, and the sites that anything goes to; what was asked for in vain is told on stderr.

    Raises UsageError when the project sends nothing of what was asked for to any site that was asked for, ConfigError
    when it sends nothing anywhere.
    """
    here = [site.name for site in sites]
    going = [name for name in names if destinations.sites_of(name, here)]
    served = [site for site in sites if destinations.targets_of(site.name, names)]
    if names and sites and not going:
        raise _nothing_left(destinations, names, asked, configs)
    for name in names:
        if name not in going:
            whereto = _whereto(destinations, name, configs)
            note = f"{name} is left out: `deploy` of {PROJECT_FILE} sends {whereto}"
            click.echo(f"note: {printable(note)}", err=True)
    for site in sites:
        if site not in served and site.name in asked.sites:
            click.echo(f"note: {site.name}: `deploy` of {PROJECT_FILE} sends none of these images there", err=True)
    return going, served


def choose_shipments(
    destinations: Destinations, shipments: Sequence[Shipment], sites: Sequence[Site], asked: Asked, configs: Path
) -> tuple[list[Shipment], list[Site]]:
    """The same for the targets of a plan; one that goes nowhere is not built either."""
    names, served = choose_destinations(destinations, [item.name for item in shipments], sites, asked, configs)
    return [item for item in shipments if item.name in names], served


def choose_looked_at(destinations: Destinations, sites: Sequence[Site], asked: Sequence[str]) -> list[Site]:
    """The sites that a look without images is for: those named, or all that the project sends anything to."""
    if asked:
        return list(sites)
    return [site for site in sites if destinations.serves(site.name)] or list(sites)


def _whereto(destinations: Destinations, name: str, configs: Path) -> str:
    declared = sorted(path.stem for path in configs.glob("*.yaml") if not path.name.startswith("."))
    elsewhere = destinations.sites_of(name, declared)
    return f"{name} to {', '.join(elsewhere)} only" if elsewhere else f"{name} to no site"


def _nothing_left(
    destinations: Destinations, names: Sequence[str], asked: Asked, configs: Path
) -> UsageError | ConfigError:
    if not asked.images and not asked.sites:
        return ConfigError(
            f"`deploy` of {PROJECT_FILE} sends none of {', '.join(names[:5])} to any site of {configs}",
            remedy="name the targets as `hpcbake print` and the sites as `hpcbake sites list` show them",
            kind="config.deploy",
        )
    told = ", ".join(_whereto(destinations, name, configs) for name in names[:5])
    more = f", and {len(names) - 5} more elsewhere" if len(names) > 5 else ""
    return UsageError(
        f"nothing is left to do for {asked}: `deploy` of {PROJECT_FILE} sends {told}{more}",
        remedy=f"name other images or sites, or change `deploy` in {PROJECT_FILE}",
    )
