"""The values of a project file, key by key: where targets go, who builds, which tags move, what is kept, the night."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from hpcbake.model.late import dataclass


def fits(name: str, patterns: Sequence[str]) -> bool:
    """Does a name fit one of these patterns? No patterns at all: everything does."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True)
class BakeDefaults:
    """Which targets of which bake files, where the command line does not say."""

    files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeployRule:
    """Targets, and the sites that they go to; no patterns: all of them."""

    targets: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Destinations:
    """Which target goes to which site. Without rules: every target to every site."""

    rules: tuple[DeployRule, ...] = ()

    def includes(self, target: str, site: str) -> bool:
        return not self.rules or any(fits(target, rule.targets) and fits(site, rule.sites) for rule in self.rules)

    def serves(self, site: str) -> bool:
        """May anything go to this site at all?"""
        return not self.rules or any(fits(site, rule.sites) for rule in self.rules)

    def sites_of(self, target: str, sites: Iterable[str]) -> tuple[str, ...]:
        """Of these sites those that the target goes to, in their order."""
        return tuple(site for site in sites if self.includes(target, site))

    def targets_of(self, site: str, targets: Iterable[str]) -> tuple[str, ...]:
        """Of these targets those that go to the site, in their order."""
        return tuple(target for target in targets if self.includes(target, site))


@dataclass(frozen=True)
class Builders:
    """The buildx builder of each target; None: buildx chooses."""

    default: str | None = None
    rules: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def of(self, target: str) -> str | None:
        found = (builder for builder, patterns in self.rules if fits(target, patterns))
        return next(found, self.default)


@dataclass(frozen=True)
class TagPolicy:
    """Which release tags move, and when: `every-site`, `any-site` or `never`. `add` are templates of further tags."""

    move: str = "every-site"
    only: tuple[str, ...] = ()
    add: tuple[str, ...] = ()


@dataclass(frozen=True)
class Retention:
    """How many releases a site keeps (None: nothing is removed after a ship), for how many days, and how many runs."""

    releases: int | None = None
    days: int = 30
    runs: int = 200


@dataclass(frozen=True)
class Nightly:
    """The run of every night: when, how late at random, what for."""

    at: str = "02:00"
    jitter_s: float = 0.0
    refresh_base: bool = False
    targets: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
