"""The lab's settings come from the environment, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.errors import ConfigError
from hpcbake.lab.settings import LabSettings, Owner, Ports, default_state, read_settings


def read(environ: dict[str, str], uid: int = 1000) -> LabSettings:
    return read_settings(environ, uid=uid, gid=uid)


def test_root_gets_system_folders_and_a_user_their_own() -> None:
    """Without any variable the folders follow from who asks."""
    assert (read({}, uid=0).state, read({}, uid=0).cache) == (Path("/run/hpcbake-lab"), Path("/var/cache/hpcbake-lab"))
    assert not read({"HPCBAKE_LAB_NAME": "nobodys-lab"}).state.is_relative_to("/run/nobodys-lab")


def test_the_name_sets_a_second_lab_apart() -> None:
    """Another name means other folders, so that two labs never share keys or images in the making."""
    second = read({"HPCBAKE_LAB_NAME": "second"}, uid=0)
    assert (second.state, second.cache) == (Path("/run/second"), Path("/var/cache/second"))


def test_ports_are_taken_from_their_variables() -> None:
    """Each door has its own variable; the others keep their defaults."""
    assert read({"HPCBAKE_LAB_PORT_REGISTRY_TLS": "7084"}).ports == Ports(registry_tls=7084)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HPCBAKE_LAB_NAME", "Has Spaces"),
        ("HPCBAKE_LAB_NAME", "../up"),
        ("HPCBAKE_LAB_NAME", "-option"),
        ("HPCBAKE_LAB_PORT_ALDER", "ssh"),
        ("HPCBAKE_LAB_PORT_ALDER", "0"),
        ("HPCBAKE_LAB_PORT_ALDER", "65536"),
        ("HPCBAKE_LAB_PORT_ALDER", "²²"),
        ("HPCBAKE_LAB_STATE", "relative/folder"),
        ("HPCBAKE_LAB_STATE", "/with:colon"),
        ("HPCBAKE_LAB_CACHE", "/with\nbreak"),
        ("HPCBAKE_LAB_ENGINE", "podman"),
        ("HPCBAKE_LAB_HUB", "maybe"),
        ("HPCBAKE_LAB_ENGINE_SUITE", "potato"),
    ],
)
def test_a_wrong_value_is_refused_with_its_variable(variable: str, value: str) -> None:
    """The message names the variable, the remedy says what would do."""
    with pytest.raises(ConfigError, match=variable) as caught:
        read({variable: value})
    assert caught.value.remedy


def test_an_empty_variable_is_as_good_as_none() -> None:
    """`HPCBAKE_LAB_NAME= hpcbake lab up` means the default lab."""
    assert read({"HPCBAKE_LAB_NAME": "", "HPCBAKE_LAB_PORT_ALDER": "", "HPCBAKE_LAB_ENGINE": ""}, uid=0) == read(
        {}, uid=0
    )


@pytest.mark.parametrize(
    ("uid", "environ", "owner"),
    [
        (0, {"SUDO_UID": "1001", "SUDO_GID": "1002"}, Owner(1001, 1002)),
        (0, {"SUDO_UID": "x", "SUDO_GID": "1"}, Owner(0, 0)),
        (1000, {"SUDO_UID": "1001", "SUDO_GID": "1002"}, Owner(1000, 1000)),
    ],
)
def test_keys_belong_to_the_person_behind_sudo(uid: int, environ: dict[str, str], owner: Owner) -> None:
    """Only root can have come by sudo; anybody else who sets the variables stays who they are."""
    assert read(environ, uid=uid).owner == owner


def test_a_lab_that_root_brought_up_is_found_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's default state folder is their own as long as there is no lab below /run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state("surely-not-running", is_root=False) == tmp_path / "surely-not-running"
    assert default_state("surely-not-running", is_root=True) == Path("/run/surely-not-running")
