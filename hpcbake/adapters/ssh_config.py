"""What OpenSSH itself would do for a host, asked of `ssh -G`.

paramiko ignores Include, Match and the known_hosts settings; ssh knows its own configuration best.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hpcbake.adapters.processes import run_program
from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.site import Login

#: More jump hosts than this is a loop.
_MAX_HOPS = 8


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
    by_hand: str = ""  # the ssh command with which a person sees for themselves
    hashes_names: bool = False  # HashKnownHosts: how a new line of known_hosts is written

    @property
    def address(self) -> str:
        return f"{self.hostname}:{self.port}"


def resolve_hops(login: Login) -> list[Hop]:
    """All hops to the login node in the order they are opened. Raises ConfigError, PrereqError."""
    return _hops_to(login, login.host, login.user, login.port, depth=0)


def _hops_to(login: Login, host: str, user: str | None, port: int | None, *, depth: int) -> list[Hop]:
    """The hops to one host. As with ssh, the first jump host may need jump hosts of its own."""
    settings = _ask_ssh(login, host, user, port)
    if depth > _MAX_HOPS:
        raise ConfigError(
            f"login node {login.host}: its ProxyJump leads back to itself",
            remedy="correct ProxyJump in your ssh configuration, or `login.proxy_jump` of the site config",
            kind="config.ssh",
        )
    if settings.get("proxycommand", ["none"])[0] not in ("none", ""):
        raise ConfigError(
            f"login node {login.host}: the ssh_config of {host} uses ProxyCommand, which the fabric transport cannot "
            "follow",
            remedy="write `transport: openssh` in the site config, or use ProxyJump",
            kind="config.ssh",
        )
    jumps = [jump for jump in settings.get("proxyjump", [""])[0].split(",") if jump and jump != "none"]
    hops: list[Hop] = []
    for jump in jumps:
        its_user, its_host, its_port = _parse_jump(login, jump)
        if not hops:
            hops += _hops_to(login, its_host, its_user, its_port, depth=depth + 1)
        else:  # ssh reaches it through those before it in the list, whatever its own configuration says
            hops.append(_to_hop(login, its_host, _ask_ssh(login, its_host, its_user, its_port)))
    return [*hops, _to_hop(login, host, settings)]


def _parse_jump(login: Login, jump: str) -> tuple[str | None, str, int | None]:
    match = re.fullmatch(r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<host>\[[^\]]+\]|[^:\[\]@]+)(?::(?P<port>\d+))?", jump)
    if not match:
        raise ConfigError(
            f"login node {login.host}: cannot read ProxyJump {jump!r}",
            remedy="write it as [USER@]HOST[:PORT], several with commas between",
            kind="config.ssh",
        )
    return match["user"], match["host"].strip("[]"), int(match["port"]) if match["port"] else None


def shares_connections(login: Login) -> bool:
    """Does the user's own configuration share a connection to this host that outlives one call, or is one open?"""
    settings = _ask_ssh(login, login.host, login.user, login.port)
    if settings.get("controlpath", ["none"])[0] in ("none", ""):
        return False
    makes_one = settings.get("controlmaster", ["false"])[0] not in ("false", "no")
    if makes_one and settings.get("controlpersist", ["no"])[0] not in ("no", "false"):
        return True
    check = [*ssh_argv(login, *_where(login.user, login.port), "-O", "check"), "--", login.host]
    return run_program(check, timeout_s=20).ok


def _where(user: str | None, port: int | None) -> list[str]:
    return [*(("-l", user) if user else ()), *(("-p", str(port)) if port else ())]


def ssh_argv(login: Login, *options: str) -> list[str]:
    """`ssh` with the site's own ssh_config, if it names one."""
    config = ["-F", str(Path(login.ssh_config).expanduser())] if login.ssh_config else []
    return ["ssh", *config, *options]


def jump_argv(login: Login, hops: Sequence[Hop], forward: str) -> list[str]:
    """ssh itself as the way through these hops: its streams are those of a connection from the last one to `forward`.

    It never asks, and accepts no host key that is not known.
    """
    *before, last = [f"{hop.user}@{hop.alias}:{hop.port}" for hop in hops]
    jumps = ["-J", ",".join(before)] if before else []
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR", *jumps]
    return [*ssh_argv(login, *options), "-W", forward, "--", f"ssh://{last}"]


def _ask_ssh(login: Login, host: str, user: str | None, port: int | None) -> dict[str, list[str]]:
    if login.ssh_config and not Path(login.ssh_config).expanduser().is_file():
        raise ConfigError(
            f"login node {login.host}: ssh_config {login.ssh_config} does not exist",
            remedy="correct `login.ssh_config`; for the lab's sites bring the lab up first: hpcbake lab up",
            kind="config.ssh",
        )
    outcome = run_program(
        [*ssh_argv(login, "-G", *_where(user, port)), "--", host],
        timeout_s=20,
        missing_remedy="install the OpenSSH client",
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


def _to_hop(login: Login, alias: str, settings: dict[str, list[str]]) -> Hop:
    def first(key: str, default: str = "") -> str:
        return settings.get(key, [default])[0]

    hostname, port = first("hostname", alias), int(first("port", "22"))
    key_name = first("hostkeyalias") or (hostname if port == 22 else f"[{hostname}]:{port}")
    tokens = {"d": str(Path.home()), "h": hostname, "n": alias, "p": str(port), "r": first("user"), "%": "%"}

    def expanded(name: str) -> str:
        """A file's name without the tokens that `ssh -G` leaves in it."""
        text = re.sub(r"%([dhnpr%])", lambda match: tokens[match[1]], name.strip('"'))
        return str(Path(text).expanduser())

    files = [
        *first("userknownhostsfile", "~/.ssh/known_hosts").split(),
        *first("globalknownhostsfile", "/etc/ssh/ssh_known_hosts").split(),
    ]
    identities = [expanded(name) for name in settings.get("identityfile", [])]
    return Hop(
        alias=alias,
        hostname=hostname,
        port=port,
        user=first("user"),
        identity_files=tuple(name for name in identities if Path(name).is_file()),
        identities_only=first("identitiesonly") == "yes",
        host_key_name=key_name,
        known_hosts_files=tuple(expanded(name) for name in files if name != "none"),
        by_hand=shlex.join([*ssh_argv(login), alias]),
        hashes_names=first("hashknownhosts") == "yes",
    )
