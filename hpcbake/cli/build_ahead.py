"""Before a build: which builder builds what, natively or emulated, and what it must be granted."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from hpcbake.adapters.buildx import Buildx
from hpcbake.build.assigned import AssignedBuilder
from hpcbake.build.document import Shipment, build_platform
from hpcbake.build.entitlements import Need, missing_entitlements, needed_entitlements
from hpcbake.errors import BuildError, HpcbakeError
from hpcbake.model.builders import BuilderInfo, BuildPlace
from hpcbake.model.late import dataclass
from hpcbake.model.plan import Plan
from hpcbake.model.ports import Builder
from hpcbake.report.printable import printable
from hpcbake.ship.project_parts import Builders

_EMULATION_ADVICE = (
    "emulation is many times slower and sometimes wrong: add a native machine with "
    "hpcbake builder add ssh://USER@AMD64-HOST, and name it with --builder hpcbake"
)


@dataclass(frozen=True)
class Workshop:
    """The builders of a run, by name (None: the one that buildx uses), and which of them each target has."""

    builders: Mapping[str | None, Buildx]
    name_of: Callable[[str], str | None]

    @property
    def builder(self) -> Builder:
        """All of them as one."""
        if len(self.builders) == 1:
            return next(iter(self.builders.values()))
        return AssignedBuilder(self.builders, self.name_of)

    def places(self, shipments: Sequence[Shipment]) -> list[tuple[str, BuilderInfo, BuildPlace]]:
        """Where each target is built. Raises what asking the builder raises."""
        found = []
        for shipment in shipments:
            info = self.builders[self.name_of(shipment.name)].describe()
            found.append((shipment.name, info, info.place_of(build_platform(shipment.target))))
        return found


def make_workshop(
    shipments: Sequence[Shipment],
    builders: Builders,
    flag: str | None,
    make: Callable[..., Buildx],
) -> Workshop:
    """The builders that these targets need; `flag` is one for all of them. `make(builder=NAME)` gives one."""

    def name_of(target: str) -> str | None:
        return flag or builders.of(target)

    names = dict.fromkeys(name_of(shipment.name) for shipment in shipments) or {flag: None}
    return Workshop({name: make(builder=name) for name in names}, name_of)


def place_lines(places: Sequence[tuple[str, BuilderInfo, BuildPlace]]) -> list[str]:
    """Each builder and platform once, with the targets that it builds."""
    grouped: dict[str, list[str]] = {}
    for target, info, place in places:
        grouped.setdefault(f"{place.words}, builder {info.name} ({info.driver})", []).append(target)
    return [f"{', '.join(targets)}: {words}" for words, targets in grouped.items()]


def emulation_warnings(places: Sequence[tuple[str, BuilderInfo, BuildPlace]]) -> list[str]:
    """What to say of targets that are built by an emulated processor."""
    emulated = [target for target, _, place in places if place.word == "EMULATED"]
    return [f"{', '.join(emulated)}: built under emulation; {_EMULATION_ADVICE}"] if emulated else []


def describe_places(workshop: Workshop, shipments: Sequence[Shipment]) -> tuple[list[str], list[str]]:
    """Lines and warnings; nothing where the builder does not tell: the build itself will say why."""
    try:
        places = workshop.places(shipments)
    except HpcbakeError:
        return [], []
    return place_lines(places), emulation_warnings(places)


def ask_entitlements(
    plan: Plan, shipments: Sequence[Shipment], allowed: Sequence[str], *, folder: Path
) -> tuple[str, ...]:
    """What is granted for this build: what flags say, and what the person at the terminal says.

    Raises BuildError naming every flag that is missing where nobody can be asked, or somebody said no.
    """
    missing = missing_entitlements(needed_entitlements(plan, shipments, folder), allowed)
    if not missing:
        return tuple(allowed)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise refusal(missing)
    click.echo("the plan asks for more than a build has by itself:", err=True)
    for need in missing:
        click.echo(f"  {_words(need)}", err=True)
    if not click.confirm("grant this, for this run only?", default=False, err=True):
        raise refusal(missing)
    return (*allowed, *(need.grant for need in missing))


def refusal(missing: Sequence[Need]) -> BuildError:
    """What was not granted, with the flags that grant it."""
    flags = " ".join(f"--allow {shlex.quote(need.grant)}" for need in missing)
    return BuildError(
        "the plan asks for privileges that nobody granted",
        remedy=f"if you trust the plan with them, add: {flags}",
        kind="image.entitlement",
        evidence={"output": "\n".join(map(_words, missing))},
    )


def _words(need: Need) -> str:
    return printable(f"{need.grant}: target {need.target!r}: {need.why}")
