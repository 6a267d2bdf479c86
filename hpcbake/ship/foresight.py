"""What a ship would do with one image at one site, told from a survey; a plan and a run both ask here.

The Protocols below hold no call that could change anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from hpcbake.deliver.survey import Found, digest_of_link
from hpcbake.deliver.ways import LoginFacts, Way, choose_way, look_at_login
from hpcbake.errors import BusyError, ExitCode, HpcbakeError, PrereqError, SiteUnreachableError, SmokeUnknownError
from hpcbake.model.artefacts import BuiltImage, SmokeTest
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node, RuntimeCommands
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport
from hpcbake.report.records import ErrorRecord, error_record
from hpcbake.ship.evidence import settled_tests
from hpcbake.ship.forecast import Action, ImageForecast
from hpcbake.ship.prospect import Prospect, SifSizes
from hpcbake.ship.verdict_words import short_reason, verdict_error
from hpcbake.smoke.job import Job
from hpcbake.smoke.submit import SmokeRequest, render_jobs

#: Stands for a digest that only the build will tell: no SIF has this name.
NOT_BUILT = Digest("sha256:" + "0" * 64)


class AskedConverter(Protocol):
    """The build host's runtime, asked only whether it could."""

    def why_not(self) -> str: ...


class Wishes(Protocol):
    """What the user wants at every site: how far to go, smoke tests and exposed commands by image, a way for all."""

    @property
    def until(self) -> str: ...

    @property
    def tests(self) -> Mapping[str, Sequence[SmokeTest]]: ...

    @property
    def expose(self) -> Mapping[str, Sequence[str]]: ...

    @property
    def template_folders(self) -> Sequence[Path]: ...

    @property
    def way(self) -> str | None: ...

    @property
    def release_hold(self) -> bool: ...


@dataclass(frozen=True)
class JobsAhead:
    """The smoke jobs of one image at one site, and what an earlier run left of them, by key.

    They are settled as in a run: by the very bytes and the very job. A run that ends with the delivery has none, and is
    settled by the SIF alone.
    """

    jobs: tuple[Job, ...]
    settled: Mapping[str, Mapping[str, object]]
    is_settled: bool

    @property
    def open_names(self) -> tuple[str, ...]:
        return tuple(job.test.name for job in self.jobs if job.key not in self.settled)


class Foresight:
    """One site as a run would find it."""

    def __init__(
        self,
        site: Site,
        wishes: Wishes,
        *,
        commands: RuntimeCommands,
        converter: AskedConverter,
        sizes: SifSizes,
        run: str = "PLAN",
    ) -> None:
        self._site = site
        self._wishes = wishes
        self._commands = commands
        self._converter = converter
        self._sizes = sizes
        self._run = run
        self._facts: dict[str, LoginFacts] = {}

    # ---- without the site ----

    def judge(self, prospect: Prospect, report: CompatReport) -> ImageForecast:
        """What the check says."""
        image = replace(blank(prospect), verdict=report.verdict.value)
        misfit = verdict_error(report, self._site.name, prospect.name)
        return self.block(image, "check", misfit, short_reason(report)) if misfit else image

    def block(self, image: ImageForecast, stage: str, error: HpcbakeError, reason: str = "") -> ImageForecast:
        """An image that a ship would not bring to users here."""
        record = error_record(stage, error)
        return replace(image, action=Action.BLOCKED, reason=reason or _reason(self._site.name, error), error=record)

    def blocked_by(self, image: ImageForecast, error: ErrorRecord) -> ImageForecast:
        """The same, where the failure has been recorded already."""
        reason = image.reason if image.action is Action.BLOCKED and image.reason else ""
        message = error.message.removeprefix(f"{self._site.name}: ")
        words = f"site unreachable: {message}" if error.code is ExitCode.SITE_UNREACHABLE else message
        return replace(image, action=Action.BLOCKED, reason=reason or words, error=error)

    # ---- at the site ----

    def foresee(
        self, prospect: Prospect, found: Found, image: ImageForecast, ahead: JobsAhead, node: Node
    ) -> ImageForecast:
        """One image that fits, at a site that answers."""
        image = replace(image, current=found.current_digest)
        try:
            if ahead.is_settled:
                in_place = "delivered already" if self._ends_delivered else "in place"
                return replace(image, action=Action.UNCHANGED, reason=_if_built(in_place, prospect, found))
            image = replace(
                image,
                action=Action.UPDATE if found.current else Action.CREATE,
                reason=_if_built(_change(prospect, found, ahead.open_names), prospect, found),
                jobs=ahead.open_names,
            )
            if not ahead.jobs and not self._ends_delivered:
                raise SmokeUnknownError(
                    f"{self._site.name}: no smoke test of {prospect.name} runs here, so nothing is promoted",
                    remedy="give the image at least one smoke test that runs on this site",
                    kind="slurm.untested",
                )
            if found.sif != "present":
                image = self._with_way(image, prospect, node)
        except HpcbakeError as error:
            return self.block(image, "plan", error)
        is_held = found.hold and found.current != found.target and not self._wishes.release_hold
        if is_held and self._wishes.until == "promote":
            return self.block(image, "promote", _held(self._site.name, found), f"held at {_hold_words(found)}")
        return image

    def jobs_ahead(self, prospect: Prospect, found: Found) -> JobsAhead:
        """The smoke tests for this site. Raises ConfigError for one that cannot be made."""
        if self._ends_delivered:
            return JobsAhead((), {}, found.is_delivered)
        request = SmokeRequest(
            found.deployment(prospect.image or _image_to_come(prospect), self._site),
            self._wishes.tests[prospect.name],
            run=self._run,
            template_folders=self._wishes.template_folders,
            programs=self._wishes.expose.get(prospect.name, ()),
        )
        jobs = tuple(render_jobs(request, self._site, self._commands))
        settled = settled_tests(found) if found.is_delivered else {}
        is_settled = found.is_delivered and found.is_current and all(job.key in settled for job in jobs)
        return JobsAhead(jobs, settled, is_settled)

    @property
    def _ends_delivered(self) -> bool:
        return self._wishes.until == "deliver"

    def login_facts(self, registry: str, node: Node) -> LoginFacts:
        """One round trip per registry, however many images come from it."""
        if registry not in self._facts:
            self._facts[registry] = look_at_login(registry, self._site, node=node)
        return self._facts[registry]

    def _with_way(self, image: ImageForecast, prospect: Prospect, node: Node) -> ImageForecast:
        """How the SIF would come here, and how many bytes that moves."""
        wanted = self._wishes.way or self._site.runtime.way
        reference = prospect.image.reference if prospect.image else prospect.reference
        cannot = self._converter.why_not()
        if wanted in ("oras", "stream") and cannot:
            raise PrereqError(
                f"cannot convert {prospect.name}: {cannot}",
                remedy="install apptainer here, or choose another way of delivery: --way docker",
                kind="config.missing-program",
            )
        facts = self.login_facts(reference.registry, node) if wanted == "auto" else LoginFacts()
        way = choose_way(wanted, self._site, reference, facts, cannot_convert=cannot)
        size, is_exact = self._size(prospect.image, way)
        reason = image.reason
        if facts.reaches is False:
            reason = f"{reason}; no route to {reference.registry}: {way.name}"
        return replace(image, way=way.name, why=way.why, size_bytes=size, size_is_exact=is_exact, reason=reason)

    def _size(self, image: BuiltImage | None, way: Way) -> tuple[int | None, bool]:
        """Bytes to the site: the layers where it converts itself, else the SIF, which is about as large as they."""
        if image is None:
            return None, False
        if way.name in ("docker", "job"):
            return image.size_bytes, True
        size = self._sizes.find(image)
        return (image.size_bytes, False) if size is None else (size, True)


def blank(prospect: Prospect) -> ImageForecast:
    """An image of which nothing is known yet."""
    return ImageForecast(prospect.name, Action.CREATE, "", wanted=prospect.digest)


def _image_to_come(prospect: Prospect) -> BuiltImage:
    """What a target will be after its build, as far as the text of its jobs goes."""
    reference = prospect.reference.with_digest(NOT_BUILT)
    return BuiltImage(prospect.name, prospect.version, reference, NOT_BUILT, 0, prospect.tags)


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
