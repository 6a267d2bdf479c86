"""Keeps buildx builders: lists them, makes them of a local and remote nodes, asks what is at the other end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcbake.adapters.buildx_inspect import parse_inspect
from hpcbake.adapters.processes import run_program
from hpcbake.errors import HpcbakeError, PrereqError
from hpcbake.model.builders import BuilderInfo
from hpcbake.model.ports import Outcome

_ASK_S = 60.0
#: A node that starts for the first time pulls BuildKit.
_START_S = 600.0

#: pattern in the words of docker and ssh → what it means for a node, and what to do. First match wins; {} is the node.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (r"'buildx' is not a docker command|unknown command: docker buildx", "docker has no buildx plugin here",
     "install docker-buildx 0.13 or newer"),
    (r"(?s)booting buildkit.*failed to (?:resolve|do request|pull)|pulling image.*ERROR",
     "{} cannot start: its engine does not get BuildKit's image",
     "give that machine a way to docker.io, or name a copy: --driver-opt image=REGISTRY/moby/buildkit:buildx-stable-1"),
    (r"IDENTIFICATION HAS CHANGED", "{} shows another host key than the one in your known_hosts",
     "ask who runs that machine; if the change is right, remove the old line: ssh-keygen -R HOST"),
    (r"Host key verification failed", "the host key of {} is not in your known_hosts",
     "compare its fingerprint with what its administrator says, then log in once by hand: ssh USER@HOST"),
    (r"Permission denied \((?:publickey|password|keyboard|gssapi)|Permission denied, please|Too many authentication",
     "{} refuses the login", "load the right key into your ssh agent (ssh-add); ssh USER@HOST must work unasked"),
    (r"Could not resolve hostname|Name or service not known", "nobody knows a machine of the name of {}",
     "check the name; names of ~/.ssh/config count"),
    (r"[Cc]onnection refused|[Cc]onnection timed out|No route to host|Operation timed out|Network is unreachable",
     "{} does not answer", "check name and port, VPN and firewall; names of ~/.ssh/config count"),
    (r"permission denied while trying to connect to the [Dd]ocker|docker\.sock: connect: permission denied",
     "at {} this user may not use Docker's socket", "there: sudo usermod -aG docker USER, then log in anew"),
    (r"docker: (?:command )?not found|command not found: docker|docker\S*: No such file or directory|"
     r"docker: executable file not found|exited with exit status 127",
     "at {} there is no docker on PATH of a login without a terminal", "install Docker there, 18.09 or newer"),
    (r"Cannot connect to the Docker daemon|[Ii]s the docker daemon running", "at {} the Docker daemon does not run",
     "start it there: sudo systemctl start docker"),
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """The engine behind an endpoint. `platform` is its own: `linux/amd64`."""

    platform: str
    version: str


class BuilderShelf:
    """The builders of this user, as `docker buildx` keeps them."""

    def __init__(self, environment: Mapping[str, str], *, folder: Path) -> None:
        # Nobody can be asked here: ssh is to fail instead of putting up a window.
        self._environment = {**environment, "DOCKER_CLI_HINTS": "false", "SSH_ASKPASS_REQUIRE": "never"}
        self._folder = folder

    def names(self) -> list[str]:
        """Every builder, in the order of `docker buildx ls`."""
        outcome = self._docker(["buildx", "ls"])
        if not outcome.ok:
            raise _failure("the list of builders", outcome)
        lines = outcome.stdout.splitlines()[1:]
        return [line.split()[0].rstrip("*") for line in lines if line and not line[0].isspace()]

    def find(self, name: str) -> BuilderInfo | None:
        """A builder, or None where there is none of this name."""
        outcome = self._docker(["buildx", "inspect", name])
        if outcome.ok:
            return parse_inspect(outcome.stdout)
        if re.search(r"no builder .* found", outcome.stderr):
            return None
        raise _failure(f"builder {name}", outcome)

    def machine(self, endpoint: str) -> Machine:
        """What answers at an endpoint; empty: this machine. Raises PrereqError saying why nothing does."""
        host = ["-H", endpoint] if "://" in endpoint else []
        words = [*host, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}} {{.Server.Version}}"]
        outcome = self._docker(words)
        platform, _, version = outcome.stdout.strip().partition(" ")
        if not outcome.ok or "/" not in platform:
            raise _failure(endpoint or "this machine", outcome)
        return Machine(platform, version)

    def add_node(
        self,
        name: str,
        node: str,
        endpoint: str,
        *,
        platform: str = "",
        is_first: bool,
        options: Sequence[str] = (),
    ) -> None:
        """Make the builder of this first node, or give it one more. Raises PrereqError in docker's words."""
        words = create_argv(name, node, endpoint, platform=platform, is_first=is_first, options=options)
        outcome = self._docker(words)
        if not outcome.ok:
            raise _failure(endpoint or "this machine", outcome)

    def start(self, name: str) -> BuilderInfo:
        """Start every node, and look. Raises PrereqError where one does not start."""
        outcome = self._docker(["buildx", "inspect", "--bootstrap", name], timeout_s=_START_S)
        info = parse_inspect(outcome.stdout)
        ill = next((node for node in info.nodes if node.error), None)
        if not outcome.ok or ill is not None:
            said = Outcome(1, stderr=f"{outcome.stderr}\n{ill.error if ill else ''}".strip())
            raise _failure(f"builder {name}" if ill is None else f"node {ill.name}", said)
        return info

    def remove(self, name: str) -> str:
        """The whole builder, with what it runs at its nodes; why something stays there, or nothing."""
        outcome = self._docker(["buildx", "rm", name], timeout_s=_START_S)
        if outcome.ok:
            return ""
        failure = _failure("a node", outcome)
        if self.find(name) is not None:
            raise failure
        # buildx forgets a builder also where a node of it does not answer.
        return failure.message

    def leave(self, name: str, node: str) -> None:
        """One node of it."""
        outcome = self._docker(["buildx", "create", "--name", name, "--leave", "--node", node])
        if not outcome.ok:
            raise _failure(f"node {node}", outcome)

    def _docker(self, words: Sequence[str], *, timeout_s: float = _ASK_S) -> Outcome:
        return run_program(
            ["docker", *words],
            timeout_s=timeout_s,
            environment=self._environment,
            folder=self._folder,
            missing_remedy="install Docker with buildx",
        )


def create_argv(
    name: str, node: str, endpoint: str, *, platform: str, is_first: bool, options: Sequence[str] = ()
) -> list[str]:
    """The words after `docker` that make or extend a builder. Pure."""
    return [
        *("buildx", "create", "--name", name, "--node", node),
        *(("--driver", "docker-container") if is_first else ("--append",)),
        *(("--platform", platform) if platform else ()),
        *(word for option in options for word in ("--driver-opt", option)),
        *((endpoint,) if endpoint else ()),
    ]


def _failure(what: str, outcome: Outcome) -> HpcbakeError:
    """What docker and ssh said, in one line that names the cause where it is known."""
    said = outcome.stderr or outcome.stdout
    message, remedy = f"{what}: docker ended with {outcome.exit_code}", "its own words are above"
    if outcome.exit_code == 124:
        message, remedy = f"{what} gave no answer in time", "check the machine and the way to it"
    for pattern, meaning, advice in _CAUSES:
        if re.search(pattern, said):
            message, remedy = meaning.format(what), advice
            break
    return PrereqError(message, remedy=remedy, kind="config.builder-node", evidence={"output": outcome.tail(8)})
