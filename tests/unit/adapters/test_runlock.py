"""One run per project: the living are left alone and named, the dead are followed, however they died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpcbake.adapters.runlock import Machine, read_holder, run_lock
from hpcbake.errors import BusyError, CantWriteError

_HOLD = """
import sys, time
from pathlib import Path
from hpcbake.adapters.runlock import run_lock
with run_lock(Path(sys.argv[1]), doing="hpcbake nightly in /p"):
    print("held", flush=True)
    time.sleep(120)
"""


def holder_elsewhere(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def write_holder(path: Path, **process: Any) -> None:
    known = {"host": os.uname().nodename, "pid": os.getpid(), "began": 1, "boot_id": Machine().boot_id(), **process}
    path.write_text(json.dumps({"process": known, "since": "2026-01-31T02:00:00Z", "uptime_s": 5.0, "doing": "night"}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "lock"


def test_the_second_is_told_who_holds_it(path: Path) -> None:
    """Host, pid, since when, for how long, doing what; and that nothing was waited for."""
    process = holder_elsewhere(path)
    try:
        with pytest.raises(BusyError) as caught, run_lock(path, doing="x"):
            pass
    finally:
        process.kill()
        process.communicate()
    message = caught.value.message
    assert f"pid {process.pid} on {os.uname().nodename} since 20" in message
    assert "(0 min): hpcbake nightly in /p" in message
    assert str(path) in caught.value.remedy


def test_a_holder_that_was_killed_is_followed(path: Path) -> None:
    """kill -9 leaves its name in the lock: the next run goes on, and says so."""
    process = holder_elsewhere(path)
    process.kill()
    process.communicate()
    with run_lock(path, doing="x") as held:
        assert f"pid {process.pid}" in held.note
        assert held.note.endswith("its process is gone")


def test_what_was_given_back_is_not_mentioned(path: Path) -> None:
    """Also after a failure inside."""
    with pytest.raises(RuntimeError), run_lock(path, doing="x"):
        raise RuntimeError
    assert read_holder(path) is None
    with run_lock(path, doing="x") as held:
        assert held.note == ""


def test_within_one_process_it_is_held_too(path: Path) -> None:
    """The kernel's lock belongs to the open file."""
    with run_lock(path, doing="x"), pytest.raises(BusyError), run_lock(path, doing="y"):
        pass


def test_a_reboot_is_known(path: Path) -> None:
    """Another boot id: no age is told, for only clocks could tell it."""
    path.parent.mkdir()
    write_holder(path, boot_id="other")
    with run_lock(path, doing="x") as held:
        assert held.note.endswith("has started again since")
        assert "min)" not in held.note


@pytest.fixture
def lockless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks."""

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)


@pytest.mark.usefixtures("lockless")
def test_a_pid_that_was_given_again_is_not_the_holder(path: Path) -> None:
    """The number lives, the process that had it is another: told by when it began."""
    path.parent.mkdir()
    write_holder(path)
    with run_lock(path, doing="x") as held:
        assert held.note.endswith("its pid is another process now")


@pytest.mark.usefixtures("lockless")
def test_a_living_pid_is_left_alone(path: Path) -> None:
    """Same pid, same beginning, same boot."""
    path.parent.mkdir()
    me = Machine().me()
    write_holder(path, began=me.began)
    with pytest.raises(BusyError), run_lock(path, doing="x"):
        pass


@pytest.mark.usefixtures("lockless")
def test_a_pid_that_is_gone_is_dead(path: Path) -> None:
    """No process has this number."""
    path.parent.mkdir()
    write_holder(path, pid=2**22 + 5)
    with run_lock(path, doing="x") as held:
        assert held.note.endswith("its process is gone")


def test_another_machine_lives_while_it_gives_signs(path: Path) -> None:
    """Its heartbeat is read by the file system's clock; half an hour of silence is the end of it."""
    path.parent.mkdir()
    write_holder(path, host="build2")
    with pytest.raises(BusyError, match="on build2"), run_lock(path, doing="x"):
        pass
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    with run_lock(path, doing="x") as held:
        assert "no sign of build2 for 2 h" in held.note


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": 1}', "\x00\xff"])
def test_rubbish_in_the_lock_is_nobody(content: str, path: Path) -> None:
    """A torn write holds nothing back."""
    path.parent.mkdir()
    path.write_text(content)
    with run_lock(path, doing="x"):
        holder = read_holder(path)
        assert holder is not None
        assert holder.process.pid == os.getpid()


def test_where_nothing_can_be_locked_it_says_so(tmp_path: Path) -> None:
    """A file in the folder's place: 73 with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CantWriteError, match="file"), run_lock(tmp_path / "file" / "lock", doing="x"):
        pass


def test_a_clock_three_days_off_changes_nothing(path: Path) -> None:
    """The age of a holder on this machine is told by its uptime."""
    process = holder_elsewhere(path)
    try:
        holder = read_holder(path)
        assert holder is not None
        for uptime_s, age in ((holder.uptime_s + 60, "(1 min)"), (holder.uptime_s - 60, "(0 min)")):
            assert age in holder.describe(Machine().me(), uptime_s)
    finally:
        process.kill()
        process.communicate()
