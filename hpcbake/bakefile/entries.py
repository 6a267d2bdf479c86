"""cache-from, cache-to, output, secret, ssh and attest: lists whose entries are strings or objects.

What is written goes on as it is written; what other targets see of it (`target.app.output[0].type`) are always
objects, with every key that the kind of entry has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.attributes import normal_attribute
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.schema import LATER
from hpcbake.bakefile.scope import EvaluationError, error_at
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.types import STRING, ListType, MapType, ObjectType, Type, friendly_name
from hpcbake.bakefile.values import (
    ListValue,
    MapValue,
    Null,
    ObjectValue,
    SetValue,
    TupleValue,
    Value,
    string,
    type_of,
)

#: Keys that references always find, empty where nothing is set.
_ALWAYS: Mapping[str, tuple[str, ...]] = {"output": ("type", "dest"), "secret": ("id", "src", "env")}
_PATHS = ListType(STRING)
_SSH = ObjectType((("id", STRING), ("paths", _PATHS)))


def typed_entries(source: SourceFile, attribute: ast.Attribute, value: Value) -> Value:
    """The entries as they are written: strings, and objects with strings in them. Raises EvaluationError."""
    if isinstance(value, Null):
        if attribute.name in LATER:
            return TupleValue(())
        message, advice = f"{attribute.name} must not be null", f"write {attribute.name} = [] for none"
        raise _wrong(source, attribute.expression, message, advice)
    unordered = isinstance(value, SetValue) and value.element == STRING
    if unordered or not isinstance(value, (TupleValue, ListValue, SetValue)):
        message = f"{attribute.name} must be a list of strings or objects, not {_with_article(value)}"
        advice = f'put it into brackets: {attribute.name} = ["…"]' if isinstance(value, str) else ""
        raise _wrong(source, attribute.expression, message, advice or "write a list, in brackets")
    entries: list[Value] = []
    for number, item in enumerate(value.items):
        if isinstance(item, Null):
            continue
        place = _element(attribute.expression, number, len(value.items))
        entry = _typed_entry(source, attribute.name, place, item)
        try:
            normal_attribute(attribute.name, [plain_entry(entry)])
        except MalformedValueError as error:
            raise _wrong(source, place, f"{attribute.name}: {error.message}", error.help) from None
        entries.append(entry)
    return TupleValue(tuple(entries))


def _typed_entry(source: SourceFile, name: str, place: ast.Node, item: Value) -> Value:
    if isinstance(item, str):
        return item
    if not isinstance(item, (MapValue, ObjectValue)):
        message = f"an entry of {name} must be a string or an object, not {_with_article(item)}"
        raise _wrong(source, place, message, 'write "key=value,key=value" or { key = "value" }')
    fields: dict[str, Value] = {}
    for key, field in item.items.items():
        wanted: Type = _PATHS if (name, key) == ("ssh", "paths") else STRING
        try:
            fields[key] = convert(field, wanted)
        except ConversionError as error:
            raise _wrong(source, place, f"{key} of this entry of {name}: {error}") from None
    return ObjectValue(fields)


def plain_entry(entry: Value) -> str | dict[str, Any]:
    """A typed entry as plain Python, without what is null."""
    if isinstance(entry, str):
        return entry
    assert isinstance(entry, ObjectValue)
    return {key: _plain_field(field) for key, field in entry.items.items() if not isinstance(field, Null)}


def _plain_field(field: Value) -> str | list[str]:
    return [str(item) for item in field.items] if isinstance(field, ListValue) else str(field)


def seen_entries(name: str, value: Value | None) -> ListValue:
    """The entries as references to them see them; None if the attribute is not set."""
    element: Type = _SSH if name == "ssh" else MapType(STRING)
    plain = [plain_entry(entry) for entry in value.items] if isinstance(value, TupleValue) else []
    normal = normal_attribute(name, plain)
    assert isinstance(normal, list)
    return ListValue(element, tuple(_seen_entry(name, entry) for entry in normal if isinstance(entry, dict)))


def _seen_entry(name: str, entry: Mapping[str, object]) -> Value:
    if name == "ssh":
        paths = entry.get("paths", ())
        assert isinstance(paths, (list, tuple))
        listed = ListValue(STRING, tuple(string(str(path)) for path in paths))
        return ObjectValue({"id": string(str(entry.get("id", ""))), "paths": listed})
    fields: dict[str, Value] = dict.fromkeys(_ALWAYS.get(name, ("type",)), "")
    for key, field in entry.items():
        fields[key] = "true" if field is True else string(str(field))
    return MapValue(STRING, fields)


def _element(node: ast.Node, number: int, count: int) -> ast.Node:
    """Where entry `number` is written, if the list is written out."""
    written = isinstance(node, ast.TupleNode) and len(node.items) == count
    return node.items[number] if written else node


def _with_article(value: Value) -> str:
    kind = friendly_name(type_of(value))
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _wrong(source: SourceFile, node: ast.Node, message: str, advice: str = "") -> EvaluationError:
    return error_at(source, codes.ATTRIBUTE_TYPE, (node.start, node.end), message, advice)
