"""Clearing a store as it runs on a site: renames before it removes, follows no link, and in doubt touches nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hpcbake.deliver.gc import GcResult, collect, take_inventory
from hpcbake.deliver.mark import pin, unpin
from hpcbake.errors import BusyError, StateError
from hpcbake.model.reference import Digest
from tests.site_stand import SiteStand
from tests.unit.slurm.releases import A, B, C, bring, ledger, link, look


def clear(stand: SiteStand, *, keep: int = 1, days: int = 0, dry_run: bool = False) -> GcResult:
    return collect(
        stand.site,
        look(stand),
        node=stand.node,
        keep=keep,
        days=days,
        run="01GC",
        by="me",
        lock_wait_s=0,
        dry_run=dry_run,
    )


def sifs(stand: SiteStand) -> set[str]:
    return {path.name.removesuffix(".sif") for path in (stand.root / "sif/app").glob("*.sif")}


def reasons(result: GcResult) -> dict[str, str]:
    return {decision.item.name: decision.reason for decision in result.decisions}


def write_job(stand: SiteStand, number: int, command: str = "", comment: str = "", state: str = "RUNNING") -> None:
    """A job in Slurm's queue, whose command is a file with this text."""
    folder = stand.job(number)
    folder.mkdir(parents=True)
    script = stand.folder / f"job{number}.sh"
    script.write_text(command)
    for name, text in (("name", "any"), ("state", state), ("comment", comment), ("command", str(script))):
        (folder / name).write_text(text)


def test_an_old_release_goes_with_all_its_names(stand_of_three: SiteStand) -> None:
    """SIF, papers, wrappers, tag link and modulefiles; the catalog and the ledger know it."""
    stand = stand_of_three
    result = clear(stand, keep=2)
    assert sifs(stand) == {B.hex, C.hex}
    left = [path.name for path in stand.root.rglob("*") if A.hex in path.name and ".hpcbake" not in path.parts]
    assert left == []
    assert link(stand, "1.0") == ""
    assert not (stand.root / "modules/app/1.0").exists()
    assert not (stand.root / "modules/app/1.0.lua").exists()
    assert result.freed_bytes > 0
    assert A.hex not in (stand.root / "catalog.json").read_text()
    assert (ledger(stand)[-1]["act"], ledger(stand)[-1]["digest"]) == ("removed", str(A))
    assert clear(stand, keep=2, days=30).freed_bytes == 0


def test_a_dry_run_touches_nothing(stand_of_three: SiteStand) -> None:
    """It tells what would go, and no file, folder or time changes."""
    stand = stand_of_three
    folders = {path: path.stat().st_mtime_ns for path in stand.root.rglob("*")}
    result = clear(stand, dry_run=True)
    assert {d.item.name for d in result.decisions if d.removes} >= {A.hex, B.hex}
    assert {path: path.stat().st_mtime_ns for path in stand.root.rglob("*")} == folders


def test_a_pinned_release_stays_until_it_is_unpinned(stand_of_three: SiteStand) -> None:
    """For a paper, for ever."""
    stand = stand_of_three
    assert pin(stand.site, look(stand), "app", str(A), run="r", by="me", node=stand.node)
    assert not pin(stand.site, look(stand), "app", str(A), run="r", by="me", node=stand.node)
    result = clear(stand)
    assert (sifs(stand), reasons(result)[A.hex]) == ({A.hex, C.hex}, "is pinned")
    assert unpin(stand.site, look(stand), "app", str(A), run="r", by="me", node=stand.node)
    clear(stand)
    assert sifs(stand) == {C.hex}


def test_what_a_job_names_stays(stand_of_three: SiteStand) -> None:
    """Whoever's it is, and however it names it; a job that names the image and no release keeps all of them."""
    stand = stand_of_three
    commands = (
        "apptainer exec ROOT/sif/app/HEX.sif x",
        "srun ROOT/app/1.0 x",
        "cd /somewhere/else; run /other/spelling/app/current",
        "  module load gcc app/1.0",
        "if true; then ml app; fi",
        "apptainer exec $APP_SIF x",
    )
    write_job(stand, 7)
    for command in commands:
        (stand.folder / "job7.sh").write_text(command.replace("ROOT", str(stand.root)).replace("HEX", A.hex))
        live = {item.name: item.live for item in take_inventory(stand.site, node=stand.node, days=0).items}
        assert "job" in live[A.hex], command
        assert bool(live[B.hex]) is ("HEX" not in command), command
    clear(stand)
    assert A.hex in sifs(stand)
    (stand.job(7) / "state").write_text("COMPLETED")
    clear(stand)
    assert sifs(stand) == {C.hex}


def test_a_job_of_another_image_is_no_reason(stand_of_three: SiteStand) -> None:
    """Names that only look alike keep nothing."""
    stand = stand_of_three
    write_job(stand, 7, "module load application app-two\n/opt/app/bin/tool; echo $MY_APP_SIF $APP_SIF_X apps", "app")
    clear(stand)
    assert sifs(stand) == {C.hex}


def test_a_smoke_job_that_waits_keeps_its_sif(stand: SiteStand) -> None:
    """By the job's id in its attempt, also when nothing of its text can be read."""
    bring(stand, A)
    attempt = next((stand.root / ".hpcbake/jobs/app").glob("*/*/attempt-1"))
    (attempt / "job").write_text("7\n")
    write_job(stand, 7, state="PENDING")
    assert "smoke job 7" in reasons(clear(stand))[A.hex]
    assert sifs(stand) == {A.hex}


def test_when_slurm_does_not_answer_nothing_goes(stand_of_three: SiteStand) -> None:
    """Nobody knows what runs."""
    stand = stand_of_three
    stand.tell("squeue.down")
    before = stand.seen()
    result = clear(stand)
    assert "squeue does not answer" in result.doubt
    assert not any(decision.removes for decision in result.decisions)
    assert stand.seen() == before


def test_a_delivery_at_work_is_left_alone(stand: SiteStand) -> None:
    """A lease that somebody alive holds."""
    bring(stand, A)
    lease = stand.root / f".hpcbake/leases/sif-app-{A.hex}"
    lease.mkdir(parents=True)
    (lease / "holder").write_text(f"other-node boot 1 1 {os.getuid()} 01OTHER\n")
    assert "01OTHER" in reasons(clear(stand))[A.hex]
    assert sifs(stand) == {A.hex}


def test_a_changed_ledger_stops_it(stand_of_three: SiteStand) -> None:
    """Nobody knows what was promoted when."""
    stand = stand_of_three
    book = stand.root / ".hpcbake/ledger.jsonl"
    book.write_text(book.read_text().replace('"tag":"1.0"', '"tag":"9.9"', 1))
    before = stand.seen()
    with pytest.raises(StateError, match=r"ledger\.jsonl:1"):
        clear(stand)
    assert stand.seen() == before


def test_a_promotion_that_runs_is_waited_for(stand_of_three: SiteStand) -> None:
    """The lease of promotions is taken."""
    stand = stand_of_three
    lease = stand.root / ".hpcbake/leases/promote"
    lease.mkdir(parents=True, exist_ok=True)
    (lease / "holder").write_text(f"other-node boot 1 1 {os.getuid()} 01OTHER\n")
    with pytest.raises(BusyError, match="01OTHER"):
        clear(stand)
    assert len(sifs(stand)) == 3


def test_links_are_not_followed(stand_of_three: SiteStand, tmp_path: Path) -> None:
    """A link in the place of a SIF, an image's folder or its links leads gc nowhere."""
    stand = stand_of_three
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    treasure = elsewhere / f"{A.hex}.sif"
    treasure.write_bytes(b"treasure")
    (stand.root / "sif/linked").symlink_to(elsewhere)
    decoy = stand.root / f"sif/app/{Digest.of(b'decoy').hex}.sif"
    decoy.symlink_to(treasure)
    (stand.root / "modules/app").rename(elsewhere / "modules")
    (stand.root / "modules/app").symlink_to(elsewhere / "modules")
    result = clear(stand)
    assert treasure.read_bytes() == b"treasure"
    assert decoy.is_symlink()
    assert len(list((elsewhere / "modules").iterdir())) >= 6
    assert "a link stands" in reasons(result)[A.hex]


def test_what_a_cut_off_gc_left_is_taken_up(stand_of_three: SiteStand) -> None:
    """Trash is trash; papers without a SIF and damaged SIFs go when they are old."""
    stand = stand_of_three
    folder = stand.root / "sif/app"
    (folder / f".trash-01X-{A.hex}.sif").write_bytes(b"x")
    bad, orphan = folder / f"{B.hex}.sif.bad-20260101T000000", folder / f"{Digest.of(b'gone').hex}.json"
    fresh = folder / f"{B.hex}.sif.bad-20260102T000000"
    for path in (bad, orphan, fresh):
        path.write_bytes(b"x")
    long_ago = time.time() - 40 * 86400
    for path in (bad, orphan):
        os.utime(path, (long_ago, long_ago))
    result = clear(stand, keep=3, days=30)
    assert [path.exists() for path in (bad, orphan, fresh)] == [False, False, True]
    assert not list(folder.glob(".trash-*"))
    assert "40 days ago" in reasons(result)[bad.name]


def test_what_cannot_be_removed_is_told_and_the_rest_goes(stand_of_three: SiteStand) -> None:
    """One stubborn file does not stop the others."""
    stand = stand_of_three
    script = stand.root / "sif/app"
    blocker = script / f".trash-01GC-{A.hex}.sif"
    blocker.mkdir()
    (blocker / "x").write_text("in the way of the rename")
    (script / f".trash-01GC-{A.hex}.sif/y").write_text("")
    result = clear(stand)
    assert B.hex not in sifs(stand)
    assert result.stuck or A.hex not in sifs(stand)
