"""A login that a command line names: a declared site, or what one would type after `ssh`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hpcbake.cli.options import read_sites
from hpcbake.errors import UsageError
from hpcbake.model.site import Login, Site, Store

F = TypeVar("F", bound=Callable[..., Any])


def target_options(function: F) -> F:
    """--ssh-config and --transport: how to get to a login that no site config declares."""
    for option in reversed(
        (
            click.option("--ssh-config", type=click.Path(dir_okay=False), help="Use this instead of ~/.ssh/config."),
            click.option("--transport", type=click.Choice(["fabric", "openssh", "local"]), help="How to get there."),
        )
    ):
        function = option(function)
    return function


def find_target(target: str, folder: Path, ssh_config: str | None, transport: str | None) -> Site:
    """The declared site of this name, or a stand-in for a login that nobody declared yet."""
    if (folder / f"{target}.yaml").is_file() and not (ssh_config or transport):
        return read_sites(folder, [target])[0]
    match = re.fullmatch(r"(?:([A-Za-z_][A-Za-z0-9._\\-]*)@)?([A-Za-z0-9_][A-Za-z0-9._-]*)(?::([0-9]{1,5}))?", target)
    if not match:
        raise UsageError(f"{target!r} is neither a site nor USER@HOST[:PORT]", remedy="write it as you would for ssh")
    user, host, port = match.groups()
    login = Login(
        host, transport=transport or "fabric", user=user, port=int(port) if port else None, ssh_config=ssh_config
    )
    return Site(host, login, Store("/"))
