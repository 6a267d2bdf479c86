"""The lab's compose file and the variables that it is filled with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcbake.datafiles import data_folder
from hpcbake.lab.bases import NEW_SUITE, OldBase
from hpcbake.lab.engine import Engine
from hpcbake.lab.machine import Machine
from hpcbake.lab.mirror import Mirror
from hpcbake.lab.settings import PREFIX, LabSettings
from hpcbake.model.ports import Outcome

#: service → does it run sshd
NODES = {
    "alder": True,
    "bastion": True,
    "birch": True,
    "birch-c1": False,
    "registry": False,
    "registry-tls": False,
}
#: machines that can say by `lab-health` whether all their daemons run; a registry is its one process
CHECKED_NODES = ("alder", "bastion", "birch", "birch-c1")
NODE_IMAGES = ("infra", "alder", "birch")
BASE_IMAGES = ("standin", "standin-minimal", "newer")
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass(frozen=True)
class Compose:
    """`docker compose` for one lab."""

    machine: Machine
    engine: Engine
    variables: Mapping[str, str]

    def run(self, words: Sequence[str], *, timeout_s: float, log: Path | None = None) -> Outcome:
        file = str(data_folder("lab") / "compose.yaml")
        environ = {**self.engine.environ(), **self.variables}
        return self.machine.run(
            [self.engine.docker, "compose", "--file", file, *words], timeout_s=timeout_s, environ=environ, log=log
        )

    def bake(self, words: Sequence[str], *, timeout_s: float, log: Path) -> Outcome:
        """`docker buildx bake` on the compose file: it shares stages between images, and says how to pack them."""
        file = str(data_folder("lab") / "compose.yaml")
        argv = [self.engine.docker, "buildx", "bake", "--progress", "plain", "--file", file, *words]
        environ = {**self.engine.environ(), **self.variables}
        return self.machine.run(argv, timeout_s=timeout_s, environ=environ, log=log)

    def docker(self, words: Sequence[str], *, timeout_s: float = 60) -> Outcome:
        return self.machine.run([self.engine.docker, *words], timeout_s=timeout_s, environ=self.engine.environ())

    def containers(self) -> dict[str, Container]:
        """The lab's containers by service; empty when the engine does not answer."""
        outcome = self.run(["ps", "--all", "--format", "json"], timeout_s=30)
        return {container.service: container for container in parse_containers(outcome.stdout)} if outcome.ok else {}

    def image(self, name: str) -> str:
        return f"hpcbake-lab/{name}:{self.variables[f'{PREFIX}RECIPE']}"


@dataclass(frozen=True)
class Container:
    """One machine of the lab: `state` as Docker says it (`running`, `exited`), `health` likewise or empty."""

    service: str
    name: str
    state: str
    health: str

    @property
    def is_healthy(self) -> bool:
        return self.state == "running" and self.health == "healthy"


def parse_containers(text: str) -> list[Container]:
    """The containers in `docker compose ps --format json`: one object per line, or one array in some releases."""
    text = text.strip()
    if text.startswith("["):
        entries = json.loads(text)
    else:
        entries = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [
        Container(entry["Service"], entry["Name"], entry.get("State", ""), entry.get("Health", "")) for entry in entries
    ]


def compose_variables(settings: LabSettings, mirror: Mirror, old: OldBase, *, recipe: str, keys: str) -> dict[str, str]:
    """Every variable of compose.yaml."""
    is_https = any(uri.startswith("https:") for uri in (mirror.uri, old.archive))
    bundle = next((path for path in _CA_BUNDLES if is_https and Path(path).exists()), "/dev/null")
    return {
        f"{PREFIX}NAME": settings.name,
        f"{PREFIX}STATE": str(settings.state),
        f"{PREFIX}RECIPE": recipe,
        f"{PREFIX}KEYS": keys,
        f"{PREFIX}SUITE_NEW": NEW_SUITE,
        f"{PREFIX}SUITE_OLD": old.release.suite,
        f"{PREFIX}OLD_RELEASE": old.release.number,
        f"{PREFIX}OLD_GLIBC": old.release.glibc,
        f"{PREFIX}MIRROR": mirror.uri,
        f"{PREFIX}MIRROR_OLD": old.archive,
        f"{PREFIX}PROXY": mirror.proxy,
        f"{PREFIX}CA_BUNDLE": bundle,
        **settings.ports.variables(),
        # attestations carry the time: without them an unchanged image keeps its digest, and its containers
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        # newer buildx asks before it reads beyond the current folder, and the lab's files lie where hpcbake does
        "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        "COMPOSE_ANSI": "never",
    }
