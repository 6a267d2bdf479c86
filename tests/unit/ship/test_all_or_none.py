"""All or none: users of no site get anything before every site can, and none keeps what another could not have."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.errors import ExitCode, SiteUnreachableError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.model.reference import Digest
from hpcbake.report.records import Outcome
from hpcbake.ship.accord import PROMOTED, TESTED, Accord
from hpcbake.ship.ship import ShipResult
from tests.fake_site import Fault, failed
from tests.unit.ship.test_ship import Run, image, outcomes, record


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path)
    made.all_or_none = True
    return made


def newer(run: Run) -> None:
    """Another build of the same target."""
    digest = Digest.of(b"the next release")
    run.images = [replace(image(), digest=digest, reference=image().reference.with_digest(digest))]


def test_when_all_pass_all_get_it(run: Run) -> None:
    """As without it; and a second run finds everything in place."""
    assert outcomes(run.ship()) == {"alder": "ok", "birch": "ok"}
    assert run.registry.moves
    assert outcomes(run.ship()) == {"alder": "unchanged", "birch": "unchanged"}


@pytest.mark.parametrize(
    ("stage", "fault", "code"),
    [
        ("survey", SiteUnreachableError("alder: gone"), ExitCode.SITE_UNREACHABLE),
        ("deliver", failed("space"), ExitCode.SITE_RESOURCE),
        ("submit", failed("slurm-down"), ExitCode.SMOKE_UNKNOWN),
        ("poll", ZeroDivisionError("unforeseen"), ExitCode.BUG),
    ],
)
def test_when_one_cannot_none_gets_it(run: Run, stage: str, fault: Fault, code: ExitCode) -> None:
    """The other site has it delivered and tested, and users see nothing of it; the report says why, and where."""
    run.sites["alder"].faults[stage] = fault
    result = run.ship()
    assert record(result).code is code
    assert outcomes(result)["birch"] == "skipped"
    assert run.sites["birch"].acts() == ["deliver", "submit"]
    assert [site.links for site in run.sites.values()] == [{}, {}]
    assert run.registry.moves == []
    held = record(result, "birch").stage("promote")
    assert held is not None
    assert "alder" in str(held.evidence["all_or_none"])


def test_the_code_is_the_cause_s_when_nothing_moved(run: Run) -> None:
    """Nothing was partly done: an image that was held back is not one that went well."""
    run.sites["alder"].results["cpu"] = "exit-code-3"
    result = run.ship()
    assert code_of(result) is ExitCode.SMOKE_FAILED


def test_one_image_holds_back_the_others(run: Run) -> None:
    """Every image at every site is meant."""
    run.images = [image("app"), image("tool")]
    run.tests = {"app": (SmokeTest("bad"),), "tool": (SmokeTest("good"),)}
    run.sites["alder"].results["bad"] = "exit-code-3"
    result = run.ship()
    assert record(result, name="tool").outcome is Outcome.SKIPPED
    assert [site.links for site in run.sites.values()] == [{}, {}]


def test_what_had_moved_is_taken_back_and_not_held(run: Run) -> None:
    """alder cannot be promoted after birch was: birch's users have again what they had, and nothing is held there."""
    run.ship()
    newer(run)
    run.sites["alder"].faults["promote"] = failed("promote")
    result = run.ship()
    old = f"../sif/app/{image().digest.hex}.sif"
    assert [site.links["app/current"] for site in run.sites.values()] == [old, old]
    assert run.sites["birch"].holds == {}
    birch = record(result, "birch")
    assert birch.error is not None
    assert (birch.error.kind, birch.code) == ("site.taken-back", ExitCode.PROMOTE)
    assert birch.after is not None
    assert birch.after.digest == str(image().digest)
    assert not birch.changed
    # What was taken back is done when it can be.
    del run.sites["alder"].faults["promote"]
    assert outcomes(run.ship()) == {"alder": "ok", "birch": "ok"}


def test_a_first_release_stays_and_is_told(run: Run) -> None:
    """There is nothing to go back to."""
    run.sites["alder"].faults["promote"] = failed("promote")
    error = record(run.ship(), "birch").error
    assert error is not None
    assert "stays, since there was no release before it" in error.message


def test_what_cannot_be_taken_back_is_told_with_the_command(run: Run) -> None:
    """The site is gone in the meantime."""
    run.ship()
    newer(run)
    run.sites["alder"].faults["promote"] = failed("promote")
    run.sites["birch"].faults["status"] = SiteUnreachableError("birch: gone")
    error = record(run.ship(), "birch").error
    assert error is not None
    assert error.kind == "site.not-taken-back"
    assert "hpcbake rollback app --site birch" in error.remedy


def test_a_site_without_images_stops_nobody(run: Run) -> None:
    """It has nothing against it."""
    accord = Accord(["alder", "birch"])
    heard: list[tuple[str, ...]] = []
    asks = [threading.Thread(target=lambda q=q: heard.append(accord.agree(q, "alder", []))) for q in (TESTED, PROMOTED)]
    for ask in asks:
        ask.start()
    for question in (TESTED, PROMOTED):
        accord.agree(question, "birch", [])
    accord.leave("birch", "ended early")
    for ask in asks:
        ask.join(20)
    assert heard == [(), ()]


def test_who_leaves_says_no_to_what_it_was_not_asked(run: Run) -> None:
    """And nobody waits for it."""
    accord = Accord(["alder", "birch"])
    accord.leave("birch", "birch: ended early")
    assert accord.agree(TESTED, "alder", ["alder: no"]) == ("alder: no", "birch: ended early")
    assert accord.agree(PROMOTED, "alder", []) == ("birch: ended early",)


def code_of(result: ShipResult) -> ExitCode:
    from hpcbake.report.records import RunRecord, ShipReport

    moment = "2026-01-31T12:00:00Z"
    return ShipReport("0", RunRecord("R", (), "h", "u", 1, "b", moment, moment, 0.0), result.targets, result.sites).code
