"""One bring-up or tear-down at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hpcbake.errors import BusyError
from hpcbake.lab.lock import lab_lock
from hpcbake.lab.progress import Progress

pytestmark = pytest.mark.stand


def quiet() -> Progress:
    return Progress(lambda line: None)


def test_a_held_lock_is_busy(tmp_path: Path) -> None:
    """Somebody who does not want to wait longer gets an error that names the lock."""
    lock = tmp_path / "cache/lock"
    lines: list[str] = []
    impatient = lab_lock(lock, Progress(lines.append), patience_s=0.3)
    with lab_lock(lock, quiet()), pytest.raises(BusyError, match=str(lock)), impatient:
        pytest.fail("two at a time")
    assert len([line for line in lines if "waiting" in line]) == 1
    with lab_lock(lock, quiet(), patience_s=0):
        pass


def test_an_error_frees_the_lock(tmp_path: Path) -> None:
    """However the body ends."""
    with pytest.raises(RuntimeError), lab_lock(tmp_path / "lock", quiet()):
        raise RuntimeError("inside")
    with lab_lock(tmp_path / "lock", quiet(), patience_s=0):
        pass


def test_a_lock_that_is_removed_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    """`down --purge` removes the file: who waited for it must not hold a lock that nobody else sees."""
    lock = tmp_path / "lock"
    got_it, over = threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with lab_lock(lock, quiet()):
            got_it.set()
            over.wait(10)

    with lab_lock(lock, quiet()):
        waiter = threading.Thread(target=wait_for_it, daemon=True)
        waiter.start()
        assert not got_it.wait(0.5)
        lock.unlink()
    assert got_it.wait(10)
    with pytest.raises(BusyError), lab_lock(lock, quiet(), patience_s=0.2):
        pytest.fail("two at a time")
    over.set()
    waiter.join()
