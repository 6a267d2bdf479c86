"""Which node of a builder builds a platform, and whether its machine is of that kind."""

from __future__ import annotations

import pytest

from hpcbake.adapters.buildx_inspect import parse_inspect
from hpcbake.model.builders import BuilderInfo, BuilderNode

LAPTOP = BuilderNode("laptop", "unix:///var/run/docker.sock", "running", ("linux/arm64", "linux/amd64", "linux/386"))
GIVEN = BuilderNode(
    "amd", "ssh://u@amd", "running", ("linux/amd64", "linux/amd64/v2", "linux/386"), fixed=("linux/amd64",)
)


@pytest.mark.parametrize(
    ("nodes", "platform", "node", "word"),
    [
        ((LAPTOP,), "linux/arm64", "laptop", "native"),
        ((LAPTOP,), "linux/amd64", "laptop", "EMULATED"),
        ((LAPTOP, GIVEN), "linux/amd64", "amd", "native"),
        ((LAPTOP, GIVEN), "linux/amd64/v3", "amd", "native"),
        ((LAPTOP, GIVEN), "linux/arm64", "laptop", "native"),
        ((GIVEN,), "linux/386", "amd", "native"),
        ((GIVEN,), "linux/s390x", "amd", "EMULATED"),
        ((BuilderNode("off", status="inactive"),), "linux/amd64", "off", "unknown"),
        ((BuilderNode("off", status="inactive", platforms=("linux/amd64",), fixed=("linux/amd64",)),), "linux/amd64",
         "off", "native"),
        ((), "linux/amd64", None, "unknown"),
    ],
)  # fmt: skip
def test_where_a_platform_is_built(nodes: tuple[BuilderNode, ...], platform: str, node: str | None, word: str) -> None:
    """Given platforms come first, then listed ones, then the first node."""
    place = BuilderInfo("b", "docker-container", nodes).place_of(platform)
    assert ((place.node.name if place.node else None), place.word) == (node, word)


def test_a_given_platform_does_not_make_a_machine() -> None:
    """An arm64 machine that somebody told to build linux/amd64 emulates it all the same."""
    node = BuilderNode("mac", platforms=("linux/amd64", "linux/arm64", "linux/arm/v7"), fixed=("linux/amd64",))
    place = BuilderInfo("b", "docker-container", (node,)).place_of("linux/amd64")
    assert place.words == "linux/amd64: EMULATED on node mac (arm64)"


INSPECT = """\
Name:          hpcbake
Driver:        docker-container
Last Activity: 2026-01-31 12:00:00 +0000 UTC

Nodes:
Name:                  hpcbake0
Endpoint:              unix:///var/run/docker.sock
Status:                running
BuildKit daemon flags: --allow-insecure-entitlement=network.host
BuildKit version:      v0.20.1
Platforms:             linux/arm64, linux/amd64, linux/amd64/v2
Labels:
 org.mobyproject.buildkit.worker.executor:         oci
 org.mobyproject.buildkit.worker.hostname:         4711
GC Policy rule#0:
 All:           false

Name:      hpcbake1
Endpoint:  ssh://ada@build.example.org
Error:     error during connect: Host key verification failed.
Platforms: linux/amd64*
"""


def test_what_buildx_prints_is_read() -> None:
    """Nodes, their own platforms, those that were given, and what is wrong with a node."""
    info = parse_inspect(INSPECT)
    assert (info.name, info.driver, [node.name for node in info.nodes]) == (
        "hpcbake",
        "docker-container",
        ["hpcbake0", "hpcbake1"],
    )
    assert info.nodes[0].platforms == ("linux/arm64", "linux/amd64", "linux/amd64/v2")
    assert info.nodes[0].native == "arm64"
    assert (info.nodes[1].fixed, info.nodes[1].endpoint) == (("linux/amd64",), "ssh://ada@build.example.org")
    assert "Host key" in info.nodes[1].error
    assert info.place_of("linux/amd64").words == "linux/amd64: native on node hpcbake1 (amd64)"


@pytest.mark.parametrize(
    "text", ["", "Nodes:", "Name: x", "\nNodes:\nPlatforms: linux/amd64", "Name: a\n\nNodes:\n :\n"]
)
def test_nonsense_is_a_builder_without_nodes(text: str) -> None:
    """Nothing is guessed."""
    assert parse_inspect(text).nodes == ()
