"""Layer facts kept between runs: one compressed JSON file per layer digest and reader version.

Any number of processes may use it at once: files are complete before they get their name, and a damaged one is thrown
away and made again. It is bounded: the files not used for longest go first.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import platformdirs
import zstandard

from hpcbake.image.layer import LayerFacts, layer_from_json

_MAX_FILE_BYTES = 1024 * 1024 * 1024
_CHECKSUM_BYTES = 32
_KEY = re.compile(r"[a-z0-9.-]+")


class FolderFactCache:
    """A folder of layer facts. It never fails: what cannot be read or written is simply not cached."""

    def __init__(self, folder: Path, *, max_bytes: int = 512 * 1024 * 1024) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> FolderFactCache:
        """The cache in `$HPCBAKE_CACHE_DIR`, or in the user's cache folder."""
        folder = environ.get("HPCBAKE_CACHE_DIR") or platformdirs.user_cache_dir("hpcbake")
        return cls(Path(folder) / "layers")

    def load(self, key: str) -> LayerFacts | None:
        """The facts stored under `key`, or None; a damaged file counts as none and is removed."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            checksum, packed = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
            if hashlib.sha256(key.encode() + packed).digest() != checksum:
                raise ValueError("checksum")
            unpacked = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_FILE_BYTES)
            facts = layer_from_json(json.loads(unpacked))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, IndexError, zstandard.ZstdError):
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return facts

    def store(self, key: str, facts: LayerFacts) -> None:
        """Keep `facts` under `key`; the file appears whole or not at all."""
        packed = zstandard.ZstdCompressor(level=3).compress(json.dumps(facts.as_json()).encode())
        if len(packed) > self._max_bytes // 4:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".part-")
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(key.encode() + packed).digest() + packed)
            Path(name).replace(self._path(key))
            self._trim()
        except OSError:
            return

    def _path(self, key: str) -> Path:
        assert _KEY.fullmatch(key), "keys are digests and versions"
        return self._folder / f"{key}.json.zst"

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
