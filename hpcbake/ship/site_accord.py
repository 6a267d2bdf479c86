"""One site's part in a run of all or none: it holds back what others cannot follow, and takes back what has moved."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.deliver.rollback import RollbackRequest, plan_rollback, rollback
from hpcbake.deliver.status import look_at_store
from hpcbake.errors import HpcbakeError, PromoteError
from hpcbake.model.reference import Digest
from hpcbake.report.records import ErrorRecord, Outcome, Release, StageRecord
from hpcbake.ship.at_site import AtSite
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.progress import ImageProgress
from hpcbake.ship.times import render_utc


def problems_of(at: AtSite, items: Sequence[ImageProgress]) -> tuple[str, ...]:
    """What stands in the way at this site, one short line per image."""
    return tuple(
        f"{at.site.name}: {item.image.name} {_words(item.outcome, item.error)}"
        for item in items
        if item.error is not None or item.outcome is Outcome.SUBMITTED
    )


def _words(outcome: Outcome | None, error: ErrorRecord | None) -> str:
    word = outcome.value if outcome else "failed"
    return f"{word} at {error.stage}" if error else word


def hold_back(at: AtSite, item: ImageProgress, problems: Sequence[str]) -> None:
    """All or none, and somewhere it is none: this image has passed, and users do not get it."""
    why = "; ".join(problems)
    now = render_utc(at.world.clock.now())
    item.outcome = Outcome.SKIPPED
    item.stages.append(StageRecord("promote", Outcome.SKIPPED.value, now, 0.0, {"all_or_none": why}))
    at.journal.note("held-back", stage="promote", site=at.site.name, image=item.image.name)
    at.notes.append(f"{item.image.name}: passed here and was not promoted (all or none): {why}")
    at.say("promote", f"not promoted: {why}", item, status="done", facts={"outcome": Outcome.SKIPPED.value})


def take_back(at: AtSite, item: ImageProgress, problems: Sequence[str], node: SiteNode) -> None:
    """Another site could not be promoted after this one was: give users the release they had, and hold nothing."""
    why = "; ".join(problems)
    name, site = item.image.name, at.site.name
    where = {"stage": "promote", "site": site, "image": name}
    clock = at.world.clock
    started, began = clock.now(), clock.monotonic()
    at.journal.note("do", act_of="take-back", **where)
    at.say("promote", f"is taken back: {why}", item)
    try:
        words = _go_back(at, item, node)
        failure = PromoteError(
            f"{site}: {name} was promoted and {words} (all or none): {why}",
            remedy="mend what failed, then run the same command again",
            kind="site.taken-back",
        )
    except HpcbakeError as error:
        failure = PromoteError(
            f"{site}: {name} was promoted and could not be taken back (all or none: {why}): {error.message}",
            remedy=f"give users the earlier release by hand: hpcbake rollback {name} --site {site}",
            kind="site.not-taken-back",
            evidence=error.evidence,
        )
    at.fail(item, "promote", failure, render_utc(started), clock.monotonic() - began)
    at.journal.note("done", act_of="take-back", **where)


def _go_back(at: AtSite, item: ImageProgress, node: SiteNode) -> str:
    """Roll back; what users have now, in words."""
    found, settings = item.found, at.settings
    assert found is not None
    before = found.current_digest
    if not before:
        return "stays, since there was no release before it"
    request = RollbackRequest(
        image=item.image.name,
        run=settings.run,
        by=settings.by,
        created=settings.created,
        to=before,
        hold=False,
        lock_wait_s=settings.lock_wait_s,
    )
    plan = plan_rollback(request, at.site, look_at_store(at.site, node=node))
    rollback(plan, request, at.site, node=node, commands=at.world.commands)
    item.after = Release(before, found.current_sha256, found.current)
    return f"is back at {Digest(before).short}"


def is_moved(item: ImageProgress) -> bool:
    """Was it promoted by this very run?"""
    return any(stage.name == "promote" and stage.status == Outcome.OK.value for stage in item.stages)
