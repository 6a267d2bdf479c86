"""`[for …]` and `{for …}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.scope import Attempts
from hpcbake.bakefile.types import BOOL, friendly_name
from hpcbake.bakefile.values import (
    UNKNOWN,
    Null,
    ObjectValue,
    TupleValue,
    Unknown,
    Value,
    can_iterate,
    elements,
    type_of,
)

if TYPE_CHECKING:
    from hpcbake.bakefile.evaluate import Evaluator


def loop(evaluator: Evaluator, node: ast.For) -> Value:
    """A tuple or an object, one element for each that the `if` clause lets through."""
    collection = evaluator.value(node.collection)
    if isinstance(collection, Null):
        raise evaluator.error(codes.ITERATION, node.collection, "`for` cannot go over null")
    if isinstance(collection, Unknown):
        return UNKNOWN
    if not can_iterate(collection):
        kind = friendly_name(type_of(collection))
        advice = 'split it first: split(",", x)' if kind == "string" else ""
        raise evaluator.error(codes.ITERATION, node.collection, f"`for` cannot go over a {kind}", advice)
    if node.condition is not None:
        _check_condition(evaluator, node, node.condition)
    if node.key is None:
        return _tuple_loop(evaluator, node, collection)
    return _object_loop(evaluator, node, node.key, collection)


def _check_condition(evaluator: Evaluator, node: ast.For, condition: ast.Node) -> None:
    """The `if` clause is looked at once without an element, so that its mistakes show for empty lists too."""
    names = [name for name in (node.key_name, node.value_name) if name]
    _included(evaluator.within(evaluator.scope.with_unknown(names)), condition)


def _included(evaluator: Evaluator, condition: ast.Node) -> bool:
    value = evaluator.value(condition)
    if isinstance(value, Null):
        raise evaluator.error(codes.ITERATION, condition, "the `if` clause is null; it must be true or false")
    try:
        return convert(value, BOOL) is True
    except ConversionError:
        kind = friendly_name(type_of(value))
        raise evaluator.error(codes.ITERATION, condition, f"the `if` clause must be a bool, not a {kind}") from None


def _rounds(evaluator: Evaluator, node: ast.For, collection: Value) -> Iterator[Evaluator]:
    for key, item in elements(collection):
        local = {node.key_name: key, node.value_name: item} if node.key_name else {node.value_name: item}
        each = evaluator.within(evaluator.scope.child(local))
        if node.condition is None or _included(each, node.condition):
            yield each


def _tuple_loop(evaluator: Evaluator, node: ast.For, collection: Value) -> Value:
    attempts = Attempts(evaluator)
    items: list[Value] = []
    for each in _rounds(evaluator, node, collection):
        items.append(attempts.value(node.value, each))
        if attempts.enough:
            break
    result = TupleValue(tuple(items))
    attempts.check(result)
    return evaluator.built(node, result)


def _object_loop(evaluator: Evaluator, node: ast.For, key_node: ast.Node, collection: Value) -> Value:
    attempts = Attempts(evaluator)
    items: dict[str, Value] = {}
    groups: dict[str, list[Value]] = {}
    for each in _rounds(evaluator, node, collection):
        key = each.key_text(key_node, each.value(key_node))
        value = attempts.value(node.value, each)
        if node.group:
            groups.setdefault(key, []).append(value)
        elif key in items:
            advice = "add ... after the value to collect all values of a key"
            raise evaluator.error(codes.OBJECT_KEY, key_node, f'two elements have the key "{key}"', advice)
        else:
            items[key] = value
        if attempts.enough:
            break
    result = ObjectValue({k: TupleValue(tuple(v)) for k, v in groups.items()} if node.group else items)
    attempts.check(result)
    return evaluator.built(node, result)
