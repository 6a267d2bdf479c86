"""Looking through expressions without evaluating them."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile import ast


def called_functions(node: object) -> Iterator[ast.Call]:
    """Every function call in an expression."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, ast.Call):
            yield current
        if isinstance(current, tuple):
            stack.extend(reversed(current))


def free_names(node: object, bound: frozenset[str] = frozenset()) -> Iterator[ast.Variable]:
    """Every name in an expression that no `for` inside it binds. Bare words that are object keys are not names."""
    if isinstance(node, ast.Variable):
        if node.name not in bound:
            yield node
        for step in node.steps:
            yield from free_names(step, bound)
    elif isinstance(node, ast.For):
        yield from free_names(node.collection, bound)
        inner = bound | {node.key_name, node.value_name}
        for part in (node.key, node.value, node.condition):
            yield from free_names(part, inner)
    elif isinstance(node, ast.ObjectNode):
        for key, value in node.items:
            if not (isinstance(key, ast.Variable) and not key.steps):
                yield from free_names(key, bound)
            yield from free_names(value, bound)
    elif isinstance(node, tuple):
        for part in node:
            if isinstance(part, tuple):
                yield from free_names(part, bound)
