"""Finds the project's policy on findings of the check."""

from __future__ import annotations

from pathlib import Path

from hpcbake.check.policy import POLICY_FILE, Policy, parse_policy
from hpcbake.errors import ConfigError


def read_policy(folder: Path, path: Path | None = None) -> Policy:
    """The policy in `path`, else in the project's own file in `folder`, else an empty one. Raises ConfigError."""
    if path is None:
        path = folder / POLICY_FILE
        if not path.is_file():
            return Policy()
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError(
            f"{path}: cannot be read: {cause}",
            remedy="check its permissions, and that it is UTF-8 text",
            kind="config.unreadable",
        ) from cause
    return parse_policy(content, str(path))
