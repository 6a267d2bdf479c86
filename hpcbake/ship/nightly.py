"""The run of one night: which targets and sites, a builder that remembers, and what its failures do to the report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hpcbake.build.document import SITE_PLATFORM, Shipment
from hpcbake.build.fingerprint import FingerprintReader
from hpcbake.build.memory import BuildFile
from hpcbake.build.remembered import RememberingBuilder
from hpcbake.errors import ConfigError, HpcbakeError
from hpcbake.model.plan import Plan
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.report.records import ShipReport, TargetRecord, error_record
from hpcbake.ship.nightly_artifacts import ForgettingRegistry, ShippedDigests, withdraw
from hpcbake.ship.ports import Listener, World
from hpcbake.ship.project_parts import Nightly, fits


def nightly_folder(state: Path, project: Path) -> Path:
    """Where a project's nights are kept: its lock and what was built. The name is its path's sum, which never moves."""
    return state / "nightly" / hashlib.sha256(str(project).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def choose_shipments(shipments: Sequence[Shipment], nightly: Nightly) -> list[Shipment]:
    """The targets of the night. Raises ConfigError when the project's patterns fit none."""
    chosen = [shipment for shipment in shipments if fits(shipment.name, nightly.targets)]
    if shipments and not chosen:
        raise _fits_none("targets", nightly.targets)
    return chosen


def choose_sites(sites: Sequence[Site], nightly: Nightly) -> list[Site]:
    """The sites of the night. Raises ConfigError when the project's patterns fit none."""
    chosen = [site for site in sites if fits(site.name, nightly.sites)]
    if sites and not chosen:
        raise _fits_none("sites", nightly.sites)
    return chosen


def _fits_none(what: str, patterns: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"hpcbake.yaml: nightly.{what} ({', '.join(patterns)}) fits none of the {what}",
        remedy=f"mend the patterns, or leave nightly.{what} out",
    )


class Night:
    """A nightly build over one plan: `adapt` and `conclude` frame the run (see `Frame`)."""

    def __init__(self, plan: Plan, shipments: Sequence[Shipment], *, folder: Path, kept: Path, refresh: bool) -> None:
        self._plan = plan
        self._shipments = shipments
        self._folder = folder
        self._memory = BuildFile(kept / "builds.json")
        self._shipped = ShippedDigests(kept / "shipped.json")
        self._refresh = refresh
        self._builder: RememberingBuilder | None = None
        #: Sites that did not answer tonight: nobody need knock there again.
        self.unreachable: frozenset[str] = frozenset()

    def adapt(self, world: World, listener: Listener) -> World:
        """The world with a builder that builds only what has changed."""
        reader = FingerprintReader(self._plan, self._folder, world.registry.head_manifest)
        self._memory.keep_only(frozenset(self._plan.targets))
        self._builder = RememberingBuilder(
            world.builder,
            self._shipments,
            take=reader.read,
            memory=self._memory,
            say=lambda image, text: listener.step("build", text, image=image),
            refresh=self._refresh,
            sleep=world.clock.sleep,
        )
        return replace(world, builder=self._builder)

    def conclude(self, report: ShipReport) -> ShipReport:
        """The report with the builds that failed, also where sites got an older digest in their place."""
        self.unreachable = frozenset(
            site.name
            for site in report.sites
            if any(image.error is not None and image.error.kind.startswith("ssh.") for image in site.images)
        )
        with suppress(OSError):  # a full disk is told by what must be written
            for target in report.targets:
                if target.digest:
                    self._shipped.note(target.name, Digest(target.digest))
        return with_target_errors(report, self._builder.failures if self._builder else {}, "build")

    def clear_registry(self, registry: ForgettingRegistry, *, keep: int | None) -> list[str]:
        """Remove SIFs of older digests beside their images, where the project says how many stay; problems in lines."""
        if keep is None:
            return []
        repositories = {shipment.name: shipment.tags[0] for shipment in self._shipments}
        return withdraw(self._shipped, repositories, registry, keep=keep)


def with_target_errors(report: ShipReport, failures: Mapping[str, HpcbakeError], stage: str) -> ShipReport:
    """The report with these failures at their targets; targets that it does not have yet are added."""
    if not failures:
        return report
    known = {target.name for target in report.targets}
    new = [TargetRecord(name, SITE_PLATFORM, "failed") for name in failures if name not in known]
    targets = (
        replace(target, build_status="failed", error=error_record(stage, failures[target.name]))
        if target.name in failures and target.error is None
        else target
        for target in (*report.targets, *new)
    )
    return replace(report, targets=tuple(targets))
