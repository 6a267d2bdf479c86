"""One bring-up or tear-down at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hpcbake.errors import BusyError
from hpcbake.lab.progress import Progress

_PATIENCE_S = 900.0


@contextmanager
def lab_lock(path: Path, progress: Progress, *, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Hold the lock at `path`; wait for another holder, saying so. The kernel frees it however the holder ends."""
    deadline = time.monotonic() + patience_s
    is_waiting = False
    while (file := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise BusyError(
                f"another hpcbake lab command has held {path} for {patience_s:.0f} s",
                remedy="see what it does, end it, and run this again",
            )
        if not is_waiting:
            progress.say("waiting for another hpcbake lab command to finish")
            is_waiting = True
        time.sleep(0.2)
    with file:
        yield


def _try_lock(path: Path) -> IO[str] | None:
    """The locked file, or None when somebody else has it, or has just removed it (`down --purge`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    file.close()
    return None
