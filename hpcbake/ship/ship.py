"""The whole chain: build once, then every site on its own thread, then the registry's tags, then the report."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from hpcbake.build.build import build
from hpcbake.build.document import SITE_PLATFORM, Shipment
from hpcbake.errors import BugError, HpcbakeError, InterruptedByUserError
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.late import dataclass
from hpcbake.model.plan import Plan
from hpcbake.model.site import Site
from hpcbake.report.records import ErrorRecord, ImageRecord, Outcome, SiteRecord, TargetRecord, error_record
from hpcbake.ship.accord import Accord
from hpcbake.ship.journal import Journal
from hpcbake.ship.parallel import in_parallel
from hpcbake.ship.places import PATIENCE_S, Places
from hpcbake.ship.plan_board import PlanBoard, ShowPlan
from hpcbake.ship.ports import Listener, World
from hpcbake.ship.prospect import SifSizes
from hpcbake.ship.settings import ShipSettings
from hpcbake.ship.site_run import SiteRun, Together
from hpcbake.ship.tags import TagWords, tags_to_move

#: Sites worked on at the same time.
DEFAULT_PARALLEL_SITES = 16


class SiteWork(Protocol):
    """What is done at one site: `run` does it, `record` tells what is known so far."""

    def run(self) -> SiteRecord: ...

    def record(self) -> SiteRecord: ...


@dataclass(frozen=True)
class ShipResult:
    """What a run did: targets and sites, and the failure or signal that stopped it before its end."""

    targets: tuple[TargetRecord, ...]
    sites: tuple[SiteRecord, ...]
    error: ErrorRecord | None = None
    interrupted: InterruptedByUserError | None = None


def ship(
    plan: Plan,
    shipments: Sequence[Shipment],
    sites: Sequence[Site],
    settings: ShipSettings,
    *,
    world: World,
    journal: Journal,
    listener: Listener,
    parallel_sites: int = DEFAULT_PARALLEL_SITES,
    images: Sequence[BuiltImage] | None = None,
    show_plan: ShowPlan | None = None,
    patience_s: float = PATIENCE_S,
) -> ShipResult:
    """Bring every shipment to every site; `images` that are built already take the place of the build.

    `show_plan` is given what each site's plan is, before anything is done there; a site that has not answered after
    `patience_s` no longer counts among the parallel ones. Never raises HpcbakeError: failures
    are in the result, per image and site. A signal (InterruptedByUserError) stops waiting for sites and gives what is
    known; their remote steps are safe to run again.
    """
    try:
        if images is None:
            images = _build(plan, shipments, world, journal, listener)
    except InterruptedByUserError as signal:
        return ShipResult(_unbuilt(shipments, "skipped"), (), interrupted=signal)
    except HpcbakeError as error:
        return ShipResult(_unbuilt(shipments, "failed"), (), error=error_record("build", error))
    targets = tuple(_target(image) for image in images)
    if settings.until == "build":
        return ShipResult(targets, ())
    together = replace(_together(sites, settings, world, parallel_sites, show_plan), patience_s=patience_s)
    runs = [
        SiteRun(site, _images_for(site, images, settings), settings, world, journal, listener, together)
        for site in sites
    ]
    try:
        # A thread for each: how many of them work at a time is a matter of places.
        records = run_sites(runs, sites, len(sites))
        if settings.until == "promote":
            targets = tuple(
                _move_tags(target, image, records, settings, world, listener)
                for target, image in zip(targets, images, strict=True)
            )
    except InterruptedByUserError as signal:
        return ShipResult(targets, tuple(run.record() for run in runs), interrupted=signal)
    return ShipResult(targets, tuple(records))


def _build(
    plan: Plan, shipments: Sequence[Shipment], world: World, journal: Journal, listener: Listener
) -> list[BuiltImage]:
    names = ", ".join(shipment.name for shipment in shipments)
    journal.note("do", stage="build", targets=[shipment.name for shipment in shipments])
    listener.step("build", names, status="begin")
    began = world.clock.monotonic()
    images = build(plan, shipments, builder=world.builder, registry=world.registry)
    journal.note("done", stage="build", digests={image.name: str(image.digest) for image in images})
    for image in images:
        listener.step("build", f"{image.digest} confirmed by {image.reference.registry}", image=image.name)
    seconds = world.clock.monotonic() - began
    listener.step(
        "build", f"done ({seconds:.1f} s)", status="done", facts={"outcome": "ok", "seconds": round(seconds, 3)}
    )
    return images


def _together(
    sites: Sequence[Site], settings: ShipSettings, world: World, parallel_sites: int, show_plan: ShowPlan | None
) -> Together:
    names = [site.name for site in sites]
    return Together(
        Places(parallel_sites),
        SifSizes(world.registry),
        board=PlanBoard(names, show_plan) if show_plan and settings.until != "check" else None,
        accord=Accord(names) if settings.all_or_none and settings.until == "promote" else None,
    )


def _images_for(site: Site, images: Sequence[BuiltImage], settings: ShipSettings) -> list[BuiltImage]:
    return [image for image in images if settings.destinations.includes(image.name, site.name)]


def run_sites(runs: Sequence[SiteWork], sites: Sequence[Site], parallel: int) -> list[SiteRecord]:
    """All sites, `parallel` at a time; a signal does not wait for a site that hangs."""
    acts = [partial(_run_guarded, run, site) for run, site in zip(runs, sites, strict=True)]
    return in_parallel(acts, parallel)


def _run_guarded(run: SiteWork, site: Site) -> SiteRecord:
    """One site; a bug of ours there is that site's failure and nobody else's."""
    try:
        return run.run()
    except Exception as bug:  # noqa: BLE001  (the border of a site: nothing may leave it)
        error = (
            bug
            if isinstance(bug, HpcbakeError)
            else BugError(
                f"{site.name}: hpcbake stumbled over itself: {type(bug).__name__}: {bug}",
                remedy="this is a bug; please report it with the lines above",
                evidence={"output": "".join(traceback.format_exception(bug))},
            )
        )
        record = run.record()
        failed = error_record("site", error)
        images = tuple(_with_error(image, failed) for image in record.images)
        return replace(record, images=images, notes=(*record.notes, error.message))


def _with_error(image: ImageRecord, error: ErrorRecord) -> ImageRecord:
    """An image that had come to its end before keeps it."""
    has_ended = image.error is not None or image.outcome in (Outcome.OK, Outcome.UNCHANGED, Outcome.SUBMITTED)
    return image if has_ended else replace(image, error=error, outcome=Outcome.FAILED)


def _move_tags(
    target: TargetRecord,
    image: BuiltImage,
    records: Sequence[SiteRecord],
    settings: ShipSettings,
    world: World,
    listener: Listener,
) -> TargetRecord:
    """Move the tags that the project's policy names; those that are right stay untouched."""
    at_sites = [record for site in records for record in site.images if record.target == image.name]
    words = TagWords(settings.created, settings.run, settings.revision)
    tags = tags_to_move(image, at_sites, settings.tags, words)
    if not tags:
        return target
    try:
        moved = False
        for tag in tags:
            if world.registry.head_manifest(tag) != image.digest:
                manifest = world.registry.fetch_manifest(tag.with_digest(image.digest))
                world.registry.put_manifest(tag, manifest.content, manifest.media_type)
                listener.step("promote", f"tag {tag} moved", image=image.name)
                moved = True
    except InterruptedByUserError:
        raise
    except HpcbakeError as error:
        return replace(target, error=error_record("promote", error))
    return replace(target, tags_moved=moved)


def _target(image: BuiltImage) -> TargetRecord:
    return TargetRecord(
        name=image.name,
        platform=SITE_PLATFORM,
        build_status="ok",
        digest=str(image.digest),
        reference=str(image.reference),
        tags=tuple(map(str, image.release_tags)),
        blobs=image.blobs,
    )


def _unbuilt(shipments: Sequence[Shipment], status: str) -> tuple[TargetRecord, ...]:
    return tuple(
        TargetRecord(shipment.name, SITE_PLATFORM, status, tags=tuple(map(str, shipment.tags)))
        for shipment in shipments
    )
