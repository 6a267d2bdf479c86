"""Small files kept between runs, each with the checksum of its key and content.

Any number of processes may use a folder at once: files are complete before they get their name, and a damaged one is
thrown away and made again. It is bounded: the files not used for longest go first.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import platformdirs

_CHECKSUM_BYTES = 32
_KEY = re.compile(r"[a-z0-9.-]+")


def user_cache_folder(environ: Mapping[str, str]) -> Path:
    """`$HPCBAKE_CACHE_DIR`, or hpcbake's folder among the user's caches."""
    return Path(environ.get("HPCBAKE_CACHE_DIR") or platformdirs.user_cache_dir("hpcbake"))


class KeptFiles:
    """A folder of files by key. It never fails: what cannot be read or written is simply not kept.

    `ending` is that of every name, `max_bytes` what all files together may take.
    """

    def __init__(self, folder: Path, *, ending: str, max_bytes: int) -> None:
        self._folder = folder
        self._ending = ending
        self._max_bytes = max_bytes

    def load(self, key: str) -> bytes | None:
        """What was stored under `key`, or None; a damaged file counts as none and is removed."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        checksum, kept = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if hashlib.sha256(key.encode() + kept).digest() != checksum:
            self.remove(key)
            return None
        with suppress(OSError):
            os.utime(path)
        return kept

    def store(self, key: str, content: bytes) -> None:
        """Keep `content` under `key`; the file appears whole or not at all."""
        if len(content) > self._max_bytes // 4:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".part-")
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(key.encode() + content).digest() + content)
            Path(name).replace(self._path(key))
            self._trim()
        except OSError:
            return

    def remove(self, key: str) -> None:
        """Forget what is of no use."""
        with suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        assert _KEY.fullmatch(key), "keys are digests and versions"
        return self._folder / f"{key}{self._ending}"

    def _trim(self) -> None:
        """Remove the files unused for longest until the folder fits, and parts that a killed run left."""
        entries = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                status = path.stat()
                entries.append((status.st_mtime, status.st_size, path))
        newest = max((used for used, _, _ in entries), default=0.0)
        total = sum(size for _, size, _ in entries)
        for used, size, path in sorted(entries, key=lambda entry: entry[0]):
            is_abandoned = path.name.startswith(".part-") and used < newest - 3600
            if total > self._max_bytes or is_abandoned:
                with suppress(OSError):
                    path.unlink()
                    total -= size
