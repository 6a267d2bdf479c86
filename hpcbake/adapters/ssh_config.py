"""What OpenSSH itself would do for a host, asked of `ssh -G`.

paramiko ignores Include, Match and the known_hosts settings; ssh knows its own configuration best.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hpcbake.adapters.processes import run_program
from hpcbake.errors import ConfigError
from hpcbake.model.site import Login


@dataclass(frozen=True)
class Hop:
    """One SSH connection on the way: the last is the login node, those before it are jump hosts."""

    alias: str
    hostname: str
    port: int
    user: str
    identity_files: tuple[str, ...]
    identities_only: bool
    host_key_name: str  # the name under which known_hosts files list it
    known_hosts_files: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"{self.hostname}:{self.port}"


def resolve_hops(login: Login) -> list[Hop]:
    """All hops to the login node in the order they are opened. Raises ConfigError, PrereqError."""
    settings = _ask_ssh(login, login.host, login.user, login.port)
    jumps = [jump for jump in settings.get("proxyjump", [""])[0].split(",") if jump and jump != "none"]
    if settings.get("proxycommand", ["none"])[0] not in ("none", ""):
        raise ConfigError(
            f"login node {login.host}: its ssh_config uses ProxyCommand, which the fabric transport cannot follow",
            remedy="write `transport: openssh` in the site config, or use ProxyJump",
            kind="config.ssh",
        )
    hops = [_hop(login, jump) for jump in jumps]
    return [*hops, _to_hop(login.host, settings)]


def _hop(login: Login, jump: str) -> Hop:
    match = re.fullmatch(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>\d+))?", jump)
    if not match:
        raise ConfigError(f"login node {login.host}: cannot read ProxyJump {jump!r}", kind="config.ssh")
    host = match["host"].strip("[]")
    return _to_hop(host, _ask_ssh(login, host, match["user"], int(match["port"]) if match["port"] else None))


def ssh_argv(login: Login, *options: str) -> list[str]:
    """`ssh` with the site's own ssh_config, if it names one."""
    config = ["-F", str(Path(login.ssh_config).expanduser())] if login.ssh_config else []
    return ["ssh", *config, *options]


def _ask_ssh(login: Login, host: str, user: str | None, port: int | None) -> dict[str, list[str]]:
    if login.ssh_config and not Path(login.ssh_config).expanduser().is_file():
        raise ConfigError(
            f"login node {login.host}: ssh_config {login.ssh_config} does not exist",
            remedy="correct `login.ssh_config`; for the lab's sites bring the lab up first: hpcbake lab up",
            kind="config.ssh",
        )
    options = (["-l", user] if user else []) + (["-p", str(port)] if port else [])
    outcome = run_program(
        [*ssh_argv(login, "-G", *options), "--", host], timeout_s=20, missing_remedy="install the OpenSSH client"
    )
    if not outcome.ok:
        raise ConfigError(
            f"login node {host}: ssh cannot read its configuration",
            remedy=f"try `ssh -G {host}`",
            kind="config.ssh",
            evidence={"output": outcome.tail(5)},
        )
    return parse_ssh_settings(outcome.stdout)


def parse_ssh_settings(text: str) -> dict[str, list[str]]:
    """`ssh -G`'s lines as keyword → values (a keyword may come several times)."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        settings.setdefault(keyword.lower(), []).append(value)
    return settings


def _to_hop(alias: str, settings: dict[str, list[str]]) -> Hop:
    def first(key: str, default: str = "") -> str:
        return settings.get(key, [default])[0]

    hostname, port = first("hostname", alias), int(first("port", "22"))
    key_name = first("hostkeyalias") or (hostname if port == 22 else f"[{hostname}]:{port}")
    files = [
        *first("userknownhostsfile", "~/.ssh/known_hosts").split(),
        *first("globalknownhostsfile", "/etc/ssh/ssh_known_hosts").split(),
    ]
    return Hop(
        alias=alias,
        hostname=hostname,
        port=port,
        user=first("user"),
        identity_files=tuple(
            str(path)
            for name in settings.get("identityfile", [])
            if (path := Path(_unquoted(name)).expanduser()).is_file()
        ),
        identities_only=first("identitiesonly") == "yes",
        host_key_name=key_name,
        known_hosts_files=tuple(str(Path(_unquoted(name)).expanduser()) for name in files if name != "none"),
    )


def _unquoted(name: str) -> str:
    return name.strip('"')
