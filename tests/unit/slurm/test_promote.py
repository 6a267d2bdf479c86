"""The promotion as it runs on a site: old or new at every instant, and nothing that is not ours is touched."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import replace

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.deliver.deliver import DeliverRequest, deliver
from hpcbake.deliver.ledger import parse_ledger
from hpcbake.deliver.promote import PromoteRequest, promote
from hpcbake.deliver.status import site_status
from hpcbake.deliver.survey import Wanted, link_target, survey
from hpcbake.errors import BusyError, ExitCode, HpcbakeError, IntegrityError, SiteResourceError, StateError
from hpcbake.model.artefacts import Deployment, Promotion, SmokeResult, SmokeStatus
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from tests.site_stand import DIGEST, SiteStand, built_image, sif_bytes

NEXT = Digest.of(b"the next image")
PASSED = SmokeResult("here", "app", "cpu", "0123456789abcdef", SmokeStatus.PASSED, job_id="101", node="n1")


def bring(stand: SiteStand, digest: Digest = DIGEST, version: str = "1.0") -> Deployment:
    """A delivered SIF of this digest."""
    stand.serve_sif(sif_bytes(digest))
    request = DeliverRequest(built_image(digest=digest, version=version), "01RUN", "2026-01-31T12:00:00Z", "0")
    done = deliver(request, stand.site, node=stand.node, commands=SpythonCommands())
    vouch(stand, done)
    return done


def vouch(stand: SiteStand, deployment: Deployment) -> None:
    """The result file of a smoke job that ran this very SIF."""
    attempt = stand.root / f".hpcbake/jobs/app/{deployment.image.digest.hex}/{PASSED.test}-{PASSED.key}/attempt-1"
    attempt.mkdir(parents=True, exist_ok=True)
    result = f'"why": "ok", "sif_sha256": "{deployment.sif_sha256}", "ended": 1769860800'
    (attempt / "result.json").write_text("{" + result + "}")


def request_for(
    deployment: Deployment, *, was: str = "", expose: tuple[str, ...] = (), run: str = "01RUN"
) -> PromoteRequest:
    return PromoteRequest(deployment, [PASSED], was, run, "2026-01-31T12:00:00Z", "0", expose=expose, lock_wait_s=0)


def make_current(stand: SiteStand, request: PromoteRequest, site: Site | None = None) -> Promotion:
    return promote(request, site or stand.site, node=stand.node, commands=SpythonCommands())


def refusal(stand: SiteStand, request: PromoteRequest) -> HpcbakeError:
    with pytest.raises(HpcbakeError) as caught:
        make_current(stand, request)
    return caught.value


def current(stand: SiteStand) -> str:
    link = stand.root / "app/current"
    return str(link.readlink()) if link.is_symlink() else ""


def ledger(stand: SiteStand) -> list[dict[str, object]]:
    return [json.loads(line) for line in (stand.root / ".hpcbake/ledger.jsonl").read_text().splitlines()]


def test_a_promotion_moves_every_name(stand: SiteStand) -> None:
    """Tag, current and both modulefiles name the SIF; the provenance says who vouched for it."""
    done = make_current(stand, request_for(bring(stand)))
    target = link_target("app", DIGEST)
    assert (done.before, done.after, done.changed) == ("", target, True)
    assert (current(stand), str((stand.root / "app/1.0").readlink())) == (target, target)
    assert (stand.root / "app/current").resolve() == stand.sif
    assert str(stand.sif) in (stand.root / "modules/app/1.0.lua").read_text()
    assert (stand.root / "modules/app/1.0").read_text().startswith("#%Module1.0\n")
    assert stand.provenance["smoke"][0]["job_id"] == "101"  # type: ignore[index]


def test_a_second_promotion_touches_nothing(stand: SiteStand) -> None:
    """The same release again writes no file, moves no link, notes nothing."""
    request = request_for(bring(stand), expose=("solve",))
    make_current(stand, request)
    before = stand.seen()
    done = make_current(stand, replace(request, expected_current=link_target("app", DIGEST)))
    assert not done.changed
    assert stand.seen() == before


def test_current_moves_last(stand: SiteStand) -> None:
    """Whatever cannot be done before it, `current` is still the old release."""
    make_current(stand, request_for(bring(stand)))
    old = current(stand)
    deployment = bring(stand, NEXT, "2.0")
    (stand.root / "modules/app/2.0").mkdir()
    failure = refusal(stand, request_for(deployment, was=old))
    assert isinstance(failure, SiteResourceError)
    assert current(stand) == old


def test_names_move_by_rename(stand: SiteStand) -> None:
    """There is no instant without `current`: a reader in a loop always finds the old release or the new one."""
    make_current(stand, request_for(bring(stand)))
    deployment = bring(stand, NEXT)
    seen: set[str] = set()
    loop = f"while :; do readlink {stand.root}/app/current || echo absent; done"
    reader = subprocess.Popen(["/bin/sh", "-c", loop], stdout=subprocess.PIPE, text=True, start_new_session=True)
    make_current(stand, request_for(deployment, was=link_target("app", DIGEST)))
    os.killpg(reader.pid, 9)
    assert reader.stdout is not None
    seen.update(reader.stdout.read().splitlines()[:-1])
    reader.wait()
    assert seen <= {link_target("app", DIGEST), link_target("app", NEXT)}
    assert current(stand) == link_target("app", NEXT)


def test_a_current_that_moved_meanwhile_is_left(stand: SiteStand) -> None:
    """Compare and swap: a run that began with another `current` changes nothing."""
    make_current(stand, request_for(bring(stand)))
    before = stand.seen()
    deployment = bring(stand, NEXT)
    failure = refusal(stand, request_for(deployment, was=""))
    assert (type(failure), failure.kind) == (BusyError, "state.changed")
    assert {name: stand.seen()[name] for name in before} == before


@pytest.mark.parametrize("content", [b"", b"tampered"])
def test_a_sif_that_changed_is_set_aside(stand: SiteStand, content: bytes) -> None:
    """Every byte is read right before users get it; what is wrong is kept as evidence under another name."""
    deployment = bring(stand)
    stand.sif.write_bytes(content)
    assert isinstance(refusal(stand, request_for(deployment)), IntegrityError)
    assert not stand.sif.exists()
    assert [path.read_bytes() for path in stand.sif.parent.glob("*.bad-*")] == [content]
    assert (current(stand), list((stand.root / "modules/app").iterdir())) == ("", [])


def test_a_missing_sif_is_not_promoted(stand: SiteStand) -> None:
    """A SIF that is gone has no sha256, and an empty one equals nothing."""
    deployment = replace(bring(stand), sif_sha256="")
    vouch(stand, deployment)
    stand.sif.unlink()
    assert isinstance(refusal(stand, request_for(deployment)), IntegrityError)
    assert current(stand) == ""


def test_a_changed_sif_that_users_run_stays_until_it_is_replaced(stand: SiteStand) -> None:
    """The current one is not taken away; the next delivery finds it out, whatever its time says."""
    deployment = bring(stand)
    make_current(stand, request_for(deployment))
    times = (stand.sif.stat().st_atime, stand.sif.stat().st_mtime)
    stand.sif.write_bytes(b"\0" * stand.sif.stat().st_size)
    os.utime(stand.sif, times)
    failure = refusal(stand, request_for(deployment, was=link_target("app", DIGEST)))
    assert isinstance(failure, IntegrityError)
    assert stand.sif.exists()
    assert bring(stand).changed
    assert stand.sif.read_bytes() == sif_bytes(DIGEST)


@pytest.mark.parametrize("name", ["app/current", "app/1.0", "modules/app/1.0", "modules/app/1.0.lua"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_ours_is_not_replaced(stand: SiteStand, name: str, kind: str) -> None:
    """A file or folder of somebody else's in the way is named, and nothing moves at all."""
    deployment = bring(stand)
    path = stand.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        path.write_text("somebody else's")
    else:
        path.mkdir()
    before = stand.seen()
    failure = refusal(stand, request_for(deployment))
    assert failure.kind == "site.permission"
    assert str(path) in failure.message
    assert stand.seen() == before


def test_a_modulefile_of_ours_is_replaced(stand: SiteStand) -> None:
    """The tag's modulefile follows the tag."""
    make_current(stand, request_for(bring(stand)))
    make_current(stand, request_for(bring(stand, NEXT), was=link_target("app", DIGEST)))
    assert NEXT.hex in (stand.root / "modules/app/1.0").read_text()


def test_the_ledger_tells_before_and_after(stand: SiteStand) -> None:
    """Each promotion is two lines, each holding the hash of the line before it."""
    make_current(stand, request_for(bring(stand), run="01ONE"))
    make_current(stand, request_for(bring(stand, NEXT), was=link_target("app", DIGEST), run="01TWO"))
    entries = ledger(stand)
    assert [(entry["act"], entry["run"]) for entry in entries] == [
        ("promoting", "01ONE"),
        ("promoted", "01ONE"),
        ("promoting", "01TWO"),
        ("promoted", "01TWO"),
    ]
    lines = (stand.root / ".hpcbake/ledger.jsonl").read_bytes().splitlines(keepends=True)
    hashes = [hashlib.sha256(line).hexdigest() for line in [b"", *lines[:-1]]]
    assert [entry["prev"] for entry in entries] == hashes
    assert entries[2]["was"] == link_target("app", DIGEST)


def test_a_changed_ledger_is_found(stand: SiteStand) -> None:
    """A line that was edited no longer has the hash that the next line names."""
    make_current(stand, request_for(bring(stand)))
    path = stand.root / ".hpcbake/ledger.jsonl"
    assert parse_ledger(path.read_text()).broken == ""
    path.write_text(path.read_text().replace('"01RUN","act":"promoting"', '"01FAKE","act":"promoting"'))
    assert ":1: was changed" in parse_ledger(path.read_text()).broken
    assert site_status(stand.site, node=stand.node).code is ExitCode.STATE


def test_a_torn_ledger_line_is_kept_and_passed(stand: SiteStand) -> None:
    """A power cut in the middle of a line spoils neither the next line nor the chain."""
    make_current(stand, request_for(bring(stand)))
    path = stand.root / ".hpcbake/ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"prev":"abc", ')
    make_current(stand, request_for(bring(stand, NEXT), was=link_target("app", DIGEST)))
    make_current(stand, request_for(bring(stand), was=link_target("app", NEXT)))
    assert len(path.read_text().splitlines()) == 7
    assert parse_ledger(path.read_text()).broken == ""
    assert site_status(stand.site, node=stand.node).code is ExitCode.OK


def test_a_line_made_unreadable_is_found(stand: SiteStand) -> None:
    """Who spoils a line so that it looks torn is found out by the line after it."""
    make_current(stand, request_for(bring(stand)))
    path = stand.root / ".hpcbake/ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("spoilt\n" + lines[1])
    assert ":1: was changed" in parse_ledger(path.read_text()).broken
    failure = refusal(stand, request_for(bring(stand, NEXT), was=link_target("app", DIGEST)))
    assert failure.exit_code is ExitCode.STATE


def test_a_strange_link_is_noted_as_valid_json(stand: SiteStand) -> None:
    """What `current` was comes from the site: quotes in it do not break the ledger."""
    strange = 'we"ird\\ $(touch owned)'
    deployment = bring(stand)
    (stand.root / "app").mkdir()
    (stand.root / "app/current").symlink_to(strange)
    done = make_current(stand, request_for(deployment, was=strange))
    assert done.before == strange
    assert ledger(stand)[0]["was"] == "weird $(touch owned)"


def test_a_wrapper_runs_its_command_in_the_sif(stand: SiteStand) -> None:
    """A command that the module puts on PATH finds the runtime by the site's prelude and hands on every word."""
    prelude = f"# makes apptainer available\nif [ -d / ]; then\n  {stand.prelude}\nfi"
    site = replace(stand.site, runtime=replace(stand.site.runtime, prelude=prelude))
    make_current(stand, request_for(bring(stand), expose=("solve", "g++")), site)
    folder = stand.root / f"sif/app/{DIGEST.hex}.bin"
    assert sorted(path.name for path in folder.iterdir()) == ["g++", "solve"]
    subprocess.run([folder / "solve", "a b", "$(touch owned)", ""], check=True, env={"PATH": "/usr/bin:/bin"})
    assert stand.calls("apptainer", "exec") == [f"exec {stand.sif} solve a b $(touch owned) "]


def test_two_promotions_at_once_are_one_after_the_other(stand: SiteStand) -> None:
    """A promotion that runs is named to those that are not patient."""
    deployment = bring(stand)
    lease = stand.root / ".hpcbake/leases/promote"
    lease.mkdir(parents=True, exist_ok=True)
    (lease / "holder").write_text(f"other-node boot 1 1 {os.getuid()} 01OTHER\n")
    failure = refusal(stand, request_for(deployment))
    assert isinstance(failure, BusyError)
    assert "01OTHER" in failure.message


# ---- what a look at the site finds ----------------------------------------------------------------------------------


def test_an_empty_site_holds_nothing(stand: SiteStand) -> None:
    """The first look at a site finds no SIF and no link, and makes no folder."""
    seen = survey([Wanted("app", DIGEST, "1.0")], stand.site, node=stand.node)
    (found,) = seen.found
    assert (found.sif, found.current, found.tag, found.provenance, found.is_current) == ("absent", "", "", {}, False)
    assert not stand.root.exists()


def test_a_promoted_image_is_found_in_place(stand: SiteStand) -> None:
    """SIF, links, provenance and passed tests are read back as they lie there."""
    make_current(stand, request_for(bring(stand)))
    found, other = survey([Wanted("app", DIGEST, "1.0"), Wanted("app", NEXT, "2.0")], stand.site, node=stand.node).found
    assert (found.is_current, found.current_digest) == (True, str(DIGEST))
    assert found.current_sha256 == Digest.of(sif_bytes(DIGEST)).hex
    assert list(found.passed_tests()) == [PASSED.key]
    assert (other.sif, other.is_current, other.current_digest) == ("absent", False, str(DIGEST))


def test_a_look_changes_nothing(stand: SiteStand) -> None:
    """Neither a survey nor a status writes to the store."""
    make_current(stand, request_for(bring(stand)))
    before = stand.seen()
    survey([Wanted("app", DIGEST, "1.0")], stand.site, node=stand.node)
    site_status(stand.site, node=stand.node, verify=True)
    assert stand.seen() == before


@pytest.mark.parametrize("link", ["x" * 64 + ".sif", "../sif/app/" + "Z" * 64 + ".sif", "elsewhere", " "])
def test_a_link_to_something_else_names_no_digest(stand: SiteStand, link: str) -> None:
    """A `current` that hpcbake did not make is told as it is, and is no digest."""
    (stand.root / "app").mkdir(parents=True)
    (stand.root / "app/current").symlink_to(link)
    (found,) = survey([Wanted("app", DIGEST, "1.0")], stand.site, node=stand.node).found
    assert (found.current, found.current_digest) == (link, "")


def test_status_finds_a_flipped_bit_when_asked_to(stand: SiteStand) -> None:
    """Size and time of a damaged SIF may be right; with verify every byte is read."""
    make_current(stand, request_for(bring(stand)))
    times = (stand.sif.stat().st_atime, stand.sif.stat().st_mtime)
    content = bytearray(stand.sif.read_bytes())
    content[200] ^= 1
    stand.sif.write_bytes(content)
    os.utime(stand.sif, times)
    assert site_status(stand.site, node=stand.node).code is ExitCode.OK
    assert site_status(stand.site, node=stand.node, verify=True).code is ExitCode.INTEGRITY


def test_status_finds_a_moved_current(stand: SiteStand) -> None:
    """A `current` that somebody moved by hand differs from what the ledger says."""
    make_current(stand, request_for(bring(stand)))
    link = stand.root / "app/current"
    link.unlink()
    status = site_status(stand.site, node=stand.node)
    assert status.code is ExitCode.PARTIAL
    assert str(DIGEST) in status.problems[0]


def test_a_changed_ledger_stops_every_act(stand: SiteStand) -> None:
    """A ledger line that was edited is found before anything is surveyed or moved: StateError, nothing touched."""
    first = bring(stand)
    make_current(stand, request_for(first))
    second = bring(stand, NEXT, "2.0")
    book = stand.root / ".hpcbake/ledger.jsonl"
    book.write_text(book.read_text().replace('"act":"promoting"', '"act":"promised"', 1))
    held = book.read_bytes()
    failure = refusal(stand, request_for(second, was=link_target("app", DIGEST)))
    assert failure.exit_code is ExitCode.STATE
    assert current(stand) == link_target("app", DIGEST)
    assert book.read_bytes() == held
    with pytest.raises(StateError):
        survey([Wanted("app", NEXT, "2.0")], stand.site, node=stand.node)


def test_the_time_of_delivery_outlives_promotions(stand: SiteStand) -> None:
    """`delivered` stays what it was; `promoted` is the time of the promotion."""
    make_current(stand, replace(request_for(bring(stand)), created="2026-02-01T00:00:00Z"))
    document = json.loads(next((stand.root / "sif/app").glob("*.json")).read_text())
    assert (document["delivered"], document["promoted"]) == ("2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z")
