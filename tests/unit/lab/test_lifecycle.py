"""Up, down and reset where nothing is up: what they refuse, what they leave alone, what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpcbake.cli.lab import command
from hpcbake.errors import PrereqError
from hpcbake.lab import down, new_run, reset, status, up
from hpcbake.lab.environment import write_lab_record
from hpcbake.lab.lifecycle import LabRun
from hpcbake.lab.progress import Progress
from hpcbake.lab.settings import LabSettings
from tests.unit.lab.machines import FakeMachine, lab_settings
from tests.unit.lab.test_environment import RECORD


def run_with(settings: LabSettings, machine: FakeMachine | None = None, lines: list[str] | None = None) -> LabRun:
    said = lines if lines is not None else []
    return new_run(settings, Progress(said.append), machine=machine or FakeMachine(), environ={})


def test_a_user_without_docker_is_told_both_ways_out(tmp_path: Path) -> None:
    """A private engine by root, or a Docker that serves; nothing is started or installed."""
    machine = FakeMachine()
    with pytest.raises(PrereqError, match="there is no docker on PATH") as caught:
        up(run_with(lab_settings(tmp_path, is_root=False), machine))
    assert "sudo hpcbake lab up" in caught.value.remedy
    assert "containerd" in caught.value.remedy
    assert [argv[0] for argv in machine.ran] == ["apt-config"]


def test_who_insists_on_their_own_docker_gets_no_other(tmp_path: Path) -> None:
    """Also as root."""
    with pytest.raises(PrereqError, match="HPCBAKE_LAB_ENGINE=own"):
        up(run_with(replace(lab_settings(tmp_path), engine="own")))


def test_the_private_engine_is_refused_to_others_than_root(tmp_path: Path) -> None:
    """With the remedy."""
    with pytest.raises(PrereqError, match="needs root"):
        up(run_with(replace(lab_settings(tmp_path, is_root=False), engine="private")))


def test_down_and_status_of_no_lab_are_fine(tmp_path: Path) -> None:
    """There is nothing to do, and nothing is made on the way."""
    lines: list[str] = []
    run = run_with(lab_settings(tmp_path, is_root=False), lines=lines)
    down(run, purge=True)
    assert "there is no lab" in lines[0]
    assert not status(run).is_up
    assert list(tmp_path.iterdir()) == []


def test_reset_of_no_lab_says_how_to_get_one(tmp_path: Path) -> None:
    """It does not bring one up on its own."""
    with pytest.raises(PrereqError, match="no lab is up"):
        reset(run_with(lab_settings(tmp_path)))


def test_down_removes_what_the_lab_made_and_nothing_else(tmp_path: Path) -> None:
    """A state or cache folder may hold the user's own files."""
    settings = lab_settings(tmp_path, name="no-such-lab-anywhere")
    for file in (
        "state/ssh_config",
        "state/nodes/tls/ca.crt",
        "state/build.log",
        "cache/old-base.json",
        "cache/docker/x",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    for file in ("state/thesis.tex", "cache/thesis.pdf"):
        (tmp_path / file).touch()
    down(run_with(settings))
    assert [path.name for path in settings.state.iterdir()] == ["thesis.tex"]
    assert (settings.cache / "docker/x").exists()
    down(run_with(settings), purge=True)
    assert [path.name for path in settings.cache.iterdir()] == ["thesis.pdf"]


def test_down_works_on_a_damaged_record(tmp_path: Path) -> None:
    """That is what its error message tells people to do."""
    settings = lab_settings(tmp_path, name="no-such-lab-anywhere")
    settings.state.mkdir()
    (settings.state / "lab.json").write_text("{")
    down(run_with(settings))
    assert not settings.state.exists()


def test_a_lab_that_is_up_keeps_its_name_and_ports(tmp_path: Path) -> None:
    """Later commands mean the same lab, whatever the variables say by then."""
    settings = lab_settings(tmp_path, name="other")
    settings.state.mkdir()
    write_lab_record(settings.state, RECORD)
    run = run_with(settings)
    assert (run.settings.name, run.settings.ports) == (RECORD.name, RECORD.ports)


def test_the_command_line_says_that_no_lab_is_up(tmp_path: Path) -> None:
    """In words and as JSON, with the exit code of a missing prerequisite."""
    environ = {"HPCBAKE_LAB_STATE": str(tmp_path / "state")}
    words = CliRunner().invoke(command, ["status"], env=environ)
    assert (words.exit_code, words.output) == (11, f"no lab is up at {tmp_path}/state\n")
    document = json.loads(CliRunner().invoke(command, ["status", "--json"], env=environ).output)
    assert (document["kind"], document["up"]) == ("hpcbake.lab.status", False)
