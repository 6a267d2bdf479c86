"""What was built last in a folder: from the journals, newest first, and only where they are whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.model.reference import Digest
from hpcbake.ship.journal import Journal
from hpcbake.ship.last_build import find_built

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def built(runs: Path, name: str, digests: object, project: str = "/project") -> Path:
    journal = Journal(runs / name / "journal.jsonl")
    journal.note("begin", run=name, project=project, pid=1, boot_id="b")
    journal.note("done", stage="build", digests=digests)
    journal.close()
    return journal.path


def test_the_latest_build_of_each_target_counts(tmp_path: Path) -> None:
    """A later run that built only one of them leaves the other's word alone."""
    built(tmp_path, "01", {"app": str(ONE), "tool": str(ONE)})
    built(tmp_path, "02", {"app": str(TWO)})
    built(tmp_path, "03", {"app": str(ONE)}, project="/elsewhere")
    assert find_built(tmp_path, "/project", ["app", "tool", "new"]) == {"app": TWO, "tool": ONE}


@pytest.mark.parametrize("digests", [{"app": "nonsense"}, ["app"], None, {"app": None}])
def test_nonsense_is_no_build(tmp_path: Path, digests: object) -> None:
    """It is passed over."""
    built(tmp_path, "02", digests)
    built(tmp_path, "01", {"app": str(ONE)})
    assert find_built(tmp_path, "/project", ["app"]) == {"app": ONE}


def test_a_line_that_somebody_wrote_in_does_not_count(tmp_path: Path) -> None:
    """Its hash does not fit."""
    path = built(tmp_path, "01", {"app": str(ONE)})
    path.write_bytes(path.read_bytes().replace(str(ONE).encode(), str(TWO).encode()) + b"")
    with path.open("ab") as file:
        file.write(b'{"prev": "x", "act": "done", "stage": "build", "digests": {"app": "%s"}}\n' % str(ONE).encode())
    assert find_built(tmp_path, "/project", ["app"]).get("app") != ONE


def test_no_runs_are_no_build(tmp_path: Path) -> None:
    """Of a folder that is not there, or of another project."""
    assert find_built(tmp_path / "none", "/project", ["app"]) == {}
