"""SIFs that this machine has converted, one per image digest, kept for the next site and the next night.

One process at a time works on one digest. A file gets its name when it is complete and on disk, and what is found later
is summed up again before it is used. The folder is bounded: the SIFs not used for longest go first.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hpcbake.adapters.keptfiles import user_cache_folder
from hpcbake.errors import CantWriteError
from hpcbake.model.ports import KeptSif

_CHUNK_BYTES = 1024 * 1024
_DEFAULT_MAX_BYTES = 40 * 1024**3


class SifFolder:
    """The folder. Raises CantWriteError when it cannot be used."""

    def __init__(self, folder: Path, *, max_bytes: int = _DEFAULT_MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> SifFolder:
        """The folder in `$HPCBAKE_CACHE_DIR`, or in the user's cache folder."""
        return cls(user_cache_folder(environ) / "sif")

    @contextmanager
    def work_on(self, name: str) -> Iterator[Path]:
        """An empty folder to make the SIF `name` in, while no other process or thread works on it."""
        work = self._folder / f".work-{name}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self._folder / f".lock-{name}").open("w") as lock:
                # The kernel gives it back when its holder ends, however that ends.
                fcntl.flock(lock, fcntl.LOCK_EX)
                _remove(work)
                work.mkdir(mode=0o700)
                try:
                    yield work
                finally:
                    _remove(work)
        except OSError as cause:
            raise CantWriteError(
                f"cannot work in {cause.filename or self._folder}: {cause.strerror}",
                remedy="make room or mend the permissions there, or set HPCBAKE_CACHE_DIR to another folder",
                kind="state.cantwrite",
            ) from cause

    def free_bytes(self) -> int:
        """Room on the folder's file system."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return shutil.disk_usage(self._folder).free

    def find(self, name: str) -> KeptSif | None:
        """The kept SIF, its bytes summed up anew; None when there is none or when it is not what was kept."""
        path = self._folder / f"{name}.sif"
        try:
            known = json.loads(path.with_suffix(".json").read_text())
            sha256, size = sum_up(path)
            if (sha256, size) != (known["sha256"], known["size_bytes"]):
                raise ValueError("changed")
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            self._forget(path)
            return None
        return KeptSif(path, sha256, size)

    def adopt(self, partial: Path, name: str) -> KeptSif:
        """Give a complete SIF its name, its bytes on disk before that."""
        sha256, size = sum_up(partial)
        path = self._folder / f"{name}.sif"
        self._make_room(size, path)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        note = partial.with_suffix(".note")
        note.write_text(json.dumps({"sha256": sha256, "size_bytes": size}) + "\n")
        partial.replace(path)
        note.replace(path.with_suffix(".json"))
        return KeptSif(path, sha256, size)

    def _make_room(self, size: int, spared: Path) -> None:
        kept = sorted(self._folder.glob("*.sif"), key=lambda path: path.stat().st_mtime)
        total = size + sum(path.stat().st_size for path in kept)
        for path in kept:
            if total <= self._max_bytes:
                return
            if path != spared:
                total -= path.stat().st_size
                self._forget(path)

    @staticmethod
    def _forget(path: Path) -> None:
        for one in (path.with_suffix(".json"), path):
            with suppress(OSError):
                one.unlink()


def sum_up(path: Path) -> tuple[str, int]:
    """SHA-256 in hex, and size in bytes."""
    checksum, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum.update(chunk)
            size += len(chunk)
    return checksum.hexdigest(), size


def _remove(folder: Path) -> None:
    """An unpacked image may hold folders that even their owner cannot write."""
    if not folder.exists():
        return
    for root, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(root).chmod(0o700)
    shutil.rmtree(folder)
