"""What was built for a project in earlier nights: one JSON file, replaced whole."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from hpcbake.build.fingerprint import parse_fingerprint, render_fingerprint
from hpcbake.build.remembered import KnownBuild
from hpcbake.errors import CantWriteError, ConfigError
from hpcbake.model.reference import Digest

_KIND = "hpcbake.builds"
_VERSION = 1


class BuildFile:
    """A BuildMemory in a file. What cannot be read counts as never built: that costs a build and nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def find(self, target: str) -> KnownBuild | None:
        return self._known.get(target)

    def keep(self, target: str, build: KnownBuild) -> None:
        """Remember a build; on disk when this returns. Raises CantWriteError."""
        self._known[target] = build
        self._write()

    def keep_only(self, targets: frozenset[str]) -> None:
        """Forget the targets that the project no longer has. Raises CantWriteError."""
        gone = set(self._known) - targets
        for name in gone:
            del self._known[name]
        if gone:
            self._write()

    def _write(self) -> None:
        document = {
            "kind": _KIND,
            "version": _VERSION,
            "builds": {
                name: {"digest": str(known.digest), "facts": render_fingerprint(known.fingerprint)}
                for name, known in sorted(self._known.items())
            },
        }
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                json.dump(document, file)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise CantWriteError(
                f"{self._path}: what was built cannot be noted down: {error.strerror}",
                remedy="make room, or point HPCBAKE_STATE at a folder that can be written",
            ) from error


def _read(path: Path) -> dict[str, KnownBuild]:
    try:
        document = json.loads(path.read_bytes())
        entries = document["builds"] if document["kind"] == _KIND and document["version"] == _VERSION else {}
        found = {str(name): _known(entry) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return {}
    return {name: known for name, known in found.items() if known is not None}


def _known(entry: dict[str, object]) -> KnownBuild | None:
    fingerprint = parse_fingerprint(entry["facts"])
    return None if fingerprint is None else KnownBuild(Digest(str(entry["digest"])), fingerprint)
