"""Where in a YAML document something stands: by its keys, or by what a message says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

Place = tuple[int, int]


def place_of(node: yaml.Node) -> Place:
    """Line and column of a node, from 1."""
    mark = node.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def scalars_at(node: yaml.Node | None, *keys: str) -> Iterator[yaml.ScalarNode]:
    """Every scalar at this path of keys; `*` stands for every item of a list."""
    if isinstance(node, yaml.ScalarNode) and not keys:
        yield node
    elif isinstance(node, yaml.SequenceNode) and keys[:1] == ("*",):
        for item in node.value:
            yield from scalars_at(item, *keys[1:])
    elif isinstance(node, yaml.MappingNode) and keys:
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == keys[0]:
                yield from scalars_at(value, *keys[1:])


def find_place(node: yaml.Node | None, message: str) -> Place:
    """Where that stands which a message quotes: `a.b` as keys, 'text' as a value, the last of several.

    The reader's rules about whole documents know no places; what they quote does. The beginning of the document where
    nothing of it is found.
    """
    for quoted in re.findall(r"`([^`]+)`", message):
        for keys in (quoted.partition(":")[0].split("."), quoted.split(".")):
            found = list(scalars_at(node, *keys))
            if found:
                return place_of(found[-1])
    scalars = list(_all_scalars(node))
    for quoted in re.findall(r"'([^']*)'|\"([^\"]*)\"", message):
        found = [scalar for scalar in scalars if scalar.value == (quoted[0] or quoted[1])]
        if found:
            return place_of(found[-1])
    for variable in re.findall(r"\$\{\w+\}", message):
        found = [scalar for scalar in scalars if variable[:-1] in scalar.value]
        if found:
            return place_of(found[-1])
    return place_of(node) if node is not None else (1, 1)


def without_item(text: str, node: yaml.Node | None, line: int) -> str | None:
    """The text with the lines of the list item at `line` left empty; None where there is no item of whole lines."""
    lists = [value for _, value in node.value if _is_block_list(value)] if isinstance(node, yaml.MappingNode) else []
    lines = text.split("\n")
    for items in lists:
        starts = [item.start_mark.line for item in items.value]
        ends = [*starts[1:], items.end_mark.line if items.end_mark is not None else len(lines)]
        for first, end in zip(starts, ends, strict=True):
            if first <= line - 1 < max(end, first + 1):
                last = max(end, first + 1)
                return "\n".join([*lines[:first], *[""] * (last - first), *lines[last:]])
    return None


def _is_block_list(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode) and not node.flow_style and len(node.value) > 0


def _all_scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _all_scalars(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _all_scalars(key)
            yield from _all_scalars(value)
