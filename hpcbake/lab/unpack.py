"""The private engine's programs: fetched as Debian packages by an apt of their own, and unpacked, not installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from hpcbake.lab.machine import Machine, require
from hpcbake.lab.mirror import Mirror
from hpcbake.lab.settings import PREFIX, LabSettings

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd")
#: the package that has tini-static, by release
_TINI = {"sid": "tini-static"}


def unpack_engine(machine: Machine, settings: LabSettings, mirror: Mirror, target: Path) -> None:
    """Make `target` hold the engine's programs. The folder appears whole or not at all."""
    work = settings.cache / f".unpacking-{settings.engine_suite}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        debs = _download_packages(machine, work / "apt", settings.engine_suite, mirror)
        root = work / "root"
        root.mkdir()
        for deb in debs:
            unpacked = machine.run(["dpkg", "-x", str(deb), str(root)], timeout_s=120)
            require(unpacked, f"unpacking {deb.name}", remedy="is the disk full? free space and run it again")
        root.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download_packages(machine: Machine, folder: Path, suite: str, mirror: Mirror) -> list[Path]:
    """Fetch the engine's packages with an apt of their own, which neither reads nor changes the system's lists."""
    for part in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg", "debs"):
        (folder / part).mkdir(parents=True)
    (folder / "var/cache/apt/archives/partial").mkdir(parents=True)
    (folder / "var/lib/dpkg/status").touch()
    (folder / "etc/apt/sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirror.uri} {suite} main\n")
    for file in Path("/etc/apt/apt.conf.d").glob("*"):  # proxies and timeouts that this machine needs
        if "Invoke" not in (text := file.read_text(errors="replace")):
            (folder / "etc/apt/apt.conf.d" / file.name).write_text(text)
    settings = {
        "Dir": folder,
        "Dir::State::status": folder / "var/lib/dpkg/status",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": 3,
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-q", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
    remedy = f"is {mirror.uri} reachable? set {PREFIX}MIRROR to a Debian archive that is"
    require(machine.run([*apt, "update"], timeout_s=300), f"reading the package lists of Debian {suite}", remedy=remedy)
    names = [*_PACKAGES, _TINI.get(suite, "tini")]
    download = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(folder / "debs"), *apt, "download", *names]
    require(machine.run(download, timeout_s=900), f"downloading the engine from Debian {suite}", remedy=remedy)
    return sorted((folder / "debs").glob("*.deb"))
