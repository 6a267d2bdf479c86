"""The few Debian packages that a private engine and bootstrapped base images need on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hpcbake.errors import PrereqError
from hpcbake.lab.machine import Machine, require
from hpcbake.lab.progress import Progress
from hpcbake.lab.settings import LabSettings

#: What must be there, by the program or file that shows it, and the package that brings it.
Needs = Mapping[str, str]
_KEYRING = {"/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring"}
CLIENT_NEEDS: Needs = {"ssh": "openssh-client"}
BOOTSTRAP_NEEDS: Needs = {"mmdebstrap": "mmdebstrap", **_KEYRING}
#: mmdebstrap without root maps user ids
USER_BOOTSTRAP_NEEDS: Needs = {**BOOTSTRAP_NEEDS, "newuidmap": "uidmap"}
ENGINE_NEEDS: Needs = {
    **CLIENT_NEEDS,
    **_KEYRING,
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
}


def ensure_packages(machine: Machine, progress: Progress, settings: LabSettings, needs: Needs) -> None:
    """Install what is missing, as root on a machine with apt; say what. Raises PrereqError when it cannot."""
    missing = sorted({package for proof, package in needs.items() if not _is_there(machine, proof)})
    if not missing:
        return
    if machine.find_program("apt-get") is None or not settings.is_root:
        raise PrereqError(
            f"the lab needs programs that this machine lacks: {', '.join(missing)} (Debian's package names)",
            remedy=f"install them: `sudo apt-get install {' '.join(missing)}` on Debian and Ubuntu",
        )
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    remedy = f"see {settings.state}/packages.log; `apt-get install {' '.join(missing)}` by hand shows the same"
    with progress.step(f"installing {' '.join(missing)} with apt (they stay after `lab down`)"):
        # A stale third-party source may fail here while Debian's own lists are fine: the installation decides.
        machine.run([*apt, "update"], timeout_s=300, environ=quiet, log=settings.state / "packages-update.log")
        install = [*apt, "install", "-y", "--no-install-recommends", *missing]
        installed = machine.run(install, timeout_s=900, environ=quiet, log=settings.state / "packages.log")
        require(installed, f"installing {', '.join(missing)}", remedy=remedy)


def _is_there(machine: Machine, proof: str) -> bool:
    return Path(proof).exists() if proof.startswith("/") else machine.find_program(proof) is not None
