"""What would make the lab fail later, looked at before anything is done."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import fields
from pathlib import Path

from hpcbake.errors import PrereqError
from hpcbake.lab.settings import PREFIX, LabSettings, Ports, port_variable

NEED_COLD_BYTES = 4 * 1024**3
NEED_WARM_BYTES = 512 * 1024**2


def check_space(folder: Path, need_bytes: int) -> None:
    """Raise PrereqError unless the file system below `folder` has so much room."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < need_bytes:
        raise PrereqError(
            f"{folder} has {free / 1024**3:.1f} GiB free, the lab needs {need_bytes / 1024**3:.1f} GiB there",
            remedy=f"free some space, or set {PREFIX}CACHE to a folder on a larger disk",
            kind="config.prerequisite.space",
        )


def check_ports(ports: Ports) -> None:
    """Raise PrereqError naming the first port of the lab that somebody else listens on."""
    for field in fields(ports):
        number = getattr(ports, field.name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as cause:
                door = field.name.replace("_", "-")
                raise PrereqError(
                    f"port {number} on 127.0.0.1, wanted for {door}, is taken: {cause.strerror}",
                    remedy=f"stop what listens there (`ss -ltnp 'sport = :{number}'`), or set "
                    f"{port_variable(field.name)} to a free port",
                    kind="config.prerequisite.port",
                ) from cause


def find_open_ports(ports: Ports) -> set[int]:
    """The lab's ports that somebody answers on."""
    found = set()
    for number in ports.numbers():
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex(("127.0.0.1", number)) == 0:
                found.add(number)
    return found


def check_kernel(*, dev: Path = Path("/dev"), proc_sys: Path = Path("/proc/sys")) -> None:
    """Raise PrereqError when unprivileged containers cannot run inside this kernel's containers."""
    if not (dev / "fuse").exists():
        raise PrereqError(
            "/dev/fuse is missing: apptainer could not mount images on the lab's sites",
            remedy="run `modprobe fuse` as root, or give this container or virtual machine the device",
            kind="config.prerequisite.kernel",
        )
    restricted = proc_sys / "kernel/apparmor_restrict_unprivileged_userns"
    if _reads(restricted) == "1":
        raise PrereqError(
            "AppArmor forbids unprivileged user namespaces on this machine: apptainer could not run in the lab",
            remedy="run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (until the next boot)",
            kind="config.prerequisite.kernel",
        )
    if (
        _reads(proc_sys / "user/max_user_namespaces") == "0"
        or _reads(proc_sys / "kernel/unprivileged_userns_clone") == "0"
    ):
        raise PrereqError(
            "unprivileged user namespaces are switched off on this machine: apptainer could not run in the lab",
            remedy="run `sudo sysctl -w user.max_user_namespaces=15000` (and kernel.unprivileged_userns_clone=1, "
            "where that exists)",
            kind="config.prerequisite.kernel",
        )


def check_folders(settings: LabSettings) -> None:
    """Raise PrereqError unless the state and cache folders can be made and written."""
    for folder, key in ((settings.state, "STATE"), (settings.cache, "CACHE")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_writable = os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            is_writable = False
        if not is_writable:
            raise PrereqError(
                f"the lab's folder {folder} cannot be written",
                remedy=f"run this as the user who brought the lab up, or set {PREFIX}{key} to another folder",
                kind="config.prerequisite.folder",
            )


def _reads(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
