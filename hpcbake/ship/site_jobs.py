"""The smoke jobs of all images at one site: waited for together, judged image by image, or left to themselves."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.errors import HpcbakeError
from hpcbake.model.artefacts import SmokeStatus
from hpcbake.report.records import Outcome, StageRecord
from hpcbake.ship.at_site import AtSite
from hpcbake.ship.evidence import results_of_current, smoke_error, smoke_evidence, smoke_words, submitted_evidence
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.progress import ImageProgress
from hpcbake.ship.times import render_utc
from hpcbake.smoke.regression import find_regressions
from hpcbake.smoke.submit import Submission
from hpcbake.smoke.wait import wait


def leave_jobs(at: AtSite, item: ImageProgress) -> None:
    """An image whose jobs are on their way is done for this run; one whose jobs have ended goes on."""
    left = [submission for submission in item.submissions if submission.is_new]
    if not item.is_open or not left:
        return
    now = render_utc(at.world.clock.now())
    item.outcome = Outcome.SUBMITTED
    item.stages.append(StageRecord("smoke", item.outcome.value, now, 0.0, submitted_evidence(left)))
    at.say("smoke", "left to itself", item, status="done", facts={"outcome": item.outcome.value})


def wait_for_jobs(at: AtSite, items: Sequence[ImageProgress], node: SiteNode) -> None:
    """Wait for the jobs of all images together: one question to Slurm at a time."""
    waiting = [item for item in items if item.is_open]
    submissions = [submission for item in waiting for submission in item.submissions]
    if not submissions:
        return
    by_name = {item.image.name: item for item in waiting}

    def on_progress(submission: Submission, text: str) -> None:
        facts = {"job": submission.job_id, "state": text.removeprefix(f"job {submission.job_id} ")}
        at.say("smoke", text, by_name.get(submission.image), facts=facts)

    clock = at.world.clock
    started, began = clock.now(), clock.monotonic()
    try:
        results = wait(submissions, at.site, node=node, clock=clock, on_progress=on_progress)
    except HpcbakeError as error:
        for item in waiting:
            at.fail(item, "smoke", error, render_utc(started), clock.monotonic() - began)
        return
    duration = clock.monotonic() - began
    for item in waiting:
        item.smoke += [result for result in results if result.image == item.image.name]
        _judge(at, item, render_utc(started), duration)


def _judge(at: AtSite, item: ImageProgress, started: str, duration: float) -> None:
    bad = next((r for r in item.smoke if r.status in (SmokeStatus.FAILED, SmokeStatus.UNKNOWN)), None)
    at.journal.note("done", stage="smoke", site=at.site.name, image=item.image.name, failed=bool(bad))
    if bad is not None:
        at.fail(item, "smoke", smoke_error(bad, at.site.name), started, duration, smoke_evidence(item.smoke))
        return
    status = Outcome.OK if any(result.changed for result in item.smoke) else Outcome.UNCHANGED
    item.stages.append(StageRecord("smoke", status.value, started, duration, smoke_evidence(item.smoke)))
    assert item.found is not None
    before = results_of_current(item.found, at.site.name)
    grown = find_regressions(item.smoke, before, factor=at.settings.regression_factor)
    at.notes.extend(f"{item.image.name}: {line}" for line in grown)
    facts = {"outcome": status.value, "seconds": round(duration, 3)}
    at.say("smoke", ", ".join(map(smoke_words, item.smoke)), item, status="done", facts=facts)
