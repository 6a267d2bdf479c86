"""Which host keys the hops to a site offer, asked as ssh-keyscan does, and through the jump hosts before them.

Nothing is sent but the first messages of the protocol: no user name, no key. A hop behind a jump host can be asked only
once that jump host is trusted and lets the user in.
"""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import fabric
import paramiko
from paramiko.ssh_exception import SSHException

from hpcbake.adapters.known_hosts import Judgement, KnownKey, Standing, find_known_keys, fingerprint, judge_host_key
from hpcbake.adapters.ssh_config import Hop, jump_argv, resolve_hops, ssh_argv
from hpcbake.adapters.ssh_fabric import open_hop
from hpcbake.adapters.ssh_transport import preferred_algorithms, transport_asking_for
from hpcbake.errors import ConfigError, SiteUnreachableError
from hpcbake.model.late import dataclass
from hpcbake.model.site import Login, Site

#: The kinds of key that servers have, one connection each: a server names only the one that was asked for.
_KINDS: tuple[tuple[str, ...], ...] = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


@dataclass(frozen=True)
class OfferedKey:
    """One key that a server proved to hold, and the certificate that it came in, if any."""

    kind: str
    key: bytes
    certificate: bytes = b""

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key)


@dataclass(frozen=True)
class ScannedHop:
    """One hop, what it offers, and how that stands in known_hosts."""

    hop: Hop
    offered: tuple[OfferedKey, ...]
    judged: tuple[Judgement, ...]

    @property
    def worst(self) -> tuple[OfferedKey, Judgement]:
        """The key that decides: a revoked one, else an accepted one, else a changed one, else the first."""
        order = (Standing.REVOKED, Standing.ACCEPTED, Standing.CHANGED, Standing.UNKNOWN)
        return min(zip(self.offered, self.judged, strict=True), key=lambda pair: order.index(pair[1].standing))


class HostKeyScanner:
    """Asks the hops to one site for their keys, one after the other."""

    def __init__(self, site: Site) -> None:
        self.name = site.name
        self._login = site.login
        self._gateways: list[fabric.Connection] = []
        self.hops = self._resolve(site.login)

    def _resolve(self, login: Login) -> list[Hop]:
        try:
            return resolve_hops(login)
        except ConfigError as error:
            if login.transport != "openssh" or "ProxyCommand" not in error.message:
                raise
            raise ConfigError(
                f"{self.name}: the way to {login.host} is a ProxyCommand of yours, which only ssh itself can follow",
                remedy=f"connect by hand and compare what it shows: {shlex.join([*ssh_argv(login), login.host])}",
                kind="config.ssh",
            ) from error

    def scan(self, index: int) -> ScannedHop:
        """The keys of hop `index`. Raises SiteUnreachableError, and SiteTrustError for a hop before it."""
        hop = self.hops[index]
        known = find_known_keys(hop)
        offered: list[OfferedKey] = []
        if any(line.is_authority for line in known):
            offered += self._ask(index, preferred_algorithms(known))
        for kinds in _KINDS:
            offered += self._ask(index, kinds)
        unique = tuple({key.key: key for key in reversed(offered)}.values())[::-1]
        if not unique:
            raise SiteUnreachableError(
                f"{self.name}: {hop.alias} ({hop.address}) offers no kind of host key that is still considered safe",
                remedy=f"look yourself: {hop.by_hand}",
                kind="ssh.unreachable",
            )
        return ScannedHop(hop, unique, tuple(_judged(hop, known, key) for key in unique))

    def close(self) -> None:
        for connection in reversed(self._gateways):
            with suppress(Exception):  # a dead transport may complain; it is gone either way
                connection.close()
        self._gateways = []

    def _ask(self, index: int, kinds: Sequence[str]) -> list[OfferedKey]:
        """One key exchange, no more. Empty when the server has no key of these kinds."""
        stream = self._open(index)
        transport: paramiko.Transport | None = None
        try:
            transport = transport_asking_for(kinds, only=True)(stream)
            transport.banner_timeout = self._login.connect_timeout_s
            transport.start_client(timeout=self._login.connect_timeout_s)
            key = transport.get_remote_server_key()
            certificate = key.public_blob.key_blob if key.public_blob else b""
            return [OfferedKey(key.get_name(), key.asbytes(), certificate)]
        except (SSHException, EOFError, OSError) as error:
            if "no acceptable host key" in str(error) or "IncompatiblePeer" in type(error).__name__:
                return []
            raise self._unreachable(self.hops[index], error) from error
        finally:
            for opened in (transport, stream):
                with suppress(Exception):
                    if opened is not None:
                        opened.close()

    def _open(self, index: int) -> Any:
        """A byte stream to hop `index`: a socket, or a channel through the hop before it."""
        hop, timeout_s = self.hops[index], self._login.connect_timeout_s
        try:
            if index == 0:
                return socket.create_connection((hop.hostname, hop.port), timeout=timeout_s)
            if self._login.transport == "openssh":
                forward = f"[{hop.hostname}]:{hop.port}"
                return paramiko.ProxyCommand(shlex.join(jump_argv(self._login, self.hops[:index], forward)))
            while len(self._gateways) < index:
                before = self._gateways[-1] if self._gateways else None
                self._gateways.append(open_hop(self.hops[len(self._gateways)], before, self.name, timeout_s))
            address = (hop.hostname, hop.port)
            return self._gateways[index - 1].transport.open_channel(
                "direct-tcpip", address, ("127.0.0.1", 0), timeout=timeout_s
            )
        except (SSHException, OSError) as error:
            raise self._unreachable(hop, error) from error

    def _unreachable(self, hop: Hop, error: Exception) -> SiteUnreachableError:
        return SiteUnreachableError(
            f"{self.name}: cannot ask {hop.alias} ({hop.address}) for its host keys: {error or type(error).__name__}",
            remedy="check the network and the address",
            kind="ssh.unreachable",
        )


def _judged(hop: Hop, known: list[KnownKey], key: OfferedKey) -> Judgement:
    return judge_host_key(hop, known, key.key, key.certificate)
