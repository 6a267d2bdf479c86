"""`hpcbake doctor` as it is called: what it refuses, and what a project that is not filled in gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcbake.cli.doctor import command
from hpcbake.errors import UsageError
from hpcbake.scaffold import Answers, place_files, render_project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as `hpcbake init` writes it, on a machine without docker and apptainer."""
    place_files(tmp_path / "p", render_project(Answers("python", "app"), {}))
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for name in ("HPCBAKE_APPTAINER", "DOCKER_HOST", "REGISTRY", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "p"


def call(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), standalone_mode=False)


def test_a_project_that_is_not_filled_in_is_told_what_to_fill_in(folder: Path) -> None:
    """The example's registry and cluster are nobody's: nobody is asked, and each fix is the next step."""
    done = call("--json")
    assert done.return_value == 11
    document = json.loads(done.stdout)
    here, site = document["places"]
    facts = {fact["fact"]: fact for fact in [*here["facts"], *site["facts"]]}
    assert "REGISTRY" in facts["registry"]["fix"]
    assert site["name"] == "mycluster"
    assert site["facts"][0]["fix"] == "hpcbake sites probe USER@HOST -o site-configs/mycluster.yaml --force"
    assert facts["docker"]["level"] == "FAIL"
    assert not list(folder.parent.glob("nothing"))


def test_the_text_has_a_fix_below_each_complaint_and_a_count(folder: Path) -> None:
    """Plain where it is no terminal."""
    lines = call("--here").stdout.splitlines()
    complaints = [line for line in lines if line.startswith(("  FAIL", "  warn"))]
    assert len([line for line in lines if line.lstrip().startswith("fix: ")]) == len(complaints)
    assert lines[-1].endswith(f"{len([line for line in complaints if 'FAIL' in line])} FAIL")
    assert "\x1b" not in "".join(lines)


def test_a_site_that_is_not_declared_is_refused_at_once(folder: Path) -> None:
    """Before anything is looked at."""
    done = call("--site", "mycluser")
    assert isinstance(done.exception, UsageError)
    assert "mycluster" in done.exception.remedy
    assert done.stdout == ""
