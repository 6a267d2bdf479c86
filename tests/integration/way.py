"""A way to a login node for one test: a user with a key, servers, an ssh configuration, a known_hosts file."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hpcbake.model.site import Login, Site, Store
from hpcbake.ship.ports import SiteNode
from tests.integration.sshd import Sshd, make_key, public_key

NodeMaker = Callable[[Site], SiteNode]


@dataclass
class Way:
    """A user with a key, and the hosts that are known to the user. The first site fixes the ssh_config."""

    folder: Path
    servers: list[Sshd] = field(default_factory=list)
    config: list[str] = field(default_factory=list)
    nodes: list[SiteNode] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.user_key = make_key(self.folder / "user key")
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text("")

    def server(self, alias: str = "login", *lines: str, jump: str = "", key_kind: str = "ed25519") -> Sshd:
        """A server that runs; not yet known."""
        server = Sshd(self.folder / alias, self.user_key, lines, key_kind)
        server.start()
        self.servers.append(server)
        self.add_host(alias, server.port, jump=jump)
        return server

    def add_host(self, alias: str, port: int, *, jump: str = "") -> None:
        self.config += [
            f"Host {alias}",
            "  HostName 127.0.0.1",
            f"  Port {port}",
            f"  User {getpass.getuser()}",
            f'  IdentityFile "{self.user_key}"',
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {self.known_hosts}",
            "  GlobalKnownHostsFile none",
            *([f"  ProxyJump {jump}"] if jump else []),
        ]

    def trust(self, server: Sshd, key: Path | None = None, marker: str = "") -> None:
        with self.known_hosts.open("a") as file:
            file.write(f"{marker}{server.name} {public_key(key or server.host_key)}\n")

    def site(self, *, connect_timeout_s: float = 5) -> Site:
        path = self.folder / "ssh_config"
        if not path.exists():
            path.write_text("\n".join(self.config) + "\n")
        login = Login("login", ssh_config=str(path), connect_timeout_s=connect_timeout_s)
        return Site("here", login, Store("/store"))

    def node(self, make_node: NodeMaker, *, connect_timeout_s: float = 5) -> SiteNode:
        node = make_node(self.site(connect_timeout_s=connect_timeout_s))
        self.nodes.append(node)
        return node

    def end(self) -> None:
        """Nothing of it stays."""
        for node in self.nodes:
            node.close()
        for server in self.servers:
            server.stop()


def known_server(way: Way, *lines: str, key_kind: str = "ed25519") -> Sshd:
    """The login node, running and in known_hosts."""
    server = way.server("login", *lines, key_kind=key_kind)
    way.trust(server)
    return server
