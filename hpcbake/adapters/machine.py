"""This machine for the doctor: programs with a deadline, file systems, Python and its encoding."""

from __future__ import annotations

import locale
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcbake.adapters.processes import run_program
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Outcome


@dataclass(frozen=True)
class FolderRoom:
    """A folder, or the nearest one above it that is there."""

    path: str
    filesystem: str
    free_bytes: int
    is_writable: bool
    options: str = ""


class ThisMachine:
    """The machine that hpcbake runs on. Looks, and changes nothing."""

    def __init__(self, environment: Mapping[str, str], *, version: str) -> None:
        self.environment = environment
        self.python = f"Python {platform.python_version()} ({sys.executable}), hpcbake {version}"
        self.encoding = locale.getpreferredencoding(False)

    def run(self, argv: Sequence[str], *, timeout_s: float) -> Outcome:
        """Run a program; exit code 124 stands for "deadline passed". Raises PrereqError when it is not there."""
        return run_program(argv, timeout_s=timeout_s, environment=self.environment)

    def room(self, path: str) -> FolderRoom:
        at = Path(path).absolute()
        while not at.is_dir() and at != at.parent:
            at = at.parent
        filesystem, options = find_mount(str(at.resolve()), _mounts())
        status = os.statvfs(at)
        return FolderRoom(
            path=path if at == Path(path).absolute() else str(at),
            filesystem=filesystem,
            free_bytes=status.f_bavail * status.f_frsize,
            is_writable=os.access(at, os.W_OK | os.X_OK),
            options=options,
        )


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return ""


def find_mount(path: str, mounts: str) -> tuple[str, str]:
    """File system and mount options of the mount that holds `path`, from the text of /proc/mounts."""
    best, found = -1, ("unknown file system", "")
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 4:
            continue
        at = words[1].replace("\\040", " ").rstrip("/")
        if (path == at or path.startswith(f"{at}/")) and len(at) >= best:
            best, found = len(at), (words[2], words[3])
    return found
