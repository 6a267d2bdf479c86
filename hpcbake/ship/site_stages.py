"""The stages of one image at one site: each takes what the one before left with the image, and leaves its own."""

from __future__ import annotations

from dataclasses import replace

from hpcbake.deliver.bring import Means, bring
from hpcbake.deliver.deliver import DeliverRequest
from hpcbake.deliver.promote import PromoteRequest, promote
from hpcbake.errors import SiteResourceError
from hpcbake.model.artefacts import Deployment
from hpcbake.model.verdict import Severity
from hpcbake.report.records import Outcome, StageRecord
from hpcbake.ship.at_site import AtSite, StepResult
from hpcbake.ship.evidence import deliver_evidence, release_before, remembered, smoke_evidence
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.progress import ImageProgress
from hpcbake.ship.times import render_utc
from hpcbake.ship.verdict_words import verdict_error
from hpcbake.smoke.submit import SmokeRequest, skipped_results, submit


def check(at: AtSite, item: ImageProgress) -> StepResult:
    """Does the image fit? Raises what says no."""
    verdict = at.world.check(item.image, at.site)
    item.verdict = verdict
    failure = verdict_error(verdict, at.site.name, item.image.name)
    if failure is not None:
        raise failure
    findings = [finding for finding in verdict.findings if finding.severity is not Severity.INFO]
    at.notes.extend(f"{item.image.name}: {finding.message}" for finding in findings)
    return Outcome.OK, {"verdict": verdict.verdict.value, "findings": len(findings)}


def settle(at: AtSite, item: ImageProgress) -> None:
    """An image that is here as the run shall leave it (SIF, smoke tests, links) needs nothing more: it is unchanged."""
    found, ahead = item.found, item.ahead
    if found is None or ahead is None or not ahead.is_settled:
        return
    deployment = found.deployment(item.image, at.site)
    item.deployment = deployment
    evidence = {"deliver": deliver_evidence(deployment)}
    if at.settings.until != "deliver":
        item.smoke = skipped_results(smoke_request(at, item, deployment), at.site)
        item.smoke += [remembered(at.site.name, item.image.name, ahead.settled[job.key]) for job in ahead.jobs]
        evidence["smoke"] = smoke_evidence(item.smoke)
        evidence["promote"] = {"current": found.current}
    now = render_utc(at.world.clock.now())
    item.stages += [StageRecord(name, Outcome.UNCHANGED.value, now, 0.0, shown) for name, shown in evidence.items()]
    item.outcome = Outcome.UNCHANGED
    stage, words = ("deliver", "delivered already") if len(evidence) == 1 else ("promote", "in place")
    at.say(stage, f"{words}, unchanged", item, status="done", facts={"outcome": Outcome.UNCHANGED.value})


def deliver(at: AtSite, item: ImageProgress, node: SiteNode) -> StepResult:
    """The SIF into the store, or found there."""
    settings, found = at.settings, item.found
    name = item.image.name
    assert found is not None
    if found.is_delivered:
        item.deployment = found.deployment(item.image, at.site)
        return Outcome.UNCHANGED, deliver_evidence(item.deployment)
    item.deployment = bring(
        DeliverRequest(
            image=item.image,
            run=settings.run,
            created=settings.created,
            tool_version=settings.tool_version,
            check=item.verdict,
            credentials=at.world.login_for(item.image.reference.registry),
            lock_wait_s=settings.lock_wait_s,
        ),
        at.site,
        Means(
            node=node,
            commands=at.world.commands,
            converter=at.world.converter,
            content_of=at.world.content_of,
            say=lambda text: at.say("deliver", text, item),
            sleep=at.world.clock.sleep,
            on_sent=lambda count: at.say("deliver", "sending", item, status="moved", facts={"bytes_moved": count}),
            look=lambda registry: at.foresight.login_facts(registry, node),
        ),
        wanted=settings.way or at.site.runtime.way,
    )
    at.notes.extend(f"{name}: {note}" for note in item.deployment.notes)
    if not item.deployment.changed:
        at.notes.append(f"{name}: delivered by another run after this one had looked")
    return (Outcome.OK if item.deployment.changed else Outcome.UNCHANGED), deliver_evidence(item.deployment)


def require_delivered(at: AtSite, item: ImageProgress) -> StepResult:
    """For a run of a later stage alone. Raises SiteResourceError when the SIF is not there."""
    assert item.found is not None
    if not item.found.is_delivered:
        raise SiteResourceError(
            f"{at.site.name}: {item.image.name} {item.image.digest.short} is not in the store",
            remedy="bring it: hpcbake ship --only-stage deliver, or without --only-stage",
            kind="site.not-delivered",
        )
    item.deployment = item.found.deployment(item.image, at.site)
    return Outcome.UNCHANGED, deliver_evidence(item.deployment)


def smoke_request(at: AtSite, item: ImageProgress, deployment: Deployment) -> SmokeRequest:
    """The tests of this image, on this SIF."""
    settings = at.settings
    return SmokeRequest(
        deployment=deployment,
        tests=settings.tests[item.image.name],
        run=settings.run,
        retry_failed=settings.retry_failed,
        template_folders=settings.template_folders,
        lock_wait_s=settings.lock_wait_s,
        programs=settings.expose.get(item.image.name, ()),
        detach=settings.detach,
        # Who only promotes has no test run: what earlier runs have left decides.
        fresh=not (settings.only and settings.until == "promote"),
    )


def submit_tests(at: AtSite, item: ImageProgress, node: SiteNode) -> StepResult:
    """Hand the smoke jobs to the scheduler; nobody waits for them yet."""
    assert item.deployment is not None
    request = smoke_request(at, item, item.deployment)
    item.smoke = skipped_results(request, at.site)
    item.submissions = submit(
        request,
        at.site,
        node=node,
        commands=at.world.commands,
        clock=at.world.clock,
        on_progress=lambda text: at.say("smoke", text, item),
    )
    new = ", ".join(submission.job_id for submission in item.submissions if submission.is_new)
    facts = {"job": new, "state": "submitted"} if new else None
    at.say("smoke", f"job {new} submitted" if new else "every test has run before", item, facts=facts)
    return Outcome.OK, {}


def promote_image(at: AtSite, item: ImageProgress, node: SiteNode) -> StepResult:
    """Move what users see to this release."""
    assert item.deployment is not None
    assert item.found is not None
    settings = at.settings
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
        at.site,
        node=node,
        commands=at.world.commands,
    )
    at.notes.extend(f"{item.image.name}: {note}" for note in done.notes)
    item.after = release_before(replace(item.found, current=done.after, current_sha256=item.deployment.sif_sha256))
    return (Outcome.OK if done.changed else Outcome.UNCHANGED), {"current": done.after, "was": done.before}
