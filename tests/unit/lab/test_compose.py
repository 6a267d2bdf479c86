"""The compose file and the code that fills it say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hpcbake.datafiles import data_folder
from hpcbake.lab.bases import OLD_RELEASES, OldBase
from hpcbake.lab.compose import BASE_IMAGES, NODES, Compose, compose_variables, parse_containers
from hpcbake.lab.engine import Engine
from hpcbake.lab.images import bake_words, base_references
from hpcbake.lab.mirror import Mirror
from hpcbake.model.ports import Outcome
from tests.unit.lab.machines import FakeMachine, lab_settings

TEXT = (data_folder("lab") / "compose.yaml").read_text()
DOCUMENT = yaml.safe_load(TEXT)


def variables(tmp_path: Path) -> dict[str, str]:
    old = OldBase(OLD_RELEASES[0], "http://a.example/debian")
    return compose_variables(lab_settings(tmp_path), Mirror("http://a.example/debian"), old, recipe="r", keys="k")


def test_every_variable_of_the_file_is_filled(tmp_path: Path) -> None:
    """A variable that nobody sets would silently take its default."""
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    assert used <= set(variables(tmp_path))
    assert {name for name in variables(tmp_path) if name.startswith("HPCBAKE_LAB_")} <= used


def test_nothing_listens_beyond_this_machine() -> None:
    """Every published port is bound to 127.0.0.1."""
    ports = [port for service in DOCUMENT["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_code_knows_the_machines_of_the_file() -> None:
    """Services that are started are NODES, the others are base images."""
    started = {name for name, service in DOCUMENT["services"].items() if "profiles" not in service}
    assert started == set(NODES)
    assert set(DOCUMENT["services"]) - started == set(BASE_IMAGES)
    for name, has_sshd in NODES.items():
        assert ("sshd" in DOCUMENT["services"][name]["command"]) == has_sshd


def test_no_machine_is_privileged() -> None:
    """Unprivileged apptainer needs no capability; nothing may creep in."""
    for service in DOCUMENT["services"].values():
        assert not {"privileged", "cap_add", "pid", "network_mode"} & set(service)


def test_the_compute_node_of_birch_is_on_the_inner_network_only() -> None:
    """And that network has no way out."""
    assert DOCUMENT["services"]["birch-c1"]["networks"] == ["inner"]
    assert DOCUMENT["networks"]["inner"] == {"internal": True}


def test_nothing_in_the_lab_calls_itself_rocky() -> None:
    """A stand-in is named as what it is; its description says what it stands in for and that it is not it."""
    names = [str(service.get("image", "")) for service in DOCUMENT["services"].values()]
    names += base_references("localhost:1", OLD_RELEASES[0]).values()
    assert not [name for name in names if "rocky" in name.lower()]
    description = DOCUMENT["services"]["standin"]["build"]["labels"]["org.opencontainers.image.description"]
    assert "NOT Rocky Linux" in description


def test_every_built_target_is_a_service_and_a_stage() -> None:
    """What bake is asked for exists in compose.yaml and in the Dockerfile."""
    stages = set(
        re.findall(r"^FROM \S+ AS (\S+)$", (data_folder("lab") / "image/Dockerfile").read_text(), re.MULTILINE)
    )
    words = bake_words(data_folder("lab"))
    targets = [word for word in words if word in DOCUMENT["services"]]
    assert len(targets) == 6
    assert {DOCUMENT["services"][target]["build"]["target"] for target in targets} <= stages


def test_newer_buildx_may_read_the_labs_files(tmp_path: Path) -> None:
    """Since 0.20 it refuses contexts outside the current folder unless told otherwise; older ones do not care."""
    assert variables(tmp_path)["BUILDX_BAKE_ENTITLEMENTS_FS"] == "0"


@pytest.mark.parametrize(
    "text",
    [
        '{"Service":"alder","Name":"l-alder-1","State":"running","Health":"healthy"}\n'
        '{"Service":"birch","Name":"l-birch-1","State":"exited"}\n',
        '[{"Service":"alder","Name":"l-alder-1","State":"running","Health":"healthy"},'
        '{"Service":"birch","Name":"l-birch-1","State":"exited"}]',
    ],
)
def test_containers_are_read_in_both_notations(text: str) -> None:
    """Compose has printed one array, and one object per line."""
    alder, birch = parse_containers(text)
    assert alder.is_healthy
    assert (birch.service, birch.is_healthy) == ("birch", False)


def test_an_engine_that_does_not_answer_has_no_containers(tmp_path: Path) -> None:
    """Rather than an error: `status` must work on a broken lab."""
    compose = Compose(FakeMachine(), Engine("own", "docker", "unix:///s", tmp_path), variables(tmp_path))
    assert compose.containers() == {}


def test_compose_runs_with_the_labs_engine_and_no_other(tmp_path: Path) -> None:
    """Contexts and builders of the user's shell do not reach it."""
    machine = FakeMachine({"docker compose": Outcome(0)})
    Compose(machine, Engine("own", "docker", "unix:///s", tmp_path), variables(tmp_path)).run(["ps"], timeout_s=1)
    environ = machine.environs[0]
    assert (environ["DOCKER_HOST"], environ["DOCKER_CONFIG"]) == ("unix:///s", str(tmp_path))
    assert environ["DOCKER_CONTEXT"] == environ["BUILDX_BUILDER"] == ""
