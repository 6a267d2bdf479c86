"""What the user may choose about the lab: names, ports, folders and engine, from HPCBAKE_LAB_… variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from platformdirs import user_cache_path, user_state_path

from hpcbake.errors import ConfigError

DEFAULT_NAME = "hpcbake-lab"
PREFIX = "HPCBAKE_LAB_"


@dataclass(frozen=True)
class Ports:
    """The lab's doors, all on 127.0.0.1 of the user's machine."""

    alder: int = 2201
    bastion: int = 2202
    registry: int = 5083
    registry_tls: int = 5084

    def variables(self) -> dict[str, str]:
        """The environment variable of every port, with its value."""
        return {port_variable(field.name): str(getattr(self, field.name)) for field in fields(self)}

    def numbers(self) -> tuple[int, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Owner:
    """Whom the generated keys belong to: the person at the keyboard, also behind sudo."""

    uid: int
    gid: int


@dataclass(frozen=True)
class LabSettings:
    """One lab. `state` holds keys and configuration while it is up, `cache` what makes the next start quick."""

    name: str
    state: Path
    cache: Path
    ports: Ports
    owner: Owner
    is_root: bool
    #: `auto`, `own` (the user's Docker) or `private` (unpacked and started by the lab)
    engine: str = "auto"
    #: the Debian release whose packages make the private engine
    engine_suite: str = "trixie"
    #: may base images be pulled from Docker Hub: `auto` asks it, `yes` and `no` do not
    hub: str = "auto"
    #: Debian archive; empty means the one of the machine's own apt sources
    mirror: str = ""
    #: name server for containers; empty means the machine's own
    dns: str = ""


def port_variable(port: str) -> str:
    return f"{PREFIX}PORT_{port.upper()}"


def read_settings(environ: Mapping[str, str], *, uid: int, gid: int) -> LabSettings:
    """The settings that the environment asks for. Raises ConfigError naming the variable that is wrong."""
    name = environ.get(f"{PREFIX}NAME") or DEFAULT_NAME
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", name):
        raise ConfigError(
            f"{PREFIX}NAME={name!r} is not a name for a lab",
            remedy="use lower-case letters, digits, - and _, at most 41 of them",
        )
    is_root = uid == 0
    return LabSettings(
        name=name,
        state=_folder(environ, "STATE", default_state(name, is_root=is_root)),
        cache=_folder(environ, "CACHE", Path("/var/cache") / name if is_root else user_cache_path(name)),
        ports=Ports(**{field.name: _port(environ, field.name, int(str(field.default))) for field in fields(Ports)}),
        owner=_owner(environ, uid=uid, gid=gid),
        is_root=is_root,
        engine=_choice(environ, "ENGINE", ("auto", "own", "private")),
        engine_suite=_choice(environ, "ENGINE_SUITE", ("trixie", "sid")),
        hub=_choice(environ, "HUB", ("auto", "yes", "no")),
        mirror=environ.get(f"{PREFIX}MIRROR", "").rstrip("/"),
        dns=environ.get(f"{PREFIX}DNS", ""),
    )


def default_state(name: str, *, is_root: bool) -> Path:
    """Where a lab's state lies unless told otherwise. A lab that root brought up is found by everybody."""
    shared = Path("/run") / name
    return shared if is_root or (shared / "lab.json").exists() else user_state_path(name)


def _folder(environ: Mapping[str, str], key: str, default: Path) -> Path:
    text = environ.get(PREFIX + key)
    path = Path(text) if text else default
    if not path.is_absolute() or any(bad in str(path) for bad in "\n:\"'"):
        raise ConfigError(
            f"{PREFIX}{key}={text!r} cannot be used as a folder of the lab",
            remedy="give an absolute path without quotes, colons and line breaks",
        )
    return path


def _port(environ: Mapping[str, str], port: str, default: int) -> int:
    text = environ.get(port_variable(port)) or str(default)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{port_variable(port)}={text!r} is not a port", remedy="give a number from 1 to 65535")
    return int(text)


def _choice(environ: Mapping[str, str], key: str, choices: tuple[str, ...]) -> str:
    text = environ.get(PREFIX + key) or choices[0]
    if text not in choices:
        raise ConfigError(f"{PREFIX}{key}={text!r} is unknown", remedy=f"use one of: {', '.join(choices)}")
    return text


def _owner(environ: Mapping[str, str], *, uid: int, gid: int) -> Owner:
    sudo_uid, sudo_gid = environ.get("SUDO_UID", ""), environ.get("SUDO_GID", "")
    if uid == 0 and sudo_uid.isdigit() and sudo_gid.isdigit():
        return Owner(int(sudo_uid), int(sudo_gid))
    return Owner(uid, gid)
