"""The private engine's way out: one virtual cable from its network namespace to this machine's network.

Everything Docker itself sets up (bridges, chains, addresses) lives inside the namespace and dies with it. On this
machine there are only the cable, three iptables rules marked with the lab's name, and IP forwarding switched on.
"""

from __future__ import annotations

import ipaddress
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from hpcbake.errors import PrereqError
from hpcbake.lab.machine import Machine, require

#: Private blocks to take addresses from, in order; the first that no route of this machine touches is used.
CANDIDATES = ("10.217.0.0/16", "172.29.0.0/16", "10.93.0.0/16", "192.168.0.0/16", "172.23.0.0/16")
_CABLE_PREFIX = "hpcb"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True)
class Block:
    """The /16 that the engine lives in: one small net for the cable, one for docker0, the rest for networks."""

    network: ipaddress.IPv4Network

    def _address(self, offset: int) -> str:
        return str(self.network.network_address + offset)

    @property
    def outer(self) -> str:
        return self._address(1)

    @property
    def inner(self) -> str:
        return self._address(2)

    @property
    def bridge(self) -> str:
        return f"{self._address(257)}/24"

    @property
    def pool(self) -> str:
        return f"{self._address(32768)}/17"


@dataclass(frozen=True)
class Uplink:
    """The cable of one lab, by the lab's name."""

    name: str
    block: Block
    mtu: int

    @property
    def cable(self) -> str:
        return cable_name(self.name)

    def rules(self) -> list[list[str]]:
        """The iptables rules, as `iptables -w -t TABLE -A|-I|-D CHAIN …` minus the verb: [table, chain, …]."""
        mark = ["-m", "comment", "--comment", self.name]
        return [
            ["nat", "POSTROUTING", "-s", f"{self.block.inner}/32", "!", "-o", self.cable, *mark, "-j", "MASQUERADE"],
            ["filter", "FORWARD", "-i", self.cable, *mark, "-j", "ACCEPT"],
            ["filter", "FORWARD", "-o", self.cable, *mark, "-j", "ACCEPT"],
        ]


def cable_name(lab: str) -> str:
    """The network link of a lab: at most 15 characters, the kernel's limit, and one per lab."""
    return f"{_CABLE_PREFIX}{zlib.crc32(lab.encode()):08x}"


def choose_block(routes: list[str], candidates: tuple[str, ...] = CANDIDATES) -> Block:
    """The first candidate that overlaps none of `routes` (as `ip route` names them). Raises PrereqError when all do."""
    taken = [ipaddress.ip_network(route, strict=False) for route in routes if route != "default"]
    for candidate in candidates:
        network = ipaddress.IPv4Network(candidate)
        if not any(isinstance(other, ipaddress.IPv4Network) and network.overlaps(other) for other in taken):
            return Block(network)
    raise PrereqError(
        "no private address block is free for the lab's networks",
        remedy="remove a route to one of: " + ", ".join(candidates),
        kind="config.prerequisite.network",
    )


def plan_uplink(machine: Machine, name: str) -> Uplink:
    """An uplink that fits this machine's routes and the packet size of its way out."""
    listed = machine.run(["ip", "-json", "-4", "route", "show", "table", "all"], timeout_s=10)
    routes = json.loads(require(listed, "reading this machine's routes", remedy="install iproute2").stdout or "[]")
    default = next((route["dev"] for route in routes if route.get("dst") == "default" and "dev" in route), None)
    mtu = 1500
    if default is not None:
        link = machine.run(["ip", "-json", "link", "show", "dev", default], timeout_s=10)
        mtu = int(json.loads(link.stdout)[0]["mtu"]) if link.ok else mtu
    remote = [str(route["dst"]) for route in routes if route.get("type", "unicast") == "unicast"]
    return Uplink(name, choose_block(remote), mtu)


def connect(machine: Machine, uplink: Uplink, engine_pid: int) -> None:
    """Plug the cable into the namespace of `engine_pid` and let its packets out."""
    disconnect(machine, uplink)
    far = ["nsenter", "--target", str(engine_pid), "--net", "--"]
    cable, mtu = uplink.cable, str(uplink.mtu)
    commands = [
        [
            "ip",
            "link",
            "add",
            cable,
            "mtu",
            mtu,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "mtu",
            mtu,
            "netns",
            str(engine_pid),
        ],
        ["ip", "address", "add", f"{uplink.block.outer}/30", "dev", cable],
        ["ip", "link", "set", cable, "up"],
        [*far, "ip", "address", "add", f"{uplink.block.inner}/30", "dev", "eth0"],
        [*far, "ip", "link", "set", "eth0", "up"],
        [*far, "ip", "route", "add", "default", "via", uplink.block.outer],
    ]
    commands += [["iptables", "-w", "-t", rule[0], "-I", *rule[1:]] for rule in uplink.rules()]
    for command in commands:
        require(
            machine.run(_with_program(machine, command), timeout_s=20),
            f"`{' '.join(command[:4])} …` for the private engine's network",
            remedy="the lab needs root with the right to administer the network (CAP_NET_ADMIN)",
        )


def disconnect(machine: Machine, uplink: Uplink) -> None:
    """Take away whatever of the cable and its rules is there."""
    for rule in uplink.rules():
        delete = _with_program(machine, ["iptables", "-w", "-t", rule[0], "-D", *rule[1:]])
        while machine.run(delete, timeout_s=20).ok:
            pass
    machine.run(["ip", "link", "delete", uplink.cable], timeout_s=20)


def switch_forwarding_on(note: Path, setting: Path = _FORWARDING) -> None:
    """Let this machine pass packets on, noting in `note` what it did before."""
    before = setting.read_text().strip()
    if before != "1":
        note.write_text(before)
        setting.write_text("1")


def switch_forwarding_back(machine: Machine, note: Path, setting: Path = _FORWARDING) -> None:
    """Undo `switch_forwarding_on`, unless another lab still needs it."""
    if note.exists() and _CABLE_PREFIX not in machine.run(["ip", "-o", "link"], timeout_s=10).stdout:
        setting.write_text(note.read_text())
    note.unlink(missing_ok=True)


def _with_program(machine: Machine, command: list[str]) -> list[str]:
    return [machine.find_program(command[0]) or command[0], *command[1:]]
