"""Which engine carries the lab, and why not the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpcbake.lab.engine import (
    DockerFacts,
    Engine,
    find_fault,
    find_plugin_folders,
    inspect_own_docker,
    no_engine_error,
    parse_docker_info,
    write_client_config,
)
from hpcbake.model.ports import Outcome
from tests.unit.lab.machines import Answer, FakeMachine

STORE = [["driver-type", "io.containerd.snapshotter.v1"]]


def info(version: str = "28.1.0", driver: object = STORE, **more: object) -> Outcome:
    return Outcome(0, json.dumps({"ServerVersion": version, "DriverStatus": driver, "OSType": "linux", **more}))


def good_answers() -> dict[str, Answer]:
    return {
        "docker info": info(),
        "docker context inspect": Outcome(0, "unix:///run/docker.sock\n"),
        "docker compose version": Outcome(0, "v2.26.1\n"),
        "docker buildx version": Outcome(0, "github.com/docker/buildx 0.13.1\n"),
    }


def test_a_docker_that_can_do_everything_is_used() -> None:
    """Its socket comes from the context the user works with; the client's folder is the lab's."""
    own = inspect_own_docker(FakeMachine(good_answers(), programs=["docker"]), Path("/state/docker-config"), {})
    assert own.engine is not None
    assert (own.engine.host, own.engine.config) == ("unix:///run/docker.sock", Path("/state/docker-config"))


def test_docker_host_goes_before_the_context() -> None:
    """As for the docker client itself."""
    machine = FakeMachine(good_answers(), programs=["docker"])
    own = inspect_own_docker(machine, Path("/c"), {"DOCKER_HOST": "unix:///my.sock"})
    assert own.engine is not None
    assert own.engine.host == "unix:///my.sock"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"docker info": Outcome(1, "", "Cannot connect")}, "no server that answers"),
        ({"docker info": Outcome(0, '{"ServerVersion": ""}', "Cannot connect")}, "no server that answers"),
        ({"docker info": info("20.10.24")}, "version 20.10.24"),
        ({"docker info": info(driver=[["Backing Filesystem", "extfs"]])}, "containerd image store"),
        ({"docker info": info(driver=None)}, "containerd image store"),
        ({"docker info": info(OSType="windows")}, "another operating system"),
        ({"docker context inspect": Outcome(0, "ssh://user@far.example\n")}, "another machine"),
        ({"docker compose version": Outcome(0, "1.29.2\n")}, "compose plugin"),
        ({"docker compose version": Outcome(1, "", "unknown command")}, "compose plugin"),
        ({"docker buildx version": Outcome(1)}, "buildx plugin"),
    ],
)
def test_a_docker_that_cannot_carry_the_lab_is_not_used(change: dict[str, Answer], reason: str) -> None:
    """The reason is said, so that the user can mend it."""
    own = inspect_own_docker(FakeMachine({**good_answers(), **change}, programs=["docker"]), Path("/c"), {})
    assert own.engine is None
    assert reason in own.why
    assert reason in no_engine_error(own).message


def test_another_labs_private_engine_is_not_the_users_docker(tmp_path: Path) -> None:
    """A shell that has read lab.env must not build the next lab inside the first."""
    (tmp_path / "engine.json").write_text("{}")
    machine = FakeMachine(good_answers(), programs=["docker"])
    own = inspect_own_docker(machine, Path("/c"), {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    assert own.engine is None
    assert "another lab" in own.why


def test_no_docker_at_all_is_said() -> None:
    """Nothing is run when there is nothing to run."""
    machine = FakeMachine()
    assert inspect_own_docker(machine, Path("/c"), {}).why == "there is no docker on PATH"
    assert machine.ran == []


def test_a_host_of_another_scheme_shows_no_password() -> None:
    """A tcp:// address may carry credentials: only its scheme is repeated."""
    fault = find_fault(DockerFacts("28.0", True, True), "tcp://user:secret@far.example:2376")
    assert "tcp://" in fault
    assert "secret" not in fault


@pytest.mark.parametrize("text", ["", "null", "[]", "not json", '{"ServerErrors": ["x"]}'])
def test_no_answer_is_not_an_engine(text: str) -> None:
    """Whatever is not a server's description is None."""
    assert parse_docker_info(text) is None


def test_the_client_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Plugins are found through it; what a login wrote there later is kept."""
    (tmp_path / "plugins").mkdir()
    engine = Engine("own", "docker", "unix:///s", tmp_path / "config")
    write_client_config(engine, [tmp_path / "plugins", tmp_path / "absent"])
    file = tmp_path / "config/config.json"
    assert json.loads(file.read_text()) == {"cliPluginsExtraDirs": [str(tmp_path / "plugins")]}
    file.write_text('{"auths": {}}')
    write_client_config(engine, [])
    assert file.read_text() == '{"auths": {}}'


def test_the_users_plugin_folders_are_found(tmp_path: Path) -> None:
    """In their configuration folder, and where their configuration says."""
    (tmp_path / "config.json").write_text('{"cliPluginsExtraDirs": ["/opt/plugins"]}')
    assert find_plugin_folders({"DOCKER_CONFIG": str(tmp_path)}) == [tmp_path / "cli-plugins", Path("/opt/plugins")]
    assert find_plugin_folders({"HOME": "/h"}) == [Path("/h/.docker/cli-plugins")]
    (tmp_path / "config.json").write_text("[broken")
    assert find_plugin_folders({"DOCKER_CONFIG": str(tmp_path)}) == [tmp_path / "cli-plugins"]
