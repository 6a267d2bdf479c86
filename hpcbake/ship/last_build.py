"""What the last builds of a folder made, as the journals of its runs tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hpcbake.errors import ConfigError
from hpcbake.model.reference import Digest
from hpcbake.ship.journal import read_entries

#: So many runs are looked through, the latest first.
_LAST_RUNS = 50


def find_built(runs: Path, project: str, names: Sequence[str]) -> dict[str, Digest]:
    """The digest of each of these targets in the latest run of the project that built it; some may be missing.

    A journal is only where to look: whether the image is there the registry says.
    """
    found: dict[str, Digest] = {}
    try:
        folders = sorted((folder for folder in runs.iterdir() if folder.is_dir()), reverse=True)
    except OSError:
        return found
    for folder in folders[:_LAST_RUNS]:
        for name, digest in _built_in(folder / "journal.jsonl", project).items():
            if name in names:
                found.setdefault(name, digest)
        if len(found) == len(set(names)):
            break
    return found


def _built_in(journal: Path, project: str) -> dict[str, Digest]:
    """What one run of this project built, and the registry confirmed."""
    is_ours = False
    digests: dict[str, Digest] = {}
    try:
        for entry, fits in read_entries(journal):
            if entry.get("act") == "begin":
                is_ours = entry.get("project") == project
            if entry.get("act") == "done" and entry.get("stage") == "build" and is_ours and fits:
                told = entry.get("digests")
                for name, text in (told if isinstance(told, dict) else {}).items():
                    digests[str(name)] = Digest(str(text))
    except (OSError, ConfigError):
        return {}
    return digests
