"""Which Docker engine the lab runs on: the user's own when it can do everything, else a private one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hpcbake.errors import PrereqError
from hpcbake.lab.machine import Machine
from hpcbake.lab.settings import PREFIX

#: health checks with a start interval need this one
MIN_ENGINE = 25
MIN_COMPOSE = (2, 24)


@dataclass(frozen=True)
class Engine:
    """A running Docker engine and the client that speaks to it. `config` is the client's folder, never ~/.docker."""

    kind: str
    docker: str
    host: str
    config: Path
    version: str = ""
    reason: str = ""

    def environ(self) -> dict[str, str]:
        """What a docker client needs to reach this engine and no other."""
        return {
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(self.config),
            # A context or builder chosen in the user's shell is not for the lab.
            "DOCKER_CONTEXT": "",
            "BUILDX_BUILDER": "",
            "BUILDX_CONFIG": str(self.config / "buildx"),
        }


@dataclass(frozen=True)
class DockerFacts:
    """What `docker info` says about an engine, reduced to what decides."""

    version: str
    has_containerd_store: bool
    is_linux: bool

    @property
    def major(self) -> int:
        match = re.match(r"\d+", self.version)
        return int(match[0]) if match else 0


@dataclass(frozen=True)
class OwnDocker:
    """The Docker that the user has: the engine if it can carry the lab, else why not."""

    engine: Engine | None
    why: str


def parse_docker_info(text: str) -> DockerFacts | None:
    """The facts in `docker info --format '{{json .}}'`; None when no server answered."""
    try:
        info = json.loads(text)
    except ValueError:
        return None
    if not isinstance(info, dict) or not info.get("ServerVersion"):
        return None
    driver = json.dumps(info.get("DriverStatus") or [])
    return DockerFacts(
        version=str(info["ServerVersion"]),
        has_containerd_store="io.containerd.snapshotter.v1" in driver,
        is_linux=info.get("OSType", "linux") == "linux",
    )


def find_fault(facts: DockerFacts, host: str) -> str:
    """Why an engine cannot carry the lab; empty when it can."""
    if not facts.is_linux:
        return "it runs containers of another operating system"
    if facts.major < MIN_ENGINE:
        return f"it is version {facts.version}, the lab needs {MIN_ENGINE} or newer"
    if not facts.has_containerd_store:
        return "it lacks the containerd image store, without which bake can neither export caches nor write OCI images"
    if not host.startswith("unix://"):
        return f"it is another machine ({host.partition(':')[0]}://…), where localhost is not this one"
    return ""


def inspect_own_docker(machine: Machine, config: Path, environ: Mapping[str, str]) -> OwnDocker:
    """Look at the Docker on PATH, without changing anything; the client's configuration will be `config`."""
    docker = machine.find_program("docker")
    if docker is None:
        return OwnDocker(None, "there is no docker on PATH")
    info = machine.run([docker, "info", "--format", "{{json .}}"], timeout_s=15)
    facts = parse_docker_info(info.stdout)
    if facts is None:
        return OwnDocker(None, f"{docker} has no server that answers")
    host = environ.get("DOCKER_HOST") or _context_host(machine, docker)
    if _is_a_labs_engine(host):
        return OwnDocker(None, f"DOCKER_HOST={host} is the private engine of another lab")
    fault = find_fault(facts, host) or _find_plugin_fault(machine, docker)
    if fault:
        return OwnDocker(None, f"your Docker {facts.version} cannot carry the lab: {fault}")
    engine = Engine(
        kind="own",
        docker=docker,
        host=host,
        config=config,
        version=facts.version,
        reason="it answers, is new enough and has the containerd image store",
    )
    return OwnDocker(engine, engine.reason)


def write_client_config(engine: Engine, plugin_folders: list[Path]) -> None:
    """Give the client a folder of its own, so that logins and settings of the lab stay in the lab."""
    engine.config.mkdir(parents=True, exist_ok=True)
    path = engine.config / "config.json"
    if not path.exists():
        present = [str(folder) for folder in plugin_folders if folder.is_dir()]
        path.write_text(json.dumps({"cliPluginsExtraDirs": present}, indent=2) + "\n")


def find_plugin_folders(environ: Mapping[str, str]) -> list[Path]:
    """Where the user's docker client looks for compose and buildx beyond the system's folders."""
    config = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/nonexistent")) / ".docker")
    try:
        extra = json.loads((config / "config.json").read_text()).get("cliPluginsExtraDirs") or []
    except (OSError, ValueError, AttributeError):
        extra = []
    return [config / "cli-plugins", *(Path(str(folder)) for folder in extra)]


def no_engine_error(own: OwnDocker) -> PrereqError:
    """What to say to somebody who is not root and has no Docker that serves."""
    return PrereqError(
        f"the lab needs a Docker engine, and {own.why}",
        remedy="run `sudo hpcbake lab up`, which starts a private engine without installing Docker; or use Docker "
        f"{MIN_ENGINE} or newer with the containerd image store "
        '({"features": {"containerd-snapshotter": true}} in daemon.json) and rights on its socket',
        kind="config.prerequisite.engine",
    )


def own_engine_unfit_error(own: OwnDocker) -> PrereqError:
    """What to say when the user asked for their own Docker and it does not serve."""
    return PrereqError(
        f"{PREFIX}ENGINE=own, but {own.why}",
        remedy=f"mend that, or leave {PREFIX}ENGINE unset and run as root to get a private engine",
        kind="config.prerequisite.engine",
    )


def _is_a_labs_engine(host: str) -> bool:
    """In a shell that has read another lab's lab.env, docker is that lab's: its ports lie in a network of its own."""
    return (Path(host.removeprefix("unix://")).parent / "engine.json").exists()


def _context_host(machine: Machine, docker: str) -> str:
    asked = machine.run([docker, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], timeout_s=10)
    return asked.stdout.strip() or "unix:///var/run/docker.sock"


def _find_plugin_fault(machine: Machine, docker: str) -> str:
    compose = machine.run([docker, "compose", "version", "--short"], timeout_s=15)
    numbers = tuple(int(number) for number in re.findall(r"\d+", compose.stdout)[:2])
    if not compose.ok or numbers < MIN_COMPOSE:
        wanted = ".".join(str(number) for number in MIN_COMPOSE)
        return f"the compose plugin is missing or older than {wanted}"
    if not machine.run([docker, "buildx", "version"], timeout_s=15).ok:
        return "the buildx plugin is missing"
    return ""
