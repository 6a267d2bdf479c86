"""One site's part of a run: survey, then check, deliver and submit image by image, wait for all jobs, promote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from hpcbake.deliver.bring import Means, bring
from hpcbake.deliver.deliver import DeliverRequest
from hpcbake.deliver.promote import PromoteRequest, promote
from hpcbake.deliver.survey import Wanted, survey, sweep
from hpcbake.errors import (
    HpcbakeError,
)
from hpcbake.model.artefacts import BuiltImage, Deployment, SmokeStatus
from hpcbake.model.site import Site
from hpcbake.model.verdict import Severity
from hpcbake.report.records import (
    Outcome,
    SiteRecord,
    StageRecord,
    error_record,
    outcome_of,
)
from hpcbake.ship.evidence import (
    deliver_evidence,
    release_before,
    remembered,
    results_of_current,
    settled_tests,
    smoke_error,
    smoke_evidence,
    smoke_words,
    submitted_evidence,
)
from hpcbake.ship.journal import Journal
from hpcbake.ship.ports import Listener, SiteNode, World
from hpcbake.ship.progress import ImageProgress
from hpcbake.ship.settings import ShipSettings
from hpcbake.ship.times import render_utc
from hpcbake.ship.verdict_words import verdict_error
from hpcbake.smoke.regression import find_regressions
from hpcbake.smoke.submit import SmokeRequest, render_jobs, skipped_results, submit
from hpcbake.smoke.wait import wait

T = TypeVar("T")

#: A clock that differs by more than this is worth a warning; nothing is ever decided by comparing two clocks.
CLOCK_SKEW_WARN_S = 300.0

#: The stages at a site, in order; a run may stop after any of them.
SITE_STAGES = ("check", "deliver", "smoke", "promote")


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
    ) -> None:
        self._site = site
        self._settings = settings
        self._world = world
        self._journal = journal
        self._listener = listener
        self._progress = [ImageProgress(image) for image in images]
        self._notes: list[str] = []
        self._skew: float | None = None
        self._host_key = ""
        self._left = 0

    def run(self) -> SiteRecord:
        """All stages. Never raises HpcbakeError: what went wrong is in the record."""
        for item in self._progress:
            self._step(item, "check", lambda item=item: self._check(item))  # type: ignore[misc]
        if any(item.is_open for item in self._progress) and self._wants("deliver"):
            node = self._world.connect(self._site)
            try:
                self._run_on(node)
            finally:
                self._host_key = node.host_key
                node.close()
        for item in self._progress:
            if item.is_open:
                item.outcome = Outcome.OK
        return self.record()

    def record(self) -> SiteRecord:
        """What is known so far; when a signal ends the run early, images that are on their way are skipped."""
        return SiteRecord(
            self._site.name,
            tuple(item.record() for item in self._progress),
            host_key=self._host_key,
            clock_skew_s=self._skew,
            notes=tuple(self._notes),
            left_behind=tuple(line for item in self._progress for line in item.left_behind()),
        )

    def _wants(self, stage: str) -> bool:
        return SITE_STAGES.index(stage) <= SITE_STAGES.index(self._settings.until)

    # ---- stages ----

    def _run_on(self, node: SiteNode) -> None:
        if not self._survey(node):
            return
        if self._left:
            self._sweep(node)
        for item in self._progress:
            if item.is_open:
                self._settle_if_in_place(item)
            if item.is_open:
                self._step(item, "deliver", lambda item=item: self._deliver(item, node))  # type: ignore[misc]
            if item.is_open and self._wants("smoke"):
                self._step(item, "smoke", lambda item=item: self._submit(item, node), record=False)  # type: ignore[misc]
        if self._settings.detach:
            for item in self._progress:
                self._leave_jobs(item)
        if self._wants("smoke"):
            self._wait(node)
        for item in self._progress:
            if item.is_open and self._wants("promote"):
                self._step(item, "promote", lambda item=item: self._promote(item, node))  # type: ignore[misc]
            if item.is_open:
                item.outcome = Outcome.OK if item.has_changed else Outcome.UNCHANGED

    def _check(self, item: ImageProgress) -> tuple[Outcome, dict[str, object]]:
        verdict = self._world.check(item.image, self._site)
        item.verdict = verdict
        failure = verdict_error(verdict, self._site.name, item.image.name)
        if failure is not None:
            raise failure
        findings = [finding for finding in verdict.findings if finding.severity is not Severity.INFO]
        evidence: dict[str, object] = {"verdict": verdict.verdict.value, "findings": len(findings)}
        self._notes += [f"{item.image.name}: {finding.message}" for finding in findings]
        return Outcome.OK, evidence

    def _survey(self, node: SiteNode) -> bool:
        """One round trip that shows what is there; False when the site cannot be reached."""
        wanted = [Wanted(item.image.name, item.image.digest, item.image.version) for item in self._progress]
        self._journal.note("do", stage="survey", site=self._site.name)
        started, began = self._world.clock.now(), self._world.clock.monotonic()
        try:
            seen = survey(wanted, self._site, node=node)
        except HpcbakeError as error:
            record = StageRecord(
                "survey",
                outcome_of(error).value,
                render_utc(started),
                self._world.clock.monotonic() - began,
                error=error_record("connect", error),
            )
            for item in self._progress:
                if item.is_open:
                    item.stages.append(record)
                    item.error = record.error
                    item.outcome = outcome_of(error)
            self._listener.step("connect", error.message, site=self._site.name)
            return False
        self._skew = round(seen.clock_s - self._world.clock.now(), 1)
        if abs(self._skew) > CLOCK_SKEW_WARN_S:
            self._notes.append(f"the site's clock differs by {self._skew:.0f} s")
        for item, found in zip(self._progress, seen.found, strict=True):
            item.found = found
            item.after = release_before(found)
        self._left = seen.left
        return True

    def _sweep(self, node: SiteNode) -> None:
        """Clear away what dead runs have left. A failure to tidy up is a note, never a reason to fail."""
        try:
            swept = sweep(self._site, run=self._settings.run, node=node)
        except HpcbakeError as error:
            self._notes.append(f"left-overs of a dead run could not be swept: {error.message}")
            return
        if swept:
            self._listener.step("sweep", f"{swept} left by a run that died", site=self._site.name)

    def _settle_if_in_place(self, item: ImageProgress) -> None:
        """An image whose SIF, smoke tests and links are all as wanted needs nothing more: it is unchanged."""
        found = item.found
        assert found is not None
        if not found.is_delivered:
            return
        deployment = found.deployment(item.image, self._site)
        settled = settled_tests(found)
        request = self._smoke_request(item, deployment)
        jobs = render_jobs(request, self._site, self._world.commands)
        if not found.is_current or not all(job.key in settled for job in jobs):
            return
        item.deployment = deployment
        item.smoke = skipped_results(request, self._site)
        item.smoke += [remembered(self._site.name, item.image.name, settled[job.key]) for job in jobs]
        now = render_utc(self._world.clock.now())
        item.stages += [
            StageRecord("deliver", Outcome.UNCHANGED.value, now, 0.0, deliver_evidence(deployment)),
            StageRecord("smoke", Outcome.UNCHANGED.value, now, 0.0, smoke_evidence(item.smoke)),
            StageRecord("promote", Outcome.UNCHANGED.value, now, 0.0, {"current": found.current}),
        ]
        item.outcome = Outcome.UNCHANGED
        self._listener.step("promote", "in place, unchanged", site=self._site.name, image=item.image.name)

    def _deliver(self, item: ImageProgress, node: SiteNode) -> tuple[Outcome, dict[str, object]]:
        settings = self._settings
        name = item.image.name
        assert item.found is not None
        if item.found.is_delivered:
            item.deployment = item.found.deployment(item.image, self._site)
            return Outcome.UNCHANGED, deliver_evidence(item.deployment)
        item.deployment = bring(
            DeliverRequest(
                image=item.image,
                run=settings.run,
                created=settings.created,
                tool_version=settings.tool_version,
                check=item.verdict,
                credentials=self._world.login_for(item.image.reference.registry),
                lock_wait_s=settings.lock_wait_s,
            ),
            self._site,
            Means(
                node=node,
                commands=self._world.commands,
                converter=self._world.converter,
                content_of=self._world.content_of,
                say=lambda text: self._listener.step("deliver", text, site=self._site.name, image=name),
                sleep=self._world.clock.sleep,
            ),
            wanted=settings.way or self._site.runtime.way,
        )
        self._notes += [f"{name}: {note}" for note in item.deployment.notes]
        return (Outcome.OK if item.deployment.changed else Outcome.UNCHANGED), deliver_evidence(item.deployment)

    def _smoke_request(self, item: ImageProgress, deployment: Deployment) -> SmokeRequest:
        return SmokeRequest(
            deployment=deployment,
            tests=self._settings.tests[item.image.name],
            run=self._settings.run,
            retry_failed=self._settings.retry_failed,
            template_folders=self._settings.template_folders,
            lock_wait_s=self._settings.lock_wait_s,
            programs=self._settings.expose.get(item.image.name, ()),
            detach=self._settings.detach,
        )

    def _submit(self, item: ImageProgress, node: SiteNode) -> tuple[Outcome, dict[str, object]]:
        assert item.deployment is not None
        request = self._smoke_request(item, item.deployment)
        name = item.image.name
        item.smoke = skipped_results(request, self._site)
        item.submissions = submit(
            request,
            self._site,
            node=node,
            commands=self._world.commands,
            clock=self._world.clock,
            on_progress=lambda text: self._listener.step("smoke", text, site=self._site.name, image=name),
        )
        new = ", ".join(submission.job_id for submission in item.submissions if submission.is_new)
        text = f"job {new} submitted" if new else "every test has run before"
        self._listener.step("smoke", text, site=self._site.name, image=item.image.name)
        return Outcome.OK, {}

    def _leave_jobs(self, item: ImageProgress) -> None:
        """An image whose jobs are on their way is done for this run; one whose jobs have ended goes on."""
        left = [submission for submission in item.submissions if submission.is_new]
        if not item.is_open or not left:
            return
        now = render_utc(self._world.clock.now())
        item.outcome = Outcome.SUBMITTED
        item.stages.append(StageRecord("smoke", item.outcome.value, now, 0.0, submitted_evidence(left)))

    def _wait(self, node: SiteNode) -> None:
        """Wait for the jobs of all images together: one question to Slurm at a time."""
        waiting = [item for item in self._progress if item.is_open]
        submissions = [submission for item in waiting for submission in item.submissions]
        if not submissions:
            return
        started, began = self._world.clock.now(), self._world.clock.monotonic()
        try:
            results = wait(
                submissions,
                self._site,
                node=node,
                clock=self._world.clock,
                on_progress=lambda submission, text: self._listener.step(
                    "smoke", text, site=self._site.name, image=submission.image
                ),
            )
        except HpcbakeError as error:
            for item in waiting:
                self._fail(item, "smoke", error, render_utc(started), self._world.clock.monotonic() - began)
            return
        duration = self._world.clock.monotonic() - began
        for item in waiting:
            item.smoke += [result for result in results if result.image == item.image.name]
            self._judge_smoke(item, render_utc(started), duration)

    def _judge_smoke(self, item: ImageProgress, started: str, duration: float) -> None:
        bad = next((r for r in item.smoke if r.status in (SmokeStatus.FAILED, SmokeStatus.UNKNOWN)), None)
        self._journal.note("done", stage="smoke", site=self._site.name, image=item.image.name, failed=bool(bad))
        if bad is None:
            status = Outcome.OK if any(result.changed for result in item.smoke) else Outcome.UNCHANGED
            item.stages.append(StageRecord("smoke", status.value, started, duration, smoke_evidence(item.smoke)))
            assert item.found is not None
            before = results_of_current(item.found, self._site.name)
            grown = find_regressions(item.smoke, before, factor=self._settings.regression_factor)
            self._notes += [f"{item.image.name}: {line}" for line in grown]
            said = ", ".join(map(smoke_words, item.smoke))
            self._listener.step("smoke", said, site=self._site.name, image=item.image.name)
            return
        self._fail(item, "smoke", smoke_error(bad, self._site.name), started, duration, smoke_evidence(item.smoke))

    def _promote(self, item: ImageProgress, node: SiteNode) -> tuple[Outcome, dict[str, object]]:
        assert item.deployment is not None
        assert item.found is not None
        settings = self._settings
        done = promote(
            PromoteRequest(
                deployment=item.deployment,
                smoke=item.smoke,
                expected_current=item.found.current,
                run=settings.run,
                created=settings.created,
                tool_version=settings.tool_version,
                check=item.verdict,
                expose=settings.expose.get(item.image.name, ()),
                lock_wait_s=settings.lock_wait_s,
                by=settings.by,
                revision=settings.revision,
                release_hold=settings.release_hold,
            ),
            self._site,
            node=node,
            commands=self._world.commands,
        )
        self._notes += [f"{item.image.name}: {note}" for note in done.notes]
        item.after = release_before(replace(item.found, current=done.after, current_sha256=item.deployment.sif_sha256))
        return (Outcome.OK if done.changed else Outcome.UNCHANGED), {"current": done.after, "was": done.before}

    # ---- book-keeping ----

    def _step(
        self,
        item: ImageProgress,
        stage: str,
        act: Callable[[], tuple[Outcome, dict[str, object]]],
        *,
        record: bool = True,
    ) -> None:
        """Run one step: journal before and after, its time and outcome recorded, its failure kept with the image."""
        name = item.image.name
        self._journal.note("do", stage=stage, site=self._site.name, image=name, digest=str(item.image.digest))
        self._listener.step(stage, "…", site=self._site.name, image=name)
        item.doing = stage
        started, began = self._world.clock.now(), self._world.clock.monotonic()
        try:
            outcome, evidence = act()
        except HpcbakeError as error:
            item.doing = ""
            self._fail(item, stage, error, render_utc(started), self._world.clock.monotonic() - began)
            return
        item.doing = ""
        duration = self._world.clock.monotonic() - began
        if record:
            item.stages.append(StageRecord(stage, outcome.value, render_utc(started), duration, evidence))
        self._journal.note("done", stage=stage, site=self._site.name, image=name, outcome=outcome.value)
        if record:
            self._listener.step(stage, f"{outcome.value} ({duration:.1f} s)", site=self._site.name, image=name)

    def _fail(
        self,
        item: ImageProgress,
        stage: str,
        error: HpcbakeError,
        started: str,
        duration: float,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        item.error = error_record(stage, error)
        item.outcome = outcome_of(error)
        item.stages.append(
            StageRecord(stage, item.outcome.value, started, duration, evidence or dict(error.evidence), item.error)
        )
        self._journal.note("failed", stage=stage, site=self._site.name, image=item.image.name, kind=error.kind)
        self._listener.step(
            stage, f"{item.outcome.value}: {error.message}", site=self._site.name, image=item.image.name
        )
