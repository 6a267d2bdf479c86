"""Reads what `docker buildx inspect` prints."""

from __future__ import annotations

from hpcbake.model.builders import BuilderInfo, BuilderNode


def parse_inspect(text: str) -> BuilderInfo:
    """The builder that this text tells of. Lines that say something else are passed over."""
    head, _, rest = text.partition("\nNodes:")
    builder = _members(head.splitlines())
    blocks: list[list[str]] = []
    for line in rest.splitlines():
        if line.startswith("Name:"):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    return BuilderInfo(
        builder.get("Name", ""), builder.get("Driver", ""), tuple(_node(_members(block)) for block in blocks)
    )


def _members(lines: list[str]) -> dict[str, str]:
    """`Key: value` lines that begin at the margin; the first of a key counts."""
    found: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key and not key[0].isspace():
            found.setdefault(key.strip(), value.strip())
    return found


def _node(members: dict[str, str]) -> BuilderNode:
    listed = [word.strip() for word in members.get("Platforms", "").split(",") if word.strip()]
    return BuilderNode(
        name=members.get("Name", ""),
        endpoint=members.get("Endpoint", ""),
        status=members.get("Status", ""),
        platforms=tuple(word.rstrip("*") for word in listed),
        # buildx marks with * what somebody gave the node by --platform.
        fixed=tuple(word.rstrip("*") for word in listed if word.endswith("*")),
        error=members.get("Error", ""),
    )
