"""Many sites on one login node of the lab, each with a store of its own; some of them dead in a way of its own."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

#: Each way of being dead, with the exit code and a word of the cause that names it.
DEAD: Mapping[str, tuple[int, str]] = {
    "refused": (40, "refused"),
    "silent": (40, "answer"),
    "unknown-key": (41, "host key"),
    "no-login": (41, "login"),
    "no-apptainer": (42, "apptainer"),
}
_OPTIONS = ("hostname", "port", "user", "identityfile", "userknownhostsfile", "hostkeyalias", "proxyjump")


def write_fleet(
    folder: Path, *, ssh_config: Path, registry: str, root: str, healthy: int, dead: Mapping[str, int]
) -> None:
    """Site configs and an ssh configuration in this folder. `dead` gives the port for those that need one of theirs."""
    shown = subprocess.run(
        ["ssh", "-F", str(ssh_config), "-G", "alder"], capture_output=True, text=True, check=True
    ).stdout
    options = dict(line.split(" ", 1) for line in shown.splitlines() if line.split(" ")[0] in _OPTIONS)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "stranger")], check=True)
    (folder / "nobody").write_text("")
    changes: dict[str, dict[str, str]] = {f"site{number:02d}": {} for number in range(healthy)}
    for name, port in dead.items():
        changes[name] = {
            "refused": {"hostname": "127.0.0.1", "port": str(port)},
            "silent": {"hostname": "127.0.0.1", "port": str(port)},
            "unknown-key": {"userknownhostsfile": str(folder / "nobody")},
            "no-login": {"identityfile": str(folder / "stranger")},
            "no-apptainer": {},
        }[name]
    blocks = []
    for name, change in changes.items():
        lines = "".join(f"  {key} {value}\n" for key, value in {**options, **change}.items())
        blocks.append(
            f"Host {name}\n{lines}  IdentitiesOnly yes\n  GlobalKnownHostsFile /dev/null\n"
            "  StrictHostKeyChecking yes\n  PasswordAuthentication no\n"
        )
    (folder / "ssh_config").write_text("\n".join(blocks))
    configs = folder / "site-configs"
    configs.mkdir(exist_ok=True)
    for old in configs.glob("*.yaml"):
        old.unlink()
    for name in changes:
        program = ", program: /opt/none/apptainer" if name == "no-apptainer" else ""
        # Living sites are given all the time that a loaded machine takes; a silent one is to be given up soon.
        patience = "5s" if name == "silent" else "60s"
        (configs / f"{name}.yaml").write_text(
            f"name: {name}\nlogin: {{host: {name}, ssh_config: {folder / 'ssh_config'}, connect_timeout: {patience}}}\n"
            f"store: {{root: {root}/{name}}}\n"
            f'runtime: {{plain_http: ["{registry}"]{program}}}\n'
            "slurm: {partition: debug, account: proj, time_limit: '00:05:00', queue_deadline: 10m, "
            "run_deadline: 10m, poll_interval: 0.5s}\n"
            'profile: {arch: x86_64, glibc: "2.41", apptainer: "1.4.5"}\n'
        )


@contextmanager
def dead_ports() -> Iterator[dict[str, int]]:
    """A port that nobody listens on, and one that takes every connection and never says a word."""
    with socket.socket() as closed, socket.socket() as silent:
        closed.bind(("127.0.0.1", 0))  # bound, so that nobody else takes it; not listening, so that it refuses
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(silent.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        try:
            yield {
                "refused": closed.getsockname()[1],
                "silent": silent.getsockname()[1],
                "unknown-key": 0,
                "no-login": 0,
                "no-apptainer": 0,
            }
        finally:
            for connection in taken:
                connection.close()
            silent.shutdown(socket.SHUT_RDWR)
