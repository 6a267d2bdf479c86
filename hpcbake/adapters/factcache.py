"""Layer facts kept between runs: one compressed JSON file per layer digest and reader version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import zstandard

from hpcbake.adapters.keptfiles import KeptFiles, user_cache_folder
from hpcbake.image.layer import LayerFacts, layer_from_json

_MAX_FILE_BYTES = 1024 * 1024 * 1024


class FolderFactCache:
    """A folder of layer facts. It never fails: what cannot be read or written is simply not cached."""

    def __init__(self, folder: Path, *, max_bytes: int = 512 * 1024 * 1024) -> None:
        self._files = KeptFiles(folder, ending=".json.zst", max_bytes=max_bytes)

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> FolderFactCache:
        """The one in the user's cache folder."""
        return cls(user_cache_folder(environ) / "layers")

    def load(self, key: str) -> LayerFacts | None:
        """The facts stored under `key`, or None; a damaged file counts as none and is removed."""
        packed = self._files.load(key)
        if packed is None:
            return None
        try:
            unpacked = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_FILE_BYTES)
            return layer_from_json(json.loads(unpacked))
        except (ValueError, KeyError, TypeError, IndexError, zstandard.ZstdError):
            self._files.remove(key)
            return None

    def store(self, key: str, facts: LayerFacts) -> None:
        """Keep `facts` under `key`."""
        self._files.store(key, zstandard.ZstdCompressor(level=3).compress(json.dumps(facts.as_json()).encode()))
