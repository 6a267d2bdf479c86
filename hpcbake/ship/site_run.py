"""One site's part of a run: survey and plan, then deliver and submit image by image, wait for all jobs, promote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial

from hpcbake.deliver.survey import Survey, Wanted, survey, sweep
from hpcbake.errors import HpcbakeError
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.report.records import Outcome, SiteRecord, StageRecord, error_record, outcome_of
from hpcbake.ship.accord import PROMOTED, TESTED, Accord
from hpcbake.ship.at_site import AtSite, StepResult
from hpcbake.ship.evidence import release_before
from hpcbake.ship.forecast import SiteForecast
from hpcbake.ship.foresight import Foresight, blank
from hpcbake.ship.journal import Journal
from hpcbake.ship.places import PATIENCE_S, Places
from hpcbake.ship.plan_board import PlanBoard
from hpcbake.ship.ports import Listener, SiteNode, World
from hpcbake.ship.progress import ImageProgress
from hpcbake.ship.prospect import SifSizes, prospect_of_image
from hpcbake.ship.settings import ShipSettings
from hpcbake.ship.site_accord import hold_back, is_moved, problems_of, take_back
from hpcbake.ship.site_jobs import leave_jobs, wait_for_jobs
from hpcbake.ship.site_stages import (
    check,
    deliver,
    promote_image,
    require_delivered,
    settle,
    submit_tests,
)
from hpcbake.ship.times import render_utc

#: A clock that differs by more than this is worth a warning; nothing is ever decided by comparing two clocks.
CLOCK_SKEW_WARN_S = 300.0

#: The stages at a site, in order; a run may stop after any of them.
SITE_STAGES = ("check", "deliver", "smoke", "promote")


@dataclass(frozen=True)
class Together:
    """What the sites of a run have in common: places to work in, sizes of SIFs, a plan to show, an accord to keep."""

    places: Places
    sizes: SifSizes
    board: PlanBoard | None = None
    accord: Accord | None = None
    patience_s: float = field(default=PATIENCE_S)


class SiteRun:
    """Brings all images of a run to one site. One thread, one connection; failures stay inside."""

    def __init__(
        self,
        site: Site,
        images: Sequence[BuiltImage],
        settings: ShipSettings,
        world: World,
        journal: Journal,
        listener: Listener,
        together: Together,
    ) -> None:
        self._site = site
        self._settings = settings
        self._world = world
        self._together = together
        self._progress = [ImageProgress(image) for image in images]
        foresight = Foresight(
            site,
            settings,
            commands=world.commands,
            converter=world.converter,
            sizes=together.sizes,
            run=settings.run,
        )
        self._at = AtSite(site, settings, world, journal, listener, foresight)
        self._skew: float | None = None
        self._host_key = ""
        self._left = 0

    def run(self) -> SiteRecord:
        """All stages. Never raises HpcbakeError: what went wrong is in the record."""
        try:
            with self._together.places.held():
                self._run()
        finally:
            if self._together.accord is not None:
                self._together.accord.leave(self._site.name, f"{self._site.name}: ended early")
        return self.record()

    def record(self) -> SiteRecord:
        """What is known so far; when a signal ends the run early, images that are on their way are skipped."""
        return SiteRecord(
            self._site.name,
            tuple(item.record() for item in self._progress),
            host_key=self._host_key,
            clock_skew_s=self._skew,
            notes=tuple(self._at.notes),
            left_behind=tuple(line for item in self._progress for line in item.left_behind()),
        )

    # ---- the order of things ----

    def _run(self) -> None:
        for item in self._progress:
            self._at.perform(item, "check", partial(check, self._at, item))
        if self._has_open() and self._wants("deliver"):
            node = self._world.connect(self._site)
            try:
                self._run_on(node)
            finally:
                self._host_key = node.host_key
                node.close()
        else:
            self._tell_plan()
            self._agree()
            self._hear_all()
        for item in self._progress:
            if item.is_open:
                item.outcome = Outcome.OK

    def _run_on(self, node: SiteNode) -> None:
        began = self._world.clock.monotonic()
        with self._together.places.lent(self._together.patience_s):
            is_there = self._survey(node)
            self._foresee(node)
        self._tell_plan(self._world.clock.monotonic() - began)
        if is_there:
            self._bring(node)
        self._agree()
        for item in self._open():
            if self._wants("promote"):
                self._at.perform(item, "promote", partial(promote_image, self._at, item, node))
            if item.is_open:
                item.outcome = Outcome.OK if item.has_changed else Outcome.UNCHANGED
        self._take_back_unless_all(node)

    def _bring(self, node: SiteNode) -> None:
        """Everything up to the end of the smoke jobs: nothing of it is seen by users."""
        if self._left:
            self._sweep(node)
        for item in self._open():
            settle(self._at, item)
            for stage, act in self._acts(item, node):
                if item.is_open:
                    # How the tests end is recorded when they have.
                    self._at.perform(item, stage, act, record=stage != "smoke")
        if self._settings.detach:
            for item in self._progress:
                leave_jobs(self._at, item)
        with self._together.places.lent():
            wait_for_jobs(self._at, self._progress, node)

    def _acts(self, item: ImageProgress, node: SiteNode) -> list[tuple[str, Callable[[], StepResult]]]:
        """Delivery and tests of one image; in a run of a later stage alone, a look that it was delivered."""
        is_later = self._settings.only and self._settings.until in ("smoke", "promote")
        bring = partial(require_delivered, self._at, item) if is_later else partial(deliver, self._at, item, node)
        acts: list[tuple[str, Callable[[], StepResult]]] = [("deliver", bring)]
        if self._wants("smoke"):
            acts.append(("smoke", partial(submit_tests, self._at, item, node)))
        return acts

    def _wants(self, stage: str) -> bool:
        return SITE_STAGES.index(stage) <= SITE_STAGES.index(self._settings.until)

    def _open(self) -> list[ImageProgress]:
        return [item for item in self._progress if item.is_open]

    def _has_open(self) -> bool:
        return any(item.is_open for item in self._progress)

    # ---- the plan ----

    def _survey(self, node: SiteNode) -> bool:
        """One round trip that shows what is there; False when the site cannot be reached."""
        wanted = [Wanted(item.image.name, item.image.digest, item.image.version) for item in self._progress]
        self._at.journal.mention("do", stage="survey", site=self._site.name)
        self._at.say("survey", "…", status="begin")
        clock = self._world.clock
        started, began = clock.now(), clock.monotonic()
        try:
            seen = survey(wanted, self._site, node=node)
        except HpcbakeError as error:
            self._unreachable(error, render_utc(started), clock.monotonic() - began)
            return False
        self._note(seen)
        return True

    def _unreachable(self, error: HpcbakeError, started: str, duration: float) -> None:
        failed = error_record("connect", error)
        record = StageRecord("survey", outcome_of(error).value, started, duration, error=failed)
        for item in self._open():
            item.stages.append(record)
            item.error = failed
            item.outcome = outcome_of(error)
        facts = {"outcome": outcome_of(error).value, "kind": error.kind, "seconds": round(duration, 3)}
        self._at.say("connect", error.message, status="failed", facts=facts)

    def _note(self, seen: Survey) -> None:
        self._skew = round(seen.clock_s - self._world.clock.now(), 1)
        if abs(self._skew) > CLOCK_SKEW_WARN_S:
            self._at.notes.append(f"the site's clock differs by {self._skew:.0f} s")
        for item, found in zip(self._progress, seen.found, strict=True):
            item.found = found
            item.after = release_before(found)
        self._left = seen.left

    def _foresee(self, node: SiteNode) -> None:
        """What will be done with each image that fits, from the survey; a job that cannot be made ends the image."""
        clock = self._world.clock
        for item in self._open():
            prospect = prospect_of_image(item.image)
            assert item.found is not None
            assert item.verdict is not None
            try:
                item.ahead = self._at.foresight.jobs_ahead(prospect, item.found)
            except HpcbakeError as error:
                self._at.fail(item, "smoke", error, render_utc(clock.now()), 0.0)
                continue
            judged = self._at.foresight.judge(prospect, item.verdict)
            item.forecast = self._at.foresight.foresee(prospect, item.found, judged, item.ahead, node)

    def _tell_plan(self, took_s: float = 0.0) -> None:
        """Show it before anything is done here."""
        board = self._together.board
        if board is None:
            return
        foresight = self._at.foresight
        images = []
        for item in self._progress:
            image = item.forecast or blank(prospect_of_image(item.image))
            if item.error is not None:
                image = foresight.blocked_by(image, item.error)
            images.append(image)
        with self._together.places.lent():
            board.tell(SiteForecast(self._site.name, tuple(images)), took_s)

    def _sweep(self, node: SiteNode) -> None:
        """Clear away what dead runs have left. A failure to tidy up is a note, never a reason to fail."""
        try:
            swept = sweep(self._site, run=self._settings.run, node=node)
        except HpcbakeError as error:
            self._at.notes.append(f"left-overs of a dead run could not be swept: {error.message}")
            return
        if swept:
            self._at.say("sweep", f"{swept} left by a run that died")

    # ---- all or none ----

    def _agree(self) -> None:
        """All or none: wait until every site has passed, and hold back what has if one has not."""
        accord = self._together.accord
        if accord is None:
            return
        if self._open():
            self._at.say("promote", "waits for the other sites (all or none)")
        with self._together.places.lent():
            problems = accord.agree(TESTED, self._site.name, problems_of(self._at, self._progress))
        if problems:
            for item in self._open():
                hold_back(self._at, item, problems)

    def _take_back_unless_all(self, node: SiteNode) -> None:
        """All or none: where a promotion failed after others had been made, those others are undone."""
        problems = self._hear_all()
        if problems:
            for item in self._progress:
                if is_moved(item):
                    take_back(self._at, item, problems, node)

    def _hear_all(self) -> tuple[str, ...]:
        """What stands in the way anywhere after the promotions; nothing where sites go on each by itself."""
        accord = self._together.accord
        if accord is None:
            return ()
        with self._together.places.lent():
            return accord.agree(PROMOTED, self._site.name, problems_of(self._at, self._progress))
