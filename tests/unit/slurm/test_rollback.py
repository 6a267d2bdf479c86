"""Going back: to what was tested there and is still whole, by the same renames, and not undone by the next run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from hashlib import sha256

import pytest

from hpcbake.deliver.history import site_history
from hpcbake.deliver.ledger import Ledger
from hpcbake.deliver.mark import release_hold
from hpcbake.deliver.promote import PromoteRequest, promote
from hpcbake.deliver.rollback import RollbackRequest, plan_rollback, rollback
from hpcbake.deliver.status import StoreLook, site_status
from hpcbake.deliver.survey import Wanted, link_target, survey
from hpcbake.errors import (
    BusyError,
    ExitCode,
    HpcbakeError,
    IntegrityError,
    SmokeUnknownError,
    StateError,
    UsageError,
)
from hpcbake.model.artefacts import Promotion
from tests.site_stand import SiteStand
from tests.unit.slurm.releases import COMMANDS, PASSED, A, B, C, D, bring, give, ledger, link, look, make_current, vouch


def request(to: str = "", *, hold: bool = True, run: str = "01BACK") -> RollbackRequest:
    return RollbackRequest("app", run, "me@pc", "2026-02-01T00:00:00Z", to, hold=hold, lock_wait_s=0)


def go_back(stand: SiteStand, to: str = "", *, hold: bool = True) -> Promotion:
    asked = request(to, hold=hold)
    return rollback(
        plan_rollback(asked, stand.site, look(stand)), asked, stand.site, node=stand.node, commands=COMMANDS
    )


def refusal(stand: SiteStand, to: str = "") -> HpcbakeError:
    with pytest.raises(HpcbakeError) as caught:
        go_back(stand, to)
    return caught.value


def test_one_back(stand_of_two: SiteStand) -> None:
    """Without a word it is the release before; modulefile, tag and `current` go together."""
    stand = stand_of_two
    done = go_back(stand)
    assert (done.before, done.after) == (link_target("app", B), link_target("app", A))
    assert link(stand) == link(stand, "1.0") == link_target("app", A)
    assert A.hex in (stand.root / "modules/app/1.0").read_text()
    assert A.hex in (stand.root / "modules/app/1.0.lua").read_text()
    assert [entry["act"] for entry in ledger(stand)[-2:]] == ["rolling-back", "rolled-back"]
    assert site_status(stand.site, node=stand.node).code is ExitCode.OK


def test_another_tag_stays(stand: SiteStand) -> None:
    """A release under a tag of its own keeps it; what `module load` takes without a tag goes back."""
    give(stand, A, "1.0")
    give(stand, B, "2.0")
    go_back(stand)
    assert (link(stand), link(stand, "2.0")) == (link_target("app", A), link_target("app", B))
    assert 'ModulesVersion "1.0"' in (stand.root / "modules/app/.version").read_text()


def test_twice_back_is_two_back(stand: SiteStand) -> None:
    """A second rollback never returns to what the first one left."""
    for digest in (A, B, C):
        give(stand, digest)
    go_back(stand)
    go_back(stand)
    assert link(stand) == link_target("app", A)
    assert isinstance(refusal(stand), UsageError)


def test_a_release_is_named_in_many_ways(stand_of_three: SiteStand) -> None:
    """By digest, its beginning, a tag, or a line of the history."""
    seen = look(stand_of_three)
    for to in (str(A), A.hex[:12], "1.0", "#2", "2"):
        assert plan_rollback(request(to), stand_of_three.site, seen).release.digest == str(A)


def test_a_tag_that_moved_means_what_it_was(stand_of_two: SiteStand) -> None:
    """The tag that users have now is not what they go back to."""
    stand = stand_of_two
    assert go_back(stand, "1.0").after == link_target("app", A)


def test_what_names_nothing_is_refused(stand_of_two: SiteStand) -> None:
    """A word that fits no release, and none to go back to: told before anything is touched."""
    seen = look(stand_of_two)
    for to in ("nothing", "#99", "0" * 64, "1", "sha256:zz", "../..", str(B)):
        with pytest.raises(UsageError):
            plan_rollback(request(to), stand_of_two.site, seen)
    (stored,) = seen.images
    first = StoreLook((replace(stored, current=str(A)),), Ledger(seen.ledger.entries[:2]))
    with pytest.raises(UsageError, match="before"):
        plan_rollback(request(), stand_of_two.site, first)


def test_two_of_one_tag_must_be_told_apart(stand: SiteStand) -> None:
    """A word that fits several releases is refused with all of them."""
    for digest in (A, B, C):
        give(stand, digest, "1.0")
    failure = refusal(stand, "1.0")
    assert isinstance(failure, UsageError)
    assert str(A) in failure.message
    assert str(B) in failure.message


def test_what_never_passed_is_refused(stand: SiteStand) -> None:
    """A SIF that was only delivered is no release to give to users."""
    give(stand, A)
    bring(stand, B)
    assert isinstance(refusal(stand, str(B)), SmokeUnknownError)
    assert link(stand) == link_target("app", A)


def test_the_old_sif_is_read_first(stand_of_two: SiteStand) -> None:
    """A flipped bit that neither size nor time tells of: it is set aside, and nothing moves."""
    stand = stand_of_two
    sif = stand.root / f"sif/app/{A.hex}.sif"
    times = (sif.stat().st_atime, sif.stat().st_mtime)
    content = bytearray(sif.read_bytes())
    content[200] ^= 1
    sif.write_bytes(content)
    os.utime(sif, times)
    assert isinstance(refusal(stand), IntegrityError)
    assert link(stand) == link(stand, "1.0") == link_target("app", B)
    assert B.hex in (stand.root / "modules/app/1.0").read_text()
    assert [path.read_bytes() for path in sif.parent.glob("*.bad-*")] == [bytes(content)]


def test_papers_that_differ_from_the_ledger_are_refused(stand_of_two: SiteStand) -> None:
    """Who exchanges a SIF and its provenance together is found out by what the ledger noted."""
    stand = stand_of_two
    sif = stand.root / f"sif/app/{A.hex}.sif"
    papers = sif.with_suffix(".json")
    old = json.loads(papers.read_text())["sif_sha256"]
    other = json.loads((sif.parent / f"{B.hex}.json").read_text())["sif_sha256"]
    sif.write_bytes((sif.parent / f"{B.hex}.sif").read_bytes())
    papers.write_text(papers.read_text().replace(old, other))
    failure = refusal(stand)
    assert (type(failure), failure.kind) == (IntegrityError, "state.provenance")


def test_a_changed_ledger_stops_it(stand_of_two: SiteStand) -> None:
    """Whoever edits a line, the last one too, is found out before anything is done, with file and line."""
    stand = stand_of_two
    book = stand.root / ".hpcbake/ledger.jsonl"
    lines = book.read_text().splitlines(keepends=True)
    book.write_text("".join([*lines[:-1], lines[-1].replace("me@pc", "me@xx")]))
    before = stand.seen()
    failure = refusal(stand)
    assert isinstance(failure, StateError)
    assert "ledger.jsonl:4" in failure.message
    assert stand.seen() == before


@pytest.mark.parametrize("cut", ["last", "all", "head", "garbage"])
def test_a_ledger_that_was_cut_short_stops_it(stand_of_two: SiteStand, cut: str) -> None:
    """Lines that are gone are missed, and so is the file that tells how many there were."""
    stand = stand_of_two
    book = stand.root / ".hpcbake/ledger.jsonl"
    if cut == "last":
        book.write_text("".join(book.read_text().splitlines(keepends=True)[:-1]))
    elif cut == "all":
        book.unlink()
    elif cut == "garbage":
        (stand.root / ".hpcbake/ledger.head").write_text("$(touch owned) x y\n")
    else:
        (stand.root / ".hpcbake/ledger.head").unlink()
    assert isinstance(refusal(stand), StateError)
    assert link(stand) == link_target("app", B)


def test_a_current_that_moved_meanwhile_is_left(stand_of_two: SiteStand) -> None:
    """Compare and swap: what was decided on another `current` is not done."""
    stand = stand_of_two
    plan = plan_rollback(request(), stand.site, look(stand))
    give(stand, C)
    with pytest.raises(BusyError, match="run 01RUN"):
        rollback(plan, request(), stand.site, node=stand.node, commands=COMMANDS)
    assert link(stand) == link_target("app", C)


# ---- the hold -------------------------------------------------------------------------------------------------------


def test_the_next_promotion_is_held(stand_of_two: SiteStand) -> None:
    """A run that brings the release back, or a newer one, is told who holds the image; nothing moves."""
    stand = stand_of_two
    second = bring(stand, B)
    go_back(stand)
    before = stand.seen()
    for deployment in (second, bring(stand, C)):
        with pytest.raises(BusyError, match="me@pc") as caught:
            make_current(stand, deployment)
        assert caught.value.kind == "lock.hold"
    assert {name: stand.seen()[name] for name in before} == before


def test_a_hold_does_not_stand_in_the_way_of_what_is_current(stand: SiteStand) -> None:
    """The held release itself may be promoted again, as a resumed run does."""
    first = give(stand, A)
    give(stand, B)
    go_back(stand)
    assert not make_current(stand, first).changed


def test_the_survey_tells_of_a_hold(stand_of_two: SiteStand) -> None:
    """One look shows who holds an image, so that a plan can say so; nothing where nobody does."""
    stand = stand_of_two
    wanted = [Wanted("app", B, "1.0"), Wanted("other", B, "1.0")]
    assert [found.hold for found in survey(wanted, stand.site, node=stand.node).found] == [{}, {}]
    go_back(stand)
    held, free = survey(wanted, stand.site, node=stand.node).found
    assert (held.hold["by"], held.hold["digest"], free.hold) == ("me@pc", str(A), {})


def test_who_promotes_by_name_lifts_the_hold(stand_of_two: SiteStand) -> None:
    """And after that, everything is as before."""
    stand = stand_of_two
    second = bring(stand, B)
    go_back(stand)
    asked = PromoteRequest(second, [PASSED], link(stand), "01R", "t", "0", lock_wait_s=0, release_hold=True)
    promote(asked, stand.site, node=stand.node, commands=COMMANDS)
    assert link(stand) == link_target("app", B)
    give(stand, C)
    assert link(stand) == link_target("app", C)


def test_a_hold_is_lifted_alone(stand_of_two: SiteStand) -> None:
    """Without going anywhere; once more says that there was none."""
    stand = stand_of_two
    second = bring(stand, B)
    go_back(stand)
    assert release_hold(stand.site, look(stand), "app", run="01R", by="me", node=stand.node)
    assert not release_hold(stand.site, look(stand), "app", run="01R", by="me", node=stand.node)
    assert ledger(stand)[-1]["act"] == "released"
    make_current(stand, second)
    assert link(stand) == link_target("app", B)


def test_without_a_hold_ship_goes_on(stand_of_two: SiteStand) -> None:
    """Who says so gets a rollback that the next run may undo."""
    stand = stand_of_two
    second = bring(stand, B)
    go_back(stand, hold=False)
    make_current(stand, second)
    assert link(stand) == link_target("app", B)


# ---- what the ledger tells afterwards -------------------------------------------------------------------------------


def test_the_history_tells_it(stand: SiteStand) -> None:
    """Sequence, act, digest, by whom, after which job, and what is current."""
    give(stand, A, "1.0")
    give(stand, B, "2.0")
    go_back(stand)
    told = site_history("here", look(stand))
    rows = [(e.entry.seq, e.act, e.entry.digest, e.entry.by, e.is_current) for e in told.events]
    assert rows == [
        (2, "promoted", str(A), "me@pc", False),
        (4, "promoted", str(B), "me@pc", False),
        (6, "rolled-back", str(A), "me@pc", True),
    ]
    assert told.events[0].entry.smoke[0] == {"test": "cpu", "job": "101", "node": "n1"}
    assert [item.name for item in told.held] == ["app"]


@pytest.mark.parametrize("has_moved", [True, False])
def test_a_run_that_died_between_its_lines_is_settled(stand_of_two: SiteStand, has_moved: bool) -> None:
    """The next act notes what the dead run did: what `current` says."""
    stand = stand_of_two
    book = stand.root / ".hpcbake/ledger.jsonl"
    kept = 3 if has_moved else 4
    if not has_moved:
        deployment = bring(stand, D)
        make_current(stand, deployment)
        (stand.root / "app/current").unlink()
        (stand.root / "app/current").symlink_to(link_target("app", B))
        kept = 5
    lines = book.read_bytes().splitlines(keepends=True)[:kept]
    book.write_bytes(b"".join(lines))
    _write_head(stand)
    assert site_status(stand.site, node=stand.node).code is ExitCode.OK
    deployment = bring(stand, C)
    vouch(stand, deployment)
    make_current(stand, deployment)
    entries = ledger(stand)
    assert entries[kept]["act"] == ("promoted" if has_moved else "abandoned")
    assert entries[kept]["digest"] == entries[kept - 1]["digest"]
    assert entries[kept]["smoke"] == entries[kept - 1]["smoke"]


def _write_head(stand: SiteStand) -> None:
    content = (stand.root / ".hpcbake/ledger.jsonl").read_bytes()
    head = f"{len(content.splitlines())} {len(content)} {sha256(content).hexdigest()}\n"
    (stand.root / ".hpcbake/ledger.head").write_text(head)
