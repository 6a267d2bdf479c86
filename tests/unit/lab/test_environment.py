"""What a running lab tells others: a record for programs, a file for shells, a dictionary for tests."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.errors import PrereqError, StateError
from hpcbake.lab.engine import Engine
from hpcbake.lab.environment import (
    LabRecord,
    lab_environment,
    read_lab_record,
    render_lab_env,
    write_lab_record,
)
from hpcbake.lab.settings import Ports

RECORD = LabRecord(
    name="testlab",
    cache=Path("/var/cache/testlab"),
    ports=Ports(registry=6083),
    engine=Engine(
        "private", "/cache/engine/usr/bin/docker", "unix:///s.sock", Path("/state/docker-config"), "26.1", "why"
    ),
    variables={"HPCBAKE_LAB_RECIPE": "abc"},
    bases={"BASE": "localhost:6083/lab/x:1@sha256:ab", "NEWER_BASE": "localhost:6083/lab/y:1@sha256:cd"},
)


def sourced(file: Path, *, times: int = 1) -> dict[str, str]:
    """The environment of a POSIX shell that has read `file`."""
    script = 'for i in $(seq "$2"); do . "$1"; done; env -0'
    shell = subprocess.run(
        ["sh", "-euc", script, "sh", str(file), str(times)],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    pairs = (line.partition("=") for line in shell.stdout.decode().split("\0") if line)
    return {name: value for name, _, value in pairs}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """The record survives the trip through JSON; the document says what it is."""
    write_lab_record(tmp_path, RECORD)
    assert read_lab_record(tmp_path) == RECORD
    document = json.loads((tmp_path / "lab.json").read_text())
    assert (document["kind"], document["version"]) == ("hpcbake.lab", 1)


def test_a_shell_and_python_get_the_same(tmp_path: Path) -> None:
    """lab.env and lab_environment() agree on every variable, PATH included."""
    write_lab_record(tmp_path, RECORD)
    from_python = lab_environment(tmp_path, {"PATH": "/usr/bin:/bin"})
    from_shell = sourced(tmp_path / "lab.env")
    assert {name: from_shell[name] for name in from_python} == from_python
    assert from_python["PATH"] == "/cache/engine/usr/bin:/usr/bin:/bin"
    assert from_python["REGISTRY"] == "localhost:6083"


def test_reading_the_file_twice_does_not_lengthen_path(tmp_path: Path) -> None:
    """Neither in the shell nor in Python."""
    write_lab_record(tmp_path, RECORD)
    assert sourced(tmp_path / "lab.env", times=3)["PATH"] == "/cache/engine/usr/bin:/usr/bin:/bin"
    once = lab_environment(tmp_path, {"PATH": "/usr/bin"})
    assert lab_environment(tmp_path, once)["PATH"] == once["PATH"]


def test_the_users_own_docker_needs_no_path(tmp_path: Path) -> None:
    """It is on PATH already; the client's folder is the lab's all the same."""
    own = replace(RECORD, engine=replace(RECORD.engine, kind="own", docker="docker"))
    write_lab_record(tmp_path, own)
    environ = lab_environment(tmp_path, {"PATH": "/usr/bin"})
    assert "PATH" not in environ
    assert environ["DOCKER_CONFIG"] == "/state/docker-config"


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_no_value_is_code_for_the_shell(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Quotes, dollars and line breaks arrive as they are."""
    file = tmp_path_factory.mktemp("env") / "lab.env"
    file.write_text(render_lab_env({"VALUE": value}, Path("/it's $(here)/bin")))
    environ = sourced(file)
    assert environ["VALUE"] == value
    assert environ["PATH"] == "/it's $(here)/bin:/usr/bin:/bin"


def test_no_lab_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """A test that wants the lab says what to run."""
    assert read_lab_record(tmp_path) is None
    with pytest.raises(PrereqError, match="no lab is up") as caught:
        lab_environment(tmp_path, {})
    assert "hpcbake lab up" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x", "engine": {"kind": 1}}', '"text"'])
def test_a_damaged_record_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    """It is an error that says how to begin afresh."""
    (tmp_path / "lab.json").write_text(text)
    with pytest.raises(StateError) as caught:
        read_lab_record(tmp_path)
    assert "lab down" in caught.value.remedy
