"""What `lab status` says is what was looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.errors import PrereqError, UsageError
from hpcbake.lab.compose import NODES
from hpcbake.lab.shell import shell_argv
from hpcbake.lab.status import LabStatus, NodeStatus, parse_answers, read_status, render_status
from hpcbake.model.ports import Outcome
from tests.unit.lab.machines import FakeMachine
from tests.unit.lab.test_environment import RECORD

GOLDEN = Path(__file__).parents[2] / "golden/lab"
FACTS = {"os": "Debian GNU/Linux 11 (bullseye)", "glibc": "2.31", "slurm": "20.11.4", "apptainer": "1.4.5"}
HEALTHY = tuple(NodeStatus(name, "healthy", FACTS if name.startswith("birch") else {}) for name in NODES)


def status(**changes: object) -> LabStatus:
    return replace(LabStatus(Path("/run/testlab"), RECORD, HEALTHY), **changes)  # type: ignore[arg-type]


def test_the_terminal_form_is_the_golden_one() -> None:
    """One line per machine, with what it said of itself."""
    assert render_status(status()) == (GOLDEN / "status.txt").read_text()


@pytest.mark.parametrize(
    "broken",
    [
        status(record=None),
        status(nodes=HEALTHY[1:]),
        status(nodes=(NodeStatus("alder", "starting"), *HEALTHY[1:])),
        status(nodes=()),
        status(closed_ports=(2201,)),
    ],
)
def test_a_lab_is_up_only_when_all_of_it_is(broken: LabStatus) -> None:
    """A missing or starting machine, or a closed port, and it is not."""
    assert status().is_up
    assert not broken.is_up
    assert broken.document()["up"] is False
    assert "lab: up on" not in render_status(broken)


def test_the_document_carries_kind_version_and_versions() -> None:
    """For programs; everything in it is JSON."""
    document = json.loads(json.dumps(status().document()))
    assert (document["kind"], document["version"]) == ("hpcbake.lab.status", 1)
    assert document["nodes"]["birch-c1"]["glibc"] == "2.31"


def test_answers_without_a_value_are_left_out() -> None:
    """A machine that has no Slurm says nothing about it; noise of a login shell is no answer."""
    assert parse_answers("Welcome!\nglibc=2.31\nslurm=\n=x\napptainer=1.4.5-2\n") == {
        "glibc": "2.31",
        "apptainer": "1.4.5-2",
    }


def test_a_dead_engine_gives_a_status_not_an_error(tmp_path: Path) -> None:
    """Every machine is absent, and it is said."""
    found = read_status(FakeMachine(), tmp_path, RECORD)
    assert {node.state for node in found.nodes} == {"absent"}
    assert not found.is_up
    assert "NOT WHOLE" in render_status(found)


def test_a_shell_is_ssh_where_sshd_runs(tmp_path: Path) -> None:
    """With the lab's configuration; words stay apart on the far side's shell too."""
    argv, _ = shell_argv(FakeMachine(), tmp_path, RECORD, "birch", ["printf", "%s", "a  b;c"])
    assert argv == ["ssh", "-F", f"{tmp_path}/ssh_config", "birch", "printf %s 'a  b;c'"]


def test_a_shell_is_docker_where_no_sshd_runs(tmp_path: Path) -> None:
    """In the container that plays the machine, by the lab's engine."""
    line = json.dumps({"Service": "birch-c1", "Name": "testlab-birch-c1-1", "State": "running", "Health": "healthy"})
    machine = FakeMachine({RECORD.engine.docker: Outcome(0, line)})
    argv, environ = shell_argv(machine, tmp_path, RECORD, "birch-c1", ["hostname"])
    assert argv == [RECORD.engine.docker, "exec", "--interactive", "testlab-birch-c1-1", "hostname"]
    assert environ["DOCKER_HOST"] == "unix:///s.sock"


def test_no_shell_on_what_does_not_exist_or_run(tmp_path: Path) -> None:
    """The machines of the lab are listed; one that is down says how to bring it up."""
    with pytest.raises(UsageError, match="cedar") as caught:
        shell_argv(FakeMachine(), tmp_path, RECORD, "cedar", [])
    assert "birch-c1" in caught.value.remedy
    with pytest.raises(PrereqError, match="not running"):
        shell_argv(FakeMachine(), tmp_path, RECORD, "birch-c1", [])
