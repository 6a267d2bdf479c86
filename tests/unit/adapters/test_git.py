"""The source commit: the one that is checked out, marked where files differ, and nothing where there is no git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hpcbake.adapters.git import source_commit

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    return subprocess.run(
        ["git", *identity, "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    """Files that git does not know are no difference; a changed one is."""
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "other").write_text("not known")
    assert source_commit(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert source_commit(tmp_path) == f"{commit}-dirty"


def test_without_a_commit_there_is_none(tmp_path: Path) -> None:
    """No repository, and one in which nothing was committed."""
    assert source_commit(tmp_path / "absent") == ""
    git(tmp_path, "init", "-q")
    assert source_commit(tmp_path) == ""
