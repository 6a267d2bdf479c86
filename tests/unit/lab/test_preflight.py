"""What would make the lab fail later is found before anything is done, and named."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.errors import PrereqError
from hpcbake.lab.preflight import check_folders, check_kernel, check_ports, check_space, find_open_ports
from hpcbake.lab.settings import Ports
from tests.unit.lab.machines import lab_settings


@pytest.fixture
def kernel(tmp_path: Path) -> tuple[Path, Path]:
    """A /dev and a /proc/sys on which everything is allowed."""
    dev, proc_sys = tmp_path / "dev", tmp_path / "sys"
    for folder in (dev, proc_sys / "kernel", proc_sys / "user"):
        folder.mkdir(parents=True)
    (dev / "fuse").touch()
    (proc_sys / "user/max_user_namespaces").write_text("96365\n")
    return dev, proc_sys


def test_a_kernel_that_allows_everything_passes(kernel: tuple[Path, Path]) -> None:
    """Settings that this kernel does not have forbid nothing."""
    check_kernel(dev=kernel[0], proc_sys=kernel[1])


@pytest.mark.parametrize(
    ("setting", "value", "names"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1\n", "AppArmor"),
        ("user/max_user_namespaces", "0\n", "user namespaces"),
        ("kernel/unprivileged_userns_clone", "0\n", "user namespaces"),
    ],
)
def test_a_kernel_that_forbids_user_namespaces_is_named(
    kernel: tuple[Path, Path], setting: str, value: str, names: str
) -> None:
    """With the command that allows them."""
    (kernel[1] / setting).write_text(value)
    with pytest.raises(PrereqError, match=names) as caught:
        check_kernel(dev=kernel[0], proc_sys=kernel[1])
    assert "sysctl -w" in caught.value.remedy


def test_missing_fuse_is_named(kernel: tuple[Path, Path]) -> None:
    """Without it no image could be mounted."""
    (kernel[0] / "fuse").unlink()
    with pytest.raises(PrereqError, match="/dev/fuse"):
        check_kernel(dev=kernel[0], proc_sys=kernel[1])


def test_too_little_space_names_the_variable(tmp_path: Path) -> None:
    """Measured where the folder will be, also before it exists."""
    check_space(tmp_path / "not/yet/there", 1)
    with pytest.raises(PrereqError, match="GiB free") as caught:
        check_space(tmp_path / "not/yet/there", 10**18)
    assert "HPCBAKE_LAB_CACHE" in caught.value.remedy
    assert not (tmp_path / "not").exists()


def test_a_taken_port_is_named_with_its_variable() -> None:
    """The number, what it is for, and how to choose another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        ports = Ports(alder=_free_port(), bastion=_free_port(), registry=_free_port(), registry_tls=number)
        assert find_open_ports(ports) == {number}
        with pytest.raises(PrereqError, match=rf"port {number} .* registry-tls") as caught:
            check_ports(ports)
    assert "HPCBAKE_LAB_PORT_REGISTRY_TLS" in caught.value.remedy
    check_ports(ports)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way stands for every reason."""
    (tmp_path / "file").touch()
    settings = replace(lab_settings(tmp_path), cache=tmp_path / "file/cache")
    with pytest.raises(PrereqError, match="cannot be written") as caught:
        check_folders(settings)
    assert "HPCBAKE_LAB_CACHE" in caught.value.remedy


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
