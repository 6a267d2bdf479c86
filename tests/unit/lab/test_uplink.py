"""The private engine's way out: addresses that are free, rules that can be taken back."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.errors import PrereqError
from hpcbake.lab.uplink import (
    CANDIDATES,
    Block,
    Uplink,
    cable_name,
    choose_block,
    connect,
    disconnect,
    plan_uplink,
    switch_forwarding_back,
    switch_forwarding_on,
)
from hpcbake.model.ports import Outcome
from tests.unit.lab.machines import FakeMachine

BLOCK = Block(ipaddress.IPv4Network("10.217.0.0/16"))


@given(st.lists(st.ip_addresses(v=4).flatmap(lambda a: st.integers(8, 32).map(lambda n: f"{a}/{n}")), max_size=4))
def test_the_block_overlaps_no_route(routes: list[str]) -> None:
    """Whatever the machine's routes: a free block, or an error that says so."""
    try:
        block = choose_block(["default", *routes])
    except PrereqError as refusal:
        assert all(candidate in refusal.remedy for candidate in CANDIDATES)
        return
    assert not any(block.network.overlaps(ipaddress.IPv4Network(route, strict=False)) for route in routes)


def test_a_block_is_shared_out_without_overlap() -> None:
    """The cable, docker0 and the pool of networks lie apart, all inside the block."""
    cable = ipaddress.IPv4Network(f"{BLOCK.outer}/30", strict=False)
    bridge, pool = (ipaddress.ip_network(text, strict=False) for text in (BLOCK.bridge, BLOCK.pool))
    assert ipaddress.ip_address(BLOCK.inner) in cable
    parts = [cable, bridge, pool]
    assert all(part.overlaps(BLOCK.network) for part in parts)
    assert not any(one.overlaps(other) for one in parts for other in parts if one is not other)


def test_routes_and_packet_size_come_from_the_machine() -> None:
    """The default route's device decides how long packets may be; blackholes and broadcasts do not take addresses."""
    routes = [
        {"dst": "default", "dev": "eth7"},
        {"dst": "10.217.3.0/24", "dev": "vpn0"},
        {"dst": "172.29.255.255", "type": "broadcast"},
    ]
    machine = FakeMachine(
        {
            "ip -json -4 route": Outcome(0, json.dumps(routes)),
            "ip -json link show dev eth7": Outcome(0, json.dumps([{"mtu": 1400}])),
        }
    )
    uplink = plan_uplink(machine, "lab")
    assert (str(uplink.block.network), uplink.mtu) == ("172.29.0.0/16", 1400)


def test_what_is_plugged_in_is_what_is_taken_away() -> None:
    """Every rule that connect adds is deleted by disconnect, word for word."""
    machine = FakeMachine(
        {"ip": Outcome(0), "nsenter": Outcome(0), "iptables -w -t": Outcome(0)}, programs=["iptables"]
    )
    added: list[list[str]] = []

    def remember(argv: object) -> Outcome:
        words = [str(word) for word in argv]  # type: ignore[attr-defined]
        rule = [words[3], *words[5:]]
        if words[4] == "-I":
            added.append(rule)
            return Outcome(0)
        if rule in added:
            added.remove(rule)
            return Outcome(0)
        return Outcome(1, stderr="Bad rule")

    machine.answers["iptables -w -t"] = remember
    uplink = Uplink("lab", BLOCK, 1400)
    connect(machine, uplink, 4711)
    assert len(added) == 3
    disconnect(machine, uplink)
    assert added == []


def test_a_refused_command_is_an_error_with_its_words() -> None:
    """Missing rights show at the first command; what the kernel said is kept."""
    machine = FakeMachine({"ip link delete": Outcome(1), "ip link add": Outcome(2, "", "Operation not permitted")})
    with pytest.raises(PrereqError) as caught:
        connect(machine, Uplink("lab", BLOCK, 1400), 4711)
    assert "not permitted" in str(caught.value.evidence["output"])


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=41))
def test_a_cable_name_is_one_the_kernel_takes(name: str) -> None:
    """At most 15 characters, and not the same for another lab."""
    assert len(cable_name(name)) <= 15
    assert cable_name(name) != cable_name(f"{name}x")


@pytest.mark.parametrize(("links", "after"), [("5: hpcb00000000: <UP>", "1"), ("2: eth0: <UP>", "0")])
def test_forwarding_is_switched_back_when_no_lab_needs_it(tmp_path: Path, links: str, after: str) -> None:
    """The setting of before comes back, unless another lab is there; the note goes either way."""
    note, setting = tmp_path / "note", tmp_path / "ip_forward"
    setting.write_text("0\n")
    switch_forwarding_on(note, setting)
    assert setting.read_text() == "1"
    switch_forwarding_back(FakeMachine({"ip -o link": Outcome(0, links)}), note, setting)
    assert setting.read_text() == after
    assert not note.exists()


def test_forwarding_that_was_on_is_left_alone(tmp_path: Path) -> None:
    """Nothing is noted, so nothing is switched off later."""
    note, setting = tmp_path / "note", tmp_path / "ip_forward"
    setting.write_text("1\n")
    switch_forwarding_on(note, setting)
    switch_forwarding_back(FakeMachine({"ip -o link": Outcome(0, "")}), note, setting)
    assert setting.read_text() == "1\n"
