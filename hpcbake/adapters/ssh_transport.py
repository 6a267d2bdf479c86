"""paramiko's transport, asking a server for the kinds of host key that known_hosts can judge, as ssh does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paramiko

from hpcbake.adapters.known_hosts import KnownKey

_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_CERTIFICATE = "-cert-v01@openssh.com"


def preferred_algorithms(known: Sequence[KnownKey]) -> tuple[str, ...]:
    """The host key algorithms to ask for first: certificates where an authority is known, then the kinds listed."""
    first: list[str] = []
    if any(line.is_authority and not line.revoked for line in known):
        first += [f"{kind}{_CERTIFICATE}" for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384")]
        first += [f"{kind}{_CERTIFICATE}" for kind in ("ecdsa-sha2-nistp521", *_RSA)]
    for line in known:
        if not line.is_authority and not line.revoked:
            first += _RSA if line.kind == "ssh-rsa" else (line.kind,)
    return tuple(dict.fromkeys(first))


def transport_asking_for(first: Sequence[str], *, only: bool = False) -> Callable[..., paramiko.Transport]:
    """A maker of transports that ask for these host key algorithms before all others, or for no others."""

    class Asking(paramiko.Transport):  # type: ignore[misc]  # paramiko is untyped
        @property
        def preferred_keys(self) -> tuple[str, ...]:
            able: tuple[str, ...] = super().preferred_keys
            wanted = tuple(kind for kind in first if kind in able)
            return wanted if only else wanted + tuple(kind for kind in able if kind not in wanted)

    def make(*args: Any, **keywords: Any) -> paramiko.Transport:
        return Asking(*args, **keywords)

    return make
