"""Attribute values as the resolution half takes them: plain Python of the attribute's type."""

from __future__ import annotations

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.definition import AttributeValue
from hpcbake.bakefile.entries import plain_entry, typed_entries
from hpcbake.bakefile.schema import Kind
from hpcbake.bakefile.scope import EvaluationError, error_at
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.types import BOOL, STRING, ListType, MapType, friendly_name
from hpcbake.bakefile.values import (
    ListValue,
    MapValue,
    Null,
    ObjectValue,
    TupleValue,
    Value,
    type_of,
)

_TYPES = {
    Kind.TEXT: STRING,
    Kind.FLAG: BOOL,
    Kind.TEXTS: ListType(STRING),
    Kind.MAP: MapType(STRING),
    Kind.LOOSE_MAP: MapType(STRING),
}


def typed_attribute(source: SourceFile, attribute: ast.Attribute, value: Value, kind: Kind) -> Value:
    """The value converted to the attribute's type, as references to it see it. Raises EvaluationError."""
    if kind is Kind.ENTRIES:
        return typed_entries(source, attribute, value)
    ready = _ready_made(value, kind)
    if ready is not None:
        return ready
    if isinstance(value, Null) and attribute.name == "description":
        raise _wrong_type(source, attribute, value, kind, "it must not be null")
    wanted = _TYPES[kind]
    try:
        typed = convert(value, wanted)
    except ConversionError as error:
        raise _wrong_type(source, attribute, value, kind, str(error)) from None
    if isinstance(typed, ListValue) and any(isinstance(item, Null) for item in typed.items):
        raise _wrong_type(source, attribute, value, kind, "an element is null")
    if isinstance(typed, MapValue) and kind is Kind.MAP:
        empty = [name for name, item in typed.items.items() if isinstance(item, Null)]
        if empty:
            raise _wrong_type(source, attribute, value, kind, f"{empty[0]} is null")
    return typed


def _ready_made(value: Value, kind: Kind) -> Value | None:
    """What most values are converted to: all texts are texts already. None if it is not that simple."""
    if kind is Kind.TEXT:
        return value if isinstance(value, str) else None
    if kind is Kind.TEXTS and type(value) is TupleValue and all(type(item) is str for item in value.items):
        return ListValue(STRING, value.items)
    maps = kind is Kind.MAP or kind is Kind.LOOSE_MAP
    if maps and type(value) is ObjectValue and all(type(item) is str for item in value.items.values()):
        return MapValue(STRING, value.items)
    return None


def to_plain(value: Value) -> AttributeValue:
    """A typed attribute as plain Python; null is None."""
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, MapValue):
        return {name: None if isinstance(item, Null) else str(item) for name, item in value.items.items()}
    if isinstance(value, ListValue):
        return [str(item) for item in value.items]
    if isinstance(value, TupleValue):
        return [plain_entry(item) for item in value.items]
    return None


def _wrong_type(source: SourceFile, attribute: ast.Attribute, value: Value, kind: Kind, reason: str) -> EvaluationError:
    found = friendly_name(type_of(value))
    node = attribute.expression
    article = "an" if found[0] in "aeiou" else "a"
    same = reason.endswith("required") and not reason.startswith(("element", "attribute"))
    detail = f", not {article} {found}" if same else f": {reason}"
    message = f"{attribute.name} must be {kind.value}{detail}"
    return error_at(source, codes.ATTRIBUTE_TYPE, (node.start, node.end), message, _advice(attribute, value, kind))


def _advice(attribute: ast.Attribute, value: Value, kind: Kind) -> str:
    name = attribute.name
    if kind is Kind.FLAG:
        number = str(value) if type_of(value).__class__.__name__ == "Primitive" else ""
        meant = {"1": "true", "0": "false"}.get(number)
        return (
            f"numbers are not bools here: write {name} = {meant or 'true'}"
            if meant
            else f"write {name} = true or false"
        )
    if kind is Kind.TEXTS and isinstance(value, str):
        return f'put it into brackets: {name} = ["…"]'
    if kind in (Kind.MAP, Kind.LOOSE_MAP):
        return f'write {name} = {{ key = "value" }}'
    if kind is Kind.TEXT and isinstance(value, (TupleValue, ListValue)):
        return "write one string, without brackets"
    return ""
