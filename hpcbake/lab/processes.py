"""Processes that outlive the command which started them: are they there, end them, remove their cgroups."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path


def is_process(pid: object, words: Sequence[str]) -> bool:
    """Is `pid` a process with these words side by side in its command line? A number alone may be somebody else's."""
    if not isinstance(pid, int):
        return False
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"\0" + b"\0".join(os.fsencode(word) for word in words) + b"\0" in b"\0" + command
    return False


def end_process(pid: int, first: signal.Signals, *, patience_s: float) -> None:
    """Send `first`, and SIGKILL to what is still there after `patience_s`."""
    for number in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if is_gone_within(pid, patience_s):
            return


def is_gone_within(pid: int, seconds: float) -> bool:
    """Wait at most `seconds` for the end of a process; did it come?"""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # if it is our own child, it would stay as a zombie
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def remove_cgroups(name: str) -> None:
    """Remove the emptied control groups below `/<name>`, in every hierarchy of cgroup v1 or in v2's one."""
    base = Path("/sys/fs/cgroup")
    tops = [base / name, *base.glob(f"*/{name}")]
    for top in tops:
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()
