"""The source commit of a folder, as git tells it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_TIMEOUT_S = 10.0


def source_commit(folder: Path) -> str:
    """The commit that is checked out in `folder`, with `-dirty` where files differ from it; empty without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return ""
    return f"{commit}-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else commit


def _git(folder: Path, *words: str) -> str:
    argv = ["git", "-C", str(folder), "--no-optional-locks", *words]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
