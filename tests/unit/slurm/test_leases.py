"""Leases: one at a time, patient with the living, quick with the dead, and never mistaken about whose they are."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hpcbake.errors import BusyError, SiteResourceError
from hpcbake.model.ports import Outcome
from hpcbake.sites.scripts import read_answer, render_site_script
from tests.site_stand import SiteStand


def library(stand: SiteStand, *, lock_wait: int = 0, run: str = "01RUN") -> str:
    """The library that every script is sent with, and nothing of a script."""
    script = render_site_script("survey", root=str(stand.root), run=run, lock_wait=lock_wait, wanted="")
    return script[: script.index("# What is on the site for each wanted image")]


def lease(stand: SiteStand, what: str, *, lock_wait: int = 0, shell: str = "") -> Outcome:
    """Take the lease `it`, do `what`, give it back."""
    return stand.node.run_script(
        f"{shell}\n{library(stand, lock_wait=lock_wait)}\ntake_lease it\n{what}\n", timeout_s=30
    )


def take_turns(stand: SiteStand, many: int) -> list[str]:
    """So many at once, each noting when it comes in and when it goes out; they look again more often than in life."""
    stand.tell("sleep", "0.05")
    log = stand.folder / "turns"
    turn = 'echo in >>"$turns"; /bin/sleep 0.1; echo out >>"$turns"'
    shell = f"{stand.prelude}; turns={shlex.quote(str(log))}"
    threads = [
        threading.Thread(target=lease, args=(stand, turn), kwargs={"lock_wait": 999, "shell": shell})
        for _ in range(many)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return log.read_text().split()


def wait_for(path: Path) -> None:
    """Until a file is there."""
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} never came")


def leases(stand: SiteStand) -> list[str]:
    return sorted(path.name for path in (stand.root / ".hpcbake/leases").iterdir())


def hold(stand: SiteStand, holder: str, *, age_s: int = 0) -> Path:
    """A lease that somebody holds: `host boot-id pid start-time uid run`."""
    folder = stand.root / ".hpcbake/leases/it"
    folder.mkdir(parents=True)
    file = folder / "holder"
    file.write_text(holder + "\n")
    for path in (file, folder):
        seconds = path.stat().st_mtime - age_s
        os.utime(path, (seconds, seconds))
    return folder


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]


HOST = os.uname().nodename
ME = os.getuid()


def test_a_lease_is_given_back(stand: SiteStand) -> None:
    """Nothing of a lease is left when its holder is done."""
    assert lease(stand, "say done yes").ok
    assert leases(stand) == []


@pytest.mark.parametrize("end", ["exit 3", "fail space full", 'kill -TERM "$self"; sleep 5', "false && x"])
def test_a_lease_is_given_back_however_its_holder_ends(stand: SiteStand, end: str) -> None:
    """Failures and signals give the lease back too."""
    lease(stand, end)
    assert leases(stand) == []


def test_only_one_is_in_at_a_time(stand: SiteStand) -> None:
    """Those who wait come in one after the other: their turns do not overlap."""
    assert take_turns(stand, 3) == ["in", "out"] * 3


def test_a_living_holder_is_left_alone(stand: SiteStand) -> None:
    """A process of this machine that runs holds its lease however old it is, and the message says who it is."""
    holder = f"{HOST} {boot_id()} {os.getpid()} {start_time(os.getpid())} {ME} 01OTHER"
    folder = hold(stand, holder, age_s=3600)
    with pytest.raises(BusyError, match="01OTHER"):
        read_answer(lease(stand, "say in yes"), site="here", step="test")
    assert (folder / "holder").read_text().strip() == holder


@pytest.mark.parametrize(
    "holder",
    [
        f"{HOST} {boot_id()} {os.getpid()} 1 {ME} 01OTHER",
        f"{HOST} {boot_id()} 4194999 77 {ME} 01OTHER",
        f"{HOST} 00000000-0000-0000-0000-000000000000 {os.getpid()} {start_time(os.getpid())} {ME} 01OTHER",
    ],
    ids=["process number used again", "process gone", "rebooted since"],
)
def test_a_dead_holder_is_taken_over_at_once(stand: SiteStand, holder: str) -> None:
    """Who is provably dead blocks nobody, and the takeover is told."""
    hold(stand, holder)
    answer = read_answer(lease(stand, "say in yes"), site="here", step="test")
    assert answer.find("in") == "yes"
    assert "01OTHER" in answer.find("note")
    assert leases(stand) == []


@pytest.mark.parametrize(("age_s", "is_dead"), [(240, False), (420, True)])
def test_a_holder_elsewhere_is_dead_when_its_heart_stopped(stand: SiteStand, age_s: int, is_dead: bool) -> None:
    """Of another login node nothing is known but the age of its last heartbeat: five minutes are death."""
    hold(stand, f"other-node {boot_id()} 1 1 {ME} 01OTHER", age_s=age_s)
    assert lease(stand, "say in yes").ok is is_dead


@pytest.mark.parametrize(("age_s", "is_dead"), [(5, False), (180, True)])
def test_a_lease_without_a_holder_is_young_or_dead(stand: SiteStand, age_s: int, is_dead: bool) -> None:
    """Between the making of a lease and its holder's name lies an instant; a holder that died in it blocks nobody."""
    folder = hold(stand, "x", age_s=0)
    (folder / "holder").write_text("")
    seconds = folder.stat().st_mtime - age_s
    os.utime(folder, (seconds, seconds))
    assert lease(stand, "say in yes").ok is is_dead


def test_of_many_heirs_of_a_dead_holder_one_is_in_at_a_time(stand: SiteStand) -> None:
    """Those who find a dead holder together do not get in together."""
    hold(stand, f"{HOST} {boot_id()} 4194999 77 {ME} 01OTHER")
    assert take_turns(stand, 4) == ["in", "out"] * 4


def held_by_a_process(stand: SiteStand) -> subprocess.Popen[str]:
    """A script that holds the lease until it is killed."""
    flag = stand.folder / "in"
    script = f'flag="{flag}"\n(\n{library(stand)}\ntake_lease it\necho >"$flag"\n/bin/sleep 300\n)\n'
    holder = subprocess.Popen(["/bin/sh", "-s"], stdin=subprocess.PIPE, text=True, start_new_session=True)
    assert holder.stdin is not None
    holder.stdin.write(script)
    holder.stdin.close()
    wait_for(flag)
    assert leases(stand) == ["it"]
    return holder


def test_a_killed_holder_is_dead(stand: SiteStand) -> None:
    """kill -9 leaves the lease behind; the next one takes it over without waiting."""
    holder = held_by_a_process(stand)
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()
    assert lease(stand, "say in yes").ok
    assert leases(stand) == []


def test_a_script_that_outlives_its_shell_keeps_its_lease(stand: SiteStand) -> None:
    """A lost connection may take the shell that a script was sent to; while the script runs the lease is held."""
    holder = held_by_a_process(stand)
    holder.kill()
    holder.wait()
    try:
        assert not lease(stand, "say in yes").ok
    finally:
        os.killpg(holder.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["scratch", "child"])
def test_variables_of_the_users_environment_are_not_ours(stand: SiteStand, name: str) -> None:
    """Many users export `scratch`: giving a lease back removes no folder and ends no process of theirs."""
    theirs = stand.folder / "theirs"
    theirs.mkdir()
    bystander = subprocess.Popen(["/bin/sleep", "60"])
    value = str(bystander.pid) if name == "child" else str(theirs)
    assert lease(stand, "say in yes", shell=f"{name}={shlex.quote(value)}; export {name}").ok
    assert theirs.is_dir()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_leases_that_cannot_be_made_are_a_matter_of_permission(stand: SiteStand) -> None:
    """A store where nothing can be written is told at once as that, not as busy."""
    stand.tell("sleep", "0.01")
    (stand.root / ".hpcbake").mkdir(parents=True)
    (stand.root / ".hpcbake/leases").symlink_to("/proc")
    with pytest.raises(SiteResourceError, match="cannot create"):
        read_answer(lease(stand, "say in yes", shell=f"{stand.prelude}"), site="here", step="test")
