"""Real SSH servers on the loopback address, each with keys, log and configuration of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def require_sshd() -> str:
    """The server's path; a machine without one skips, and on CI that is a failure: nothing was tested."""
    if SSHD is None:
        reason = "there is no sshd: install openssh-server"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return SSHD


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """A key pair without a passphrase."""
    size = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def public_key(path: Path) -> str:
    """`type base64` of a key pair."""
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


def fingerprint_of(path: Path) -> str:
    """As ssh-keygen prints it."""
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True)
    return shown.stdout.split()[1]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Sshd:
    """One server, for the user who runs the tests. `lines` are added to its sshd_config."""

    folder: Path
    user_key: Path
    lines: Sequence[str] = ()
    key_kind: str = "ed25519"
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.host_key = make_key(self.folder / "host_key", self.key_kind)
        (self.folder / "authorized_keys").write_text(public_key(self.user_key) + "\n")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """As known_hosts lists it."""
        return f"[127.0.0.1]:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it and wait until it listens."""
        config = self.folder / "sshd_config"
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"PidFile {self.folder}/pid",
            *("StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no"),
            *("PermitRootLogin yes", "LogLevel DEBUG1", "MaxStartups 100"),
            f"SetEnv HOME={self.folder}",  # a home of its own: the user's start-up files are not what is tested
            *self.lines,
        ]
        config.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd itself insists on it
        argv = [require_sshd(), "-D", "-f", str(config), "-E", str(self.folder / "log")]
        self.process = subprocess.Popen(argv, start_new_session=True)
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"sshd does not listen: {self.log}")

    def stop(self) -> None:
        """End it and every connection."""
        if self.process is not None:
            self.break_connections()
            self.process.kill()
            self.process.wait()
            self.process = None

    def break_connections(self) -> None:
        """Kill whatever serves a connection: the server's side first, or a script whose command died could answer."""
        for pid in reversed(self.sessions()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def sessions(self) -> list[int]:
        """The processes below the server, children first."""
        assert self.process is not None
        found, todo = [], [self.process.pid]
        while todo:
            parent = todo.pop()
            listed = subprocess.run(["pgrep", "-P", str(parent)], check=False, capture_output=True, text=True)
            children = [int(pid) for pid in listed.stdout.split()]
            found += children
            todo += children
        return found[::-1]

    def logins(self) -> int:
        """How many logins it has accepted."""
        return self.log.count("Accepted publickey")

    def requests(self) -> int:
        """How often somebody asked to log in, in vain or not."""
        return self.log.count("userauth-request for user")
