"""Writes the commit that a wheel or sdist was made from into it, so that `hpcbake --version --verbose` can say it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_INSIDE = "hpcbake/_data/commit"


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds one file with the commit's id. An sdist carries it on to the wheel that is made from it."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel or sdist is made; an editable install asks git itself when it is asked."""
        carried = Path(self.root, _INSIDE)
        if version == "editable" or carried.is_file():
            return
        commit = _read_commit(self.root)
        if commit:
            self._written = Path(self.directory, "commit")
            self._written.parent.mkdir(parents=True, exist_ok=True)
            self._written.write_text(f"{commit}\n", encoding="ascii")
            build_data["force_include"][str(self._written)] = _INSIDE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Called when it is made."""
        if written := getattr(self, "_written", None):
            written.unlink(missing_ok=True)


def _read_commit(root: str) -> str:
    def git(*words: str) -> str:
        argv = ["git", "-C", root, "--no-optional-locks", *words]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    # A source archive unpacked inside somebody's repository is not of that repository.
    if not git("ls-files", "pyproject.toml"):
        return ""
    return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
