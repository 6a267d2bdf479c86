"""Facts about who builds: docker, buildx, the builder, and whether it builds for the cluster's processors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hpcbake.doctor.ports import Machine, try_program
from hpcbake.errors import ExitCode
from hpcbake.model.ports import Outcome
from hpcbake.sites.examine import Line, fail, ok, warn
from hpcbake.sites.facts import version_in

_GIB = 1 << 30
_ENOUGH_BYTES = 10 * _GIB
#: `bake` with everything that hpcbake hands it: contexts, attestations, metadata of several targets.
_OLDEST_BUILDX = (0, 10)
_WANTED = "linux/amd64"


def judge_docker(machine: Machine, builder: str = "") -> Iterator[Line]:
    """docker, then what needs it. `builder` is the one that builds; empty: the one that buildx takes."""
    said = try_program(machine, "docker", ["docker", "version", "--format", "{{json .}}"])
    if isinstance(said, Line):
        yield said
        return
    server = _json(said.stdout).get("Server") or {}
    if not said.ok or not server:
        yield _no_daemon(said)
        return
    yield ok("docker", f"{server.get('Version', '?')} for {server.get('Os', '?')}/{server.get('Arch', '?')}")
    yield from _disk(machine)
    buildx = try_program(machine, "buildx", ["docker", "buildx", "version"])
    if isinstance(buildx, Line):
        yield buildx
        return
    yield _buildx(buildx)
    if buildx.ok:
        inspected = try_program(machine, "builder", ["docker", "buildx", "inspect", *([builder] if builder else [])])
        yield from [inspected] if isinstance(inspected, Line) else _builder(inspected, str(server.get("Arch", "")))


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _no_daemon(said: Outcome) -> Line:
    text = said.tail(1) or "no daemon answers"
    if "permission denied" in text.lower():
        fix = "ask to be added to the group docker (sudo usermod -aG docker $USER), then log in again"
    elif "context" in text.lower():
        fix = "choose a context that exists: docker context ls, docker context use NAME"
    else:
        fix = "start it (systemctl start docker, or Docker Desktop), or set DOCKER_HOST to one that runs"
    return fail("docker", text, fix, ExitCode.PREREQ)


def _disk(machine: Machine) -> Iterator[Line]:
    """Where images and caches lie, if that is on this very machine."""
    said = try_program(machine, "docker-disk", ["docker", "info", "--format", "{{json .DockerRootDir}}"])
    host = machine.environment.get("DOCKER_HOST", "")
    if isinstance(said, Line) or not said.ok or (host and not host.startswith("unix://")):
        return
    root = said.stdout.strip().strip('"')
    room = machine.room(root)
    if room.path != root:  # a daemon in a virtual machine: its disk is not ours to see
        return
    text = f"{root}, {room.filesystem}, {room.free_bytes / _GIB:.1f} GiB free"
    if room.free_bytes < _ENOUGH_BYTES:
        yield warn("docker-disk", text, "make room: docker builder prune, docker image prune")
    else:
        yield ok("docker-disk", text)


def _buildx(said: Outcome) -> Line:
    if not said.ok:
        return fail("buildx", said.tail(1) or "docker has no buildx", "install docker-buildx-plugin", ExitCode.PREREQ)
    version = version_in(said.stdout.split("+")[0].split("-")[0])
    text = said.stdout.strip()
    if version is not None and version.parts[:2] < _OLDEST_BUILDX:
        return fail("buildx", text, "install docker-buildx-plugin 0.10 or newer", ExitCode.PREREQ)
    return ok("buildx", text)


def _builder(said: Outcome, arch: str) -> Iterator[Line]:
    if not said.ok:
        yield fail("builder", said.tail(1), "choose one: docker buildx ls, docker buildx use NAME", ExitCode.PREREQ)
        return
    values = dict(re.findall(r"^ *(Name|Driver|Status|Error|Endpoint): +(.*)$", said.stdout, re.MULTILINE)[::-1])
    name, driver = values.get("Name", "?"), values.get("Driver", "?")
    if "Error" in values:
        yield fail(
            "builder", f"{name}: {values['Error']}", f"docker buildx inspect --bootstrap {name}", ExitCode.PREREQ
        )
    else:
        yield ok("builder", f"{name}, driver {driver}, {values.get('Status', 'not started')}")
    listed = re.findall(r"^ *Platforms: +(.*)$", said.stdout, re.MULTILINE)
    platforms = {word.strip().rstrip("*") for line in listed for word in line.split(",")}
    native = arch in ("amd64", "x86_64")
    if not platforms:
        yield ok("platforms", f"not told before the first build; this docker is {arch}")
    elif not any(platform == _WANTED or platform.startswith(f"{_WANTED}/") for platform in platforms):
        fix = "add an x86-64 machine: hpcbake builder add ssh://you@machine"
        yield fail("platforms", f"cannot build for {_WANTED}: {', '.join(sorted(platforms))}", fix, ExitCode.PREREQ)
    elif not native and driver in ("docker", "docker-container") and len(listed) == 1:
        fix = "add an x86-64 machine: hpcbake builder add ssh://you@machine"
        yield warn("platforms", f"{_WANTED} is emulated on {arch}: slow, and some compilers crash", fix)
    else:
        yield ok("platforms", f"{_WANTED}{', native' if native else ''}")
