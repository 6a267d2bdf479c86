"""The name of what the lab's images are built from: a changed file, another release, another name."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: counted up when hpcbake's own code builds the same files differently
_EDITION = "1"


def recipe_of(folder: Path, *suites: str) -> str:
    """Sixteen hex digits over every file below `folder` (path, mode, content) and the releases used."""
    digest = hashlib.sha256("\0".join((_EDITION, *suites)).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        is_executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"\0{path.relative_to(folder).as_posix()}\0{is_executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]
