"""Values of typed variables from outside: CSV in `NAME`, JSON in `NAME_JSON`."""

from __future__ import annotations

from typing import Any

from hpcbake.bakefile.csvfields import MalformedValueError, split_fields
from hpcbake.bakefile.jsonvalue import JsonError, is_number_text, load_json, number_of
from hpcbake.bakefile.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
    friendly_name,
    without_optional,
)
from hpcbake.bakefile.values import (
    ListValue,
    MapValue,
    Null,
    ObjectValue,
    TupleValue,
    Value,
    make_set,
    string,
)

_PRIMITIVES = (STRING, NUMBER, BOOL)


class OverrideError(Exception):
    """A value from outside does not fit. The message continues "NAME cannot be …"."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def is_csv_type(type_: Type) -> bool:
    """Can a value of this type be written as CSV: a collection or tuple of primitives?"""
    if isinstance(type_, (ListType, SetType, MapType)):
        return type_.element in _PRIMITIVES
    return isinstance(type_, TupleType) and all(element in _PRIMITIVES for element in type_.elements)


def from_csv(text: str, type_: Type) -> Value:
    """One line of CSV as a collection. Raises OverrideError."""
    if not text:
        raise OverrideError("set to an empty text: it is read as CSV", "unset it, or set NAME_JSON=[]")
    try:
        fields = split_fields(text)
    except MalformedValueError as error:
        raise OverrideError(f"set to {text!r}: {error}", "it is read as CSV: a,b,c") from None
    if isinstance(type_, MapType):
        return MapValue(type_.element, dict(_pair(field, type_.element) for field in fields))
    if isinstance(type_, TupleType):
        if len(fields) != len(type_.elements):
            raise OverrideError(f"set to {text!r}: it has {len(type_.elements)} elements, not {len(fields)}")
        return TupleValue(tuple(_primitive(f, t) for f, t in zip(fields, type_.elements, strict=True)))
    assert isinstance(type_, (ListType, SetType))
    items = tuple(_primitive(field, type_.element) for field in fields)
    return ListValue(type_.element, items) if isinstance(type_, ListType) else make_set(items, type_.element)


def _pair(field: str, element: Type) -> tuple[str, Value]:
    name, colon, text = field.partition(":")
    if not colon or ":" in text:
        raise OverrideError(f"set to {field!r}: its entries are key:value", "write a:1,b:2")
    return string(name), _primitive(text, element)


def _primitive(text: str, type_: Type) -> Value:
    from hpcbake.bakefile.variables import _as_bool, _as_number

    if type_ is BOOL:
        return _as_bool(text)
    return _as_number(text) if type_ is NUMBER else string(text)


def from_json(text: str, type_: Type) -> Value:
    """A JSON text strictly as a value of the type: nothing is converted. Raises OverrideError."""
    try:
        return _strict(load_json(text), type_)
    except JsonError as error:
        raise OverrideError(f"read from JSON: {error}", "NAME_JSON holds a JSON value of the declared type") from None


def _strict(data: Any, type_: Type) -> Value:
    if data is None:
        return Null(without_optional(type_))
    if type_ is ANY:
        from hpcbake.bakefile.jsonvalue import _value

        return _value(data, 0)
    if type_ in _PRIMITIVES:
        return _strict_primitive(data, type_)
    if isinstance(type_, (ListType, SetType)) and isinstance(data, list):
        items = tuple(_strict(item, type_.element) for item in data)
        return ListValue(type_.element, items) if isinstance(type_, ListType) else make_set(items, type_.element)
    if isinstance(type_, TupleType) and isinstance(data, list) and len(data) == len(type_.elements):
        return TupleValue(tuple(_strict(i, t) for i, t in zip(data, type_.elements, strict=True)))
    if isinstance(type_, MapType) and isinstance(data, dict):
        return MapValue(type_.element, {string(k): _strict(v, type_.element) for k, v in data.items()})
    if isinstance(type_, ObjectType) and isinstance(data, dict):
        return _strict_object(data, type_)
    raise JsonError(f"a {friendly_name(type_)} is required")


def _strict_primitive(data: Any, type_: Type) -> Value:
    """A primitive may be written as a string, and a string as any primitive."""
    if type_ is STRING and isinstance(data, bool):
        return "true" if data else "false"
    if type_ is STRING and isinstance(data, str):
        return string(data)
    if type_ is NUMBER and isinstance(data, str):
        return number_of(data)
    if type_ is BOOL and isinstance(data, bool):
        return data
    if type_ is BOOL and data in ("true", "1", "false", "0") and not is_number_text(data):
        return data in ("true", "1")
    raise JsonError(f"a {friendly_name(type_)} is required")


def _strict_object(data: dict[str, Any], type_: ObjectType) -> Value:
    items: dict[str, Value] = {}
    for name, value in data.items():
        if name not in type_.by_name:
            raise JsonError(f'unsupported attribute "{name}"')
        items[name] = _strict(value, type_.by_name[name])
    for name, attribute in type_.attributes:
        if name not in items:
            items[name] = Null(without_optional(attribute))
    return ObjectValue(items)
