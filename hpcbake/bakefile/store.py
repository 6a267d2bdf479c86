"""A folder in the user's cache for what is costly to work out again: parse tables and syntax trees.

Entries are plain JSON text, named by a hash of everything they depend on, so they are never stale; they are written
beside and renamed into place, so concurrent runs never see half an entry. A folder that somebody else owns or can
write is not used at all: what lies there would decide what gets built.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

#: The older half of the entries goes when there are more.
_MOST_ENTRIES = 500


class Store(Protocol):
    """Where entries are kept. `read` gives None for anything that is not there or cannot be trusted."""

    def read(self, kind: str, key: str) -> str | None: ...

    def write(self, kind: str, key: str, text: str) -> None: ...


class NoStore:
    """Keeps nothing."""

    def read(self, kind: str, key: str) -> str | None:  # noqa: ARG002
        return None

    def write(self, kind: str, key: str, text: str) -> None:
        """Forgets at once."""


class FolderStore:
    """Keeps entries under `folder`, which is made on first use (mode 0700)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, kind: str, key: str) -> str | None:
        folder = self._folder / kind
        if not (_is_private(self._folder) and _is_private(folder)):
            return None
        try:
            return _read_own_file(folder / f"{key}.json")
        except (OSError, UnicodeError):
            return None

    def write(self, kind: str, key: str, text: str) -> None:
        folder = self._folder / kind
        with suppress(OSError):
            for needed in (self._folder, folder):
                needed.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_private(self._folder) and _is_private(folder):
                _sweep(folder)
                partial = folder / f".{key}.{os.getpid()}"
                _write_own_file(partial, text)
                partial.replace(folder / f"{key}.json")


def _is_private(folder: Path) -> bool:
    """Ours, a real folder, and writable by nobody else."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _read_own_file(path: Path) -> str | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(descriptor, encoding="utf-8") as file:  # noqa: PTH123  (a descriptor, so that what is checked is what is read)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return None
        return file.read()


def _write_own_file(path: Path, text: str) -> None:
    # Whatever the umask says: an entry that the group can write would never be read.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)


def _sweep(folder: Path) -> None:
    entries = list(os.scandir(folder))
    if len(entries) <= _MOST_ENTRIES:
        return
    entries.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime)
    for entry in entries[: len(entries) // 2]:
        Path(entry.path).unlink(missing_ok=True)


def user_store(environment: Mapping[str, str]) -> Store:
    """The store in the user's cache folder, which HPCBAKE_CACHE_DIR may move."""
    if os.name != "posix":
        return NoStore()  # ownership cannot be checked the same way
    return FolderStore(_cache_folder(environment) / "bakefile")


def _cache_folder(environment: Mapping[str, str]) -> Path:
    named, base = environment.get("HPCBAKE_CACHE_DIR"), environment.get("XDG_CACHE_HOME", "")
    if named:
        return Path(named)
    if "linux" in sys.platform:  # what platformdirs would say, without the time that it takes to load
        home = environment.get("HOME") or Path.home()
        return (Path(base) if base.startswith("/") else Path(home) / ".cache") / "hpcbake"
    from platformdirs import user_cache_path

    return user_cache_path("hpcbake")
