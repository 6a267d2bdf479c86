"""Builders of several machines: the commands, and what docker's and ssh's words mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpcbake.adapters.builders import BuilderShelf, create_argv
from hpcbake.errors import PrereqError

_CONNECT = 'error during connect: Get "http://docker.example.com/v1.45/version": command [ssh] has exited with exit'


def shelf(folder: Path, script: str) -> BuilderShelf:
    """The shelf of a docker that is this script."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return BuilderShelf({"PATH": f"{folder}:{os.environ['PATH']}"}, folder=folder)


@pytest.fixture
def first_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_a_first_node_makes_the_builder_and_the_next_is_appended() -> None:
    """With the platform that it is for, and every word its own."""
    assert create_argv("b", "b-here", "", platform="", is_first=True) == [
        *("buildx", "create", "--name", "b", "--node", "b-here", "--driver", "docker-container")
    ]
    argv = create_argv("b", "b-x", "ssh://u@x", platform="linux/amd64", is_first=False, options=["image=a b"])
    assert argv == [
        *("buildx", "create", "--name", "b", "--node", "b-x", "--append", "--platform", "linux/amd64"),
        *("--driver-opt", "image=a b", "ssh://u@x"),
    ]


@pytest.mark.parametrize(
    ("stderr", "says", "remedy"),
    [
        (f"{_CONNECT} status 255: stderr=Host key verification failed.", "host key of ssh://u@x", "compare its finger"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "another host key", "ssh-keygen -R"),
        (f"{_CONNECT} 255: stderr=u@x: Permission denied (publickey).", "refuses the login", "ssh-add"),
        ("ssh: Could not resolve hostname x: Name or service not known", "nobody knows", "check the name"),
        ("ssh: connect to host x port 22: Connection refused", "does not answer", "firewall"),
        (f"{_CONNECT} status 127: stderr=bash: line 1: docker: command not found", "there is no docker", "install"),
        (f"{_CONNECT} 1: stderr=permission denied while trying to connect to the Docker daemon socket at unix",
         "may not use Docker's socket", "usermod -aG docker"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
         "daemon does not run", "systemctl start docker"),
        ("docker: unknown command: docker buildx", "no buildx plugin", "install docker-buildx"),
        ("something else", "docker ended with 1", "its own words"),
    ],
)  # fmt: skip
def test_a_node_that_cannot_be_used_says_why(first_on_path: Path, stderr: str, says: str, remedy: str) -> None:
    """One cause, one thing to do; docker's own words are kept as evidence."""
    with pytest.raises(PrereqError) as caught:
        shelf(first_on_path, f"cat >&2 <<'E'\n{stderr}\nE\nexit 1").machine("ssh://u@x")
    assert says in caught.value.message
    assert remedy in caught.value.remedy
    assert stderr[:20] in str(caught.value.evidence["output"])


def test_a_machine_tells_what_it_is(first_on_path: Path) -> None:
    """Its own platform, by the engine's word; an answer without one is none."""
    machine = shelf(first_on_path, 'echo "linux/arm64 26.1"').machine("ssh://u@x")
    assert (machine.platform, machine.version) == ("linux/arm64", "26.1")
    with pytest.raises(PrereqError):
        shelf(first_on_path, "echo").machine("ssh://u@x")


def test_builders_are_listed_by_name(first_on_path: Path) -> None:
    """Nodes are not builders, and the chosen one has no star in its name."""
    text = (
        "NAME/NODE DRIVER/ENDPOINT STATUS\\nmine docker-container\\n \\\\_ mine0 unix:///x running\\ndefault* docker\\n"
    )
    assert shelf(first_on_path, f"printf '{text}'").names() == ["mine", "default"]


def test_a_builder_that_is_not_there_is_none(first_on_path: Path) -> None:
    """Every other failure is one."""
    assert shelf(first_on_path, "echo 'ERROR: no builder \"x\" found' >&2; exit 1").find("x") is None
    with pytest.raises(PrereqError):
        shelf(first_on_path, "echo 'no way' >&2; exit 1").find("x")


def test_a_node_that_does_not_start_is_a_failure(first_on_path: Path) -> None:
    """Although buildx ends well."""
    text = "Name: b\\nDriver: docker-container\\n\\nNodes:\\nName: b0\\nEndpoint: ssh://u@x\\nError: no such host\\n"
    with pytest.raises(PrereqError, match="node b0"):
        shelf(first_on_path, f"printf '{text}'").start("b")
