"""What a ship would do at every site, found by looking alone.

Per image: what the registry and the check say of it. Per site: one survey, and one look at the login node where
something must be delivered and the way is open. The Protocols below hold no call that could change anything.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from hpcbake.deliver.survey import Found, Wanted, digest_of_link, survey
from hpcbake.deliver.ways import LoginFacts, Way, choose_way, look_at_login
from hpcbake.errors import BugError, BusyError, HpcbakeError, PrereqError, SiteUnreachableError, SmokeUnknownError
from hpcbake.model.artefacts import BuiltImage, SmokeTest
from hpcbake.model.ports import RuntimeCommands
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport
from hpcbake.report.records import error_record
from hpcbake.ship.evidence import settled_tests
from hpcbake.ship.forecast import Action, Forecast, ImageForecast, SiteForecast
from hpcbake.ship.parallel import in_parallel
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.prospect import Prospect, ReadableRegistry, SifSizes
from hpcbake.ship.verdict_words import short_reason, verdict_error
from hpcbake.smoke.submit import SmokeRequest, render_jobs

#: Stands for a digest that only the build will tell: no SIF has this name.
_NOT_BUILT = Digest("sha256:" + "0" * 64)


class AskedConverter(Protocol):
    """The build host's runtime, asked only whether it could."""

    def why_not(self) -> str: ...


class VisibleWorld(Protocol):
    """The world as a plan sees it: `World` without whatever builds, pushes or converts."""

    @property
    def registry(self) -> ReadableRegistry: ...

    @property
    def commands(self) -> RuntimeCommands: ...

    @property
    def connect(self) -> Callable[[Site], SiteNode]: ...

    @property
    def check(self) -> Callable[[BuiltImage, Site], CompatReport]: ...

    @property
    def converter(self) -> AskedConverter: ...


@dataclass(frozen=True)
class PlanSettings:
    """What the ship would be given: smoke tests and exposed commands by image, and a way for all sites."""

    tool_version: str
    tests: Mapping[str, Sequence[SmokeTest]]
    expose: Mapping[str, Sequence[str]]
    template_folders: Sequence[Path] = ()
    way: str | None = None


def plan(
    prospects: Sequence[Prospect],
    sites: Sequence[Site],
    settings: PlanSettings,
    *,
    world: VisibleWorld,
    parallel_sites: int,
    warnings: Sequence[str] = (),
) -> Forecast:
    """Look at every site and say what a ship of these images would do there; changes nothing anywhere.

    Never raises HpcbakeError: what could not be found out is a blocked image with the reason.
    """
    sizes = SifSizes(world.registry)
    acts = [partial(_plan_guarded, SitePlan(site, prospects, settings, world, sizes)) for site in sites]
    return Forecast(
        settings.tool_version,
        tuple(prospect.forecast() for prospect in prospects),
        tuple(in_parallel(acts, parallel_sites)),
        tuple(warnings),
    )


class SitePlan:
    """The plan for one site: one thread, one connection; failures stay inside."""

    def __init__(
        self,
        site: Site,
        prospects: Sequence[Prospect],
        settings: PlanSettings,
        world: VisibleWorld,
        sizes: SifSizes,
    ) -> None:
        self._site = site
        self._prospects = prospects
        self._settings = settings
        self._world = world
        self._sizes = sizes
        self._facts: dict[str, LoginFacts] = {}

    def look(self) -> SiteForecast:
        """Every image here. The site itself is asked only where its answer matters."""
        judged = [self._judge(prospect) for prospect in self._prospects]
        is_open = [image.action is not Action.BLOCKED for image in judged]
        if any(is_open):
            node = self._world.connect(self._site)
            try:
                judged = self._look_there(node, judged)
            finally:
                node.close()
        return SiteForecast(self._site.name, tuple(judged))

    def blocked(self, error: HpcbakeError) -> SiteForecast:
        """Nothing can be said of this site."""
        blank = [_blank(prospect) for prospect in self._prospects]
        return SiteForecast(self._site.name, tuple(self._block(image, "site", error) for image in blank))

    # ---- without the site ----

    def _judge(self, prospect: Prospect) -> ImageForecast:
        """What registry and check say. An image that nobody has built yet is not checked."""
        image = _blank(prospect)
        if prospect.error is not None:
            return self._block(image, "resolve", prospect.error)
        if prospect.image is None:
            return image
        try:
            report = self._world.check(prospect.image, self._site)
        except HpcbakeError as error:
            return self._block(image, "check", error)
        image = replace(image, verdict=report.verdict.value)
        misfit = verdict_error(report, self._site.name, prospect.name)
        return self._block(image, "check", misfit, short_reason(report)) if misfit else image

    # ---- at the site ----

    def _look_there(self, node: SiteNode, judged: Sequence[ImageForecast]) -> list[ImageForecast]:
        pairs = list(zip(self._prospects, judged, strict=True))
        asked = [prospect for prospect, image in pairs if image.action is not Action.BLOCKED]
        wanted = [Wanted(item.name, item.image.digest if item.image else _NOT_BUILT, item.version) for item in asked]
        try:
            found = dict(zip(asked, survey(wanted, self._site, node=node).found, strict=True))
        except HpcbakeError as error:
            return [self._block(image, "survey", error) if item in asked else image for item, image in pairs]
        return [
            self._foresee(prospect, found[prospect], image, node) if prospect in found else image
            for prospect, image in pairs
        ]

    def _foresee(self, prospect: Prospect, found: Found, image: ImageForecast, node: SiteNode) -> ImageForecast:
        """One image that fits, at a site that answers."""
        image = replace(image, current=found.current_digest)
        try:
            jobs = self._jobs(prospect, found)
            if jobs.is_settled:
                return replace(image, action=Action.UNCHANGED, reason=_if_built("in place", prospect, found))
            image = replace(
                image,
                action=Action.UPDATE if found.current else Action.CREATE,
                reason=_if_built(_change(prospect, found, jobs.open), prospect, found),
                jobs=jobs.open,
            )
            if not jobs.names:
                raise SmokeUnknownError(
                    f"{self._site.name}: no smoke test of {prospect.name} runs here, so nothing is promoted",
                    remedy="give the image at least one smoke test that runs on this site",
                    kind="slurm.untested",
                )
            if found.sif != "present":
                image = self._with_way(image, prospect, node)
        except HpcbakeError as error:
            return self._block(image, "plan", error)
        if found.hold and found.current != found.target:
            return self._block(image, "promote", _held(self._site.name, found), f"held at {_hold_words(found)}")
        return image

    def _jobs(self, prospect: Prospect, found: Found) -> _Jobs:
        """The smoke tests for this site. They are settled as in a ship: by the very bytes and the very job."""
        request = SmokeRequest(
            found.deployment(prospect.image or _image_to_come(prospect), self._site),
            self._settings.tests[prospect.name],
            run="PLAN",
            template_folders=self._settings.template_folders,
            programs=self._settings.expose.get(prospect.name, ()),
        )
        jobs = render_jobs(request, self._site, self._world.commands)
        settled = settled_tests(found) if found.is_delivered else {}
        still_open = tuple(job.test.name for job in jobs if job.key not in settled)
        names = tuple(job.test.name for job in jobs)
        return _Jobs(names, still_open, is_settled=found.is_delivered and found.is_current and not still_open)

    def _with_way(self, image: ImageForecast, prospect: Prospect, node: SiteNode) -> ImageForecast:
        """How the SIF would come here, and how many bytes that moves."""
        wanted = self._settings.way or self._site.runtime.way
        reference = prospect.image.reference if prospect.image else prospect.reference
        cannot = self._world.converter.why_not()
        if wanted in ("oras", "stream") and cannot:
            raise PrereqError(
                f"cannot convert {prospect.name}: {cannot}",
                remedy="install apptainer here, or choose another way of delivery: --way docker",
                kind="config.missing-program",
            )
        facts = self._login_facts(reference.registry, node) if wanted == "auto" else LoginFacts()
        way = choose_way(wanted, self._site, reference, facts, cannot_convert=cannot)
        size, is_exact = self._size(prospect.image, way)
        reason = image.reason
        if facts.reaches is False:
            reason = f"{reason}; no route to {reference.registry}: {way.name}"
        return replace(image, way=way.name, why=way.why, size_bytes=size, size_is_exact=is_exact, reason=reason)

    def _login_facts(self, registry: str, node: SiteNode) -> LoginFacts:
        """One round trip per registry, however many images come from it."""
        if registry not in self._facts:
            self._facts[registry] = look_at_login(registry, self._site, node=node)
        return self._facts[registry]

    def _size(self, image: BuiltImage | None, way: Way) -> tuple[int | None, bool]:
        """Bytes to the site: the layers where it converts itself, else the SIF, which is about as large as they."""
        if image is None:
            return None, False
        if way.name in ("docker", "job"):
            return image.size_bytes, True
        size = self._sizes.find(image)
        return (image.size_bytes, False) if size is None else (size, True)

    def _block(self, image: ImageForecast, stage: str, error: HpcbakeError, reason: str = "") -> ImageForecast:
        """An image that a ship would not bring to users here."""
        record = error_record(stage, error)
        return replace(image, action=Action.BLOCKED, reason=reason or _reason(self._site.name, error), error=record)


@dataclass(frozen=True)
class _Jobs:
    """The smoke tests of one image at one site by name, and those of them that have not passed there yet."""

    names: tuple[str, ...]
    open: tuple[str, ...]
    is_settled: bool


def _plan_guarded(site_plan: SitePlan) -> SiteForecast:
    """One site; a bug of ours there is that site's failure and nobody else's."""
    try:
        return site_plan.look()
    except HpcbakeError as error:
        return site_plan.blocked(error)
    except Exception as bug:  # noqa: BLE001  (the border of a site: nothing may leave it)
        ours = BugError(
            f"hpcbake stumbled over itself: {type(bug).__name__}: {bug}",
            remedy="this is a bug; please report it with the lines above",
            evidence={"output": "".join(traceback.format_exception(bug))},
        )
        return site_plan.blocked(ours)


def _blank(prospect: Prospect) -> ImageForecast:
    return ImageForecast(prospect.name, Action.CREATE, "", wanted=prospect.digest)


def _image_to_come(prospect: Prospect) -> BuiltImage:
    """What a target will be after its build, as far as the text of its jobs goes."""
    reference = prospect.reference.with_digest(_NOT_BUILT)
    return BuiltImage(prospect.name, prospect.version, reference, _NOT_BUILT, 0, prospect.tags)


def _change(prospect: Prospect, found: Found, open_jobs: Sequence[str]) -> str:
    """Why the site is not as it shall be, in a few words."""
    delivered = ", delivered already" if found.sif == "present" else ""
    if not found.current:
        return "delivered, not promoted yet" if delivered else "not there yet"
    if prospect.image is None:
        return f"now {_short(found.current)}"
    if found.current != found.target:
        return f"from {_short(found.current)} to {prospect.image.digest.short}{delivered}"
    if found.sif != "present":
        return "its SIF is gone" if found.sif == "absent" else "its SIF is not what was verified"
    if found.tag != found.target:
        where = f"is {_short(found.tag)}" if found.tag else "is missing"
        return f"the tag {prospect.version} {where}"
    return f"not tested yet: {', '.join(open_jobs)}" if open_jobs else "its provenance is missing"


def _if_built(words: str, prospect: Prospect, found: Found) -> str:
    """A target that is still to be built may turn out to be another image than the one that was looked at."""
    if not prospect.needs_build:
        return words
    if prospect.image is None:
        return f"{words} (after the build)"
    return f"{words} (if the build gives {found.wanted.digest.short})"


def _short(link: str) -> str:
    """Twelve hex digits of the digest that a link of ours names, or the link of somebody else as it is."""
    digest = digest_of_link(link)
    return Digest(digest).short if digest else link


def _hold_words(found: Found) -> str:
    """Where the image is held, by whom and since when, as far as the hold says."""
    words = [_short(found.current)]
    words += [f"{word} {found.hold[key]}" for word, key in (("by", "by"), ("since", "since")) if found.hold.get(key)]
    return " ".join(words)


def _held(site: str, found: Found) -> BusyError:
    image = found.wanted.image
    return BusyError(
        f"{site}: {image} is held at {_hold_words(found)}: ship delivers and tests it, and does not promote it",
        remedy=f"see hpcbake history; lift it: hpcbake rollback {image} --release-hold --site {site}",
        kind="lock.hold",
    )


def _reason(site: str, error: HpcbakeError) -> str:
    """A failure in the table: one line without the site's name, which stands beside it."""
    message = error.message.removeprefix(f"{site}: ")
    return f"site unreachable: {message}" if isinstance(error, SiteUnreachableError) else message
