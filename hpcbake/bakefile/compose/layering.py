"""How one compose file is laid over another, and one service over the service that it extends.

Mappings merge, lists are joined, everything else is replaced. Maps that may be written as lists (`args`, `labels`,
`environment`, …) are joined as lists first, and of each key the last one stays. `!reset` removes what came before,
`!override` replaces it whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.compose.tree import Node, scalar_text
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic

Path = tuple[str, ...]

#: Below a service: maps that are joined as lists of `key=value`, whichever way each side is written.
_AS_SEQUENCE: Final = frozenset(
    {
        ("build", "args"),
        ("build", "additional_contexts"),
        ("build", "labels"),
        ("build", "extra_hosts"),
        ("build", "ssh"),
        ("environment",),
        ("env_file",),
    }
)
#: Below a service: lists in which a later `key=…` replaces an earlier one.
_UNIQUE: Final = frozenset(
    {
        ("build", "args"),
        ("build", "additional_contexts"),
        ("build", "labels"),
        ("build", "platforms"),
        ("build", "tags"),
        ("build", "ssh"),
        ("environment",),
    }
)


def lay_over(base: Node, over: Node, path: Path = ()) -> Node:
    """`over` laid over `base`. Raises BakeFileError where the two are of different kinds."""
    if over.tag == "!override":
        return _without_tag(over)
    below_service = path[2:] if path[:1] == ("services",) else None
    if below_service in _AS_SEQUENCE:
        return _joined(base, over, below_service)
    if below_service == ("build",):
        base, over = _build_mapping(base), _build_mapping(over)
    if isinstance(base.value, dict):
        if over.value is None and path[:1] == ("services",) and len(path) == 2:
            return base
        if not isinstance(over.value, dict):
            raise _cannot_override(over, path)
        return _merged_mapping(base, over, path)
    if isinstance(base.value, list):
        if not isinstance(over.value, list):
            raise _cannot_override(over, path)
        joined = over.with_value([*base.value, *over.value])
        return unique(joined) if below_service in _UNIQUE else joined
    return over


def _merged_mapping(base: Node, over: Node, path: Path) -> Node:
    merged = dict(base.mapping)
    for key, value in over.mapping.items():
        if value.tag == "!reset":
            merged.pop(key, None)
        elif key in merged:
            merged[key] = lay_over(merged[key], value, (*path, key))
        else:
            merged[key] = value
    return over.with_value(merged)


def without_resets(node: Node) -> Node:
    """`node` without what it resets: there may have been nothing before it."""
    if isinstance(node.value, dict):
        kept = {key: without_resets(value) for key, value in node.value.items() if value.tag != "!reset"}
        return _without_tag(node.with_value(kept))
    if isinstance(node.value, list):
        return _without_tag(node.with_value([without_resets(item) for item in node.value if item.tag != "!reset"]))
    return _without_tag(node)


def _without_tag(node: Node) -> Node:
    return Node(node.value, node.span, "", node.size) if node.tag else node


def _joined(base: Node, over: Node, below_service: Path | None) -> Node:
    items = [*as_sequence(base), *as_sequence(over)]
    if below_service == ("build", "extra_hosts"):  # a host may have several addresses, but not one twice
        first = {str(item.value): i for i, item in reversed(list(enumerate(items)))}
        items = [item for i, item in enumerate(items) if first[str(item.value)] == i]
    joined = over.with_value(list(items))
    return unique(joined) if below_service in _UNIQUE else joined


def as_sequence(node: Node) -> list[Node]:
    """A mapping as `key=value` items sorted by key, a list as it is, a text as a list of one."""
    if isinstance(node.value, dict):
        return [item for key, value in sorted(node.value.items()) for item in _pairs(key, value)]
    if isinstance(node.value, list):
        return node.value
    return [] if node.value is None else [node]


def _pairs(key: str, value: Node) -> list[Node]:
    if isinstance(value.value, list):
        return [pair for item in value.value for pair in _pairs(key, item)]
    if isinstance(value.value, dict):
        return [value]
    text = key if value.value is None else f"{key}={scalar_text(value.value)}"
    return [Node(text, value.span)]


def unique(node: Node) -> Node:
    """A list with one item per key (what stands before `=`), a later item in the place of the earlier."""
    kept: dict[str, Node] = {}
    for i, item in enumerate(node.items):
        is_text = isinstance(item.value, str)
        kept[str(item.value).partition("=")[0] if is_text else f"\0{i}"] = item
    return node.with_value(list(kept.values()))


def _build_mapping(node: Node) -> Node:
    """`build: FOLDER` as the mapping that it is short for."""
    if isinstance(node.value, str):
        return node.with_value({"context": Node(node.value, node.span)})
    return node


def _cannot_override(node: Node, path: Path) -> BakeFileError:
    return BakeFileError(
        Diagnostic(
            codes.COMPOSE_SCHEMA,
            f"{'.'.join(path)} cannot be laid over what an earlier file says: the two are of different kinds",
            node.span,
            "write it as the earlier file does, or replace it whole with the tag !override",
            detail=f"cannot override {'.'.join(path)}",
        )
    )


def services_of(document: Node) -> Mapping[str, Node]:
    """The services of a document by name."""
    services = document.get("services")
    return services.mapping if services else {}
