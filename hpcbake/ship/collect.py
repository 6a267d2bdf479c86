"""One site's smoke jobs that were left to themselves: waited for and judged, nothing submitted, nothing promoted."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.errors import HpcbakeError
from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from hpcbake.model.site import Site
from hpcbake.report.records import ErrorRecord, ImageRecord, Outcome, SiteRecord, StageRecord, error_record, outcome_of
from hpcbake.ship.evidence import smoke_error, smoke_evidence, smoke_words
from hpcbake.ship.ports import Listener, SiteNode, World
from hpcbake.ship.times import render_utc
from hpcbake.smoke.collect import find_left_jobs, mark_seen
from hpcbake.smoke.submit import Submission
from hpcbake.smoke.wait import wait


class Collection:
    """Collects at one site. Failures stay inside, as those of a run do."""

    def __init__(self, site: Site, images: Sequence[str], world: World, listener: Listener) -> None:
        self._site = site
        self._wanted = frozenset(images)
        self._world = world
        self._listener = listener
        self._images: list[ImageRecord] = []
        self._notes: list[str] = []
        self._left: list[str] = []
        self._host_key = ""

    def run(self) -> SiteRecord:
        """Find the jobs, wait for them, judge them. Never raises HpcbakeError."""
        node = self._world.connect(self._site)
        try:
            self._run_on(node)
        except HpcbakeError as error:
            self._listener.step("smoke", error.message, site=self._site.name)
            failed = error_record("connect", error)
            for name in sorted(self._wanted) or ["(all)"]:
                self._images.append(ImageRecord(name, "", outcome_of(error), error=failed))
        finally:
            self._host_key = node.host_key
            node.close()
        return self.record()

    def record(self) -> SiteRecord:
        """What is known so far."""
        return SiteRecord(
            self._site.name,
            tuple(self._images),
            host_key=self._host_key,
            notes=tuple(self._notes),
            left_behind=tuple(self._left),
        )

    def _run_on(self, node: SiteNode) -> None:
        found = [
            (digest, submission)
            for digest, submission in find_left_jobs(self._site, node=node)
            if not self._wanted or submission.image in self._wanted
        ]
        if not found:
            self._notes.append("no smoke job was left to itself here")
            return
        self._left = [f"job {submission.job_id} of {submission.image} goes on" for _, submission in found]
        submissions = [submission for _, submission in found]
        clock = self._world.clock
        started, began = clock.now(), clock.monotonic()
        results = wait(submissions, self._site, node=node, clock=clock, on_progress=self._on_progress)
        duration = clock.monotonic() - began
        self._left = []
        for image, digest in dict.fromkeys((submission.image, digest) for digest, submission in found):
            of_image = [
                result
                for result, (its_digest, _) in zip(results, found, strict=True)
                if (result.image, its_digest) == (image, digest)
            ]
            self._images.append(self._judge(image, digest, of_image, render_utc(started), duration))
        try:
            mark_seen(submissions, self._site, node=node)
        except HpcbakeError as error:
            self._notes.append(f"these jobs will be shown again: {error.message}")

    def _on_progress(self, submission: Submission, text: str) -> None:
        self._listener.step("smoke", text, site=self._site.name, image=submission.image)

    def _judge(
        self, image: str, digest: str, results: Sequence[SmokeResult], started: str, duration: float
    ) -> ImageRecord:
        bad = next((result for result in results if result.status in (SmokeStatus.FAILED, SmokeStatus.UNKNOWN)), None)
        self._listener.step("smoke", ", ".join(map(smoke_words, results)), site=self._site.name, image=image)
        outcome, error = Outcome.OK, None
        if bad is not None:
            failure = smoke_error(bad, self._site.name)
            outcome, error = outcome_of(failure), error_record("smoke", failure)
        return _image_record(image, digest, outcome, error, results, started, duration)


def _image_record(
    image: str,
    digest: str,
    outcome: Outcome,
    error: ErrorRecord | None,
    results: Sequence[SmokeResult],
    started: str,
    duration: float,
) -> ImageRecord:
    stage = StageRecord("smoke", outcome.value, started, duration, smoke_evidence(results), error)
    return ImageRecord(image, digest, outcome, (stage,), error=error)
