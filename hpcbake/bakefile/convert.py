"""Conversion of values between types.

`convert` is what happens to arguments, operands and attributes. It may fail on the value ("abc" is no number) or on
the type (a list is no number).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hpcbake.bakefile.mismatch import mismatch_message
from hpcbake.bakefile.number import Number, NumberError, parse_number
from hpcbake.bakefile.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    Primitive,
    SetType,
    TupleType,
    Type,
    without_optional,
)
from hpcbake.bakefile.values import (
    ListValue,
    MapValue,
    Null,
    ObjectValue,
    SetValue,
    TupleValue,
    Unknown,
    Value,
    make_list,
    make_map,
    make_set,
    type_of,
)


class ConversionError(Exception):
    """The value cannot be converted; the message says what would be required."""


Conversion = Callable[[Value], Value]


def convert(value: Value, wanted: Type) -> Value:
    """`value` as a value of type `wanted`. Raises ConversionError."""
    found = type_of(value)
    if found == wanted:
        return value
    if isinstance(wanted, ObjectType) and found == without_optional(wanted):
        return value
    conversion = find_conversion(found, wanted, unsafe=True)
    if conversion is None:
        raise ConversionError(mismatch_message(found, wanted))
    try:
        return conversion(value)
    except NumberError as error:
        raise ConversionError(str(error)) from None


def find_conversion(found: Type, wanted: Type, *, unsafe: bool) -> Conversion | None:
    """How to convert, or None if these types never convert. Unsafe conversions may fail on the value."""
    inner = _known_conversion(found, wanted, unsafe)
    if inner is None:
        return None
    conversion = inner

    def checked(value: Value) -> Value:
        if wanted is ANY:
            return value
        if isinstance(value, Unknown):
            return Unknown(without_optional(wanted))
        if isinstance(value, Null):
            return Null(without_optional(wanted))
        return conversion(value)

    return checked


def _known_conversion(found: Type, wanted: Type, unsafe: bool) -> Conversion | None:
    if wanted is ANY:
        return _same
    if found is ANY:
        return (lambda value: convert(value, wanted)) if unsafe else None
    if isinstance(found, Primitive) and isinstance(wanted, Primitive):
        return _primitive_conversion(found, wanted, unsafe)
    if isinstance(wanted, ObjectType):
        return _to_object(found, wanted, unsafe)
    if isinstance(wanted, TupleType):
        return _tuple_to_tuple(found, wanted, unsafe) if isinstance(found, TupleType) else None
    if isinstance(wanted, MapType):
        return _to_map(found, wanted, unsafe)
    if isinstance(wanted, (ListType, SetType)):
        return _to_sequence(found, wanted, unsafe)
    return None


def _unify(types: Sequence[Type], unsafe: bool) -> Type | None:
    from hpcbake.bakefile.unify import unify  # the two need each other

    return unify(types, unsafe=unsafe)


def _same(value: Value) -> Value:
    return value


# -- primitives


def _primitive_conversion(found: Type, wanted: Type, unsafe: bool) -> Conversion | None:
    if wanted is STRING and found in (NUMBER, BOOL):
        return _to_string
    if unsafe and found is STRING:
        return _string_to_number if wanted is NUMBER else _string_to_bool if wanted is BOOL else None
    return None


def _to_string(value: Value) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _string_to_number(value: Value) -> Value:
    assert isinstance(value, str)
    number = parse_number(value)
    if number is None:
        raise ConversionError("a number is required")
    return number


def _string_to_bool(value: Value) -> Value:
    assert isinstance(value, str)
    if value in ("true", "1"):
        return True
    if value in ("false", "0"):
        return False
    if value.lower() in ("true", "false"):
        raise ConversionError(f'a bool is required; to convert from string, use lowercase "{value.lower()}"')
    raise ConversionError("a bool is required")


# -- structures


def _to_object(found: Type, wanted: ObjectType, unsafe: bool) -> Conversion | None:
    if isinstance(found, MapType):
        return _map_to_object(found, wanted, unsafe) if unsafe else None
    if not isinstance(found, ObjectType):
        return None
    conversions: dict[str, Conversion] = {}
    for name, type_ in wanted.attributes:
        if name not in found.by_name:
            if name in wanted.optional:
                continue
            return None
        conversion = _element_conversion(found.by_name[name], type_, unsafe)
        if conversion is None:
            return None
        conversions[name] = conversion

    def to_object(value: Value) -> Value:
        assert isinstance(value, ObjectValue)
        items = {name: conversion(value.items[name]) for name, conversion in conversions.items()}
        return ObjectValue({**_absent(wanted, items), **items})

    return to_object


def _absent(wanted: ObjectType, items: dict[str, Value]) -> dict[str, Value]:
    return {n: Null(without_optional(wanted.by_name[n])) for n in wanted.optional if n not in items}


def _map_to_object(found: MapType, wanted: ObjectType, unsafe: bool) -> Conversion | None:
    conversions: dict[str, Conversion] = {}
    for name, type_ in wanted.attributes:
        conversion = _element_conversion(found.element, type_, unsafe)
        if conversion is None:
            if name in wanted.optional:
                continue
            return None
        conversions[name] = conversion

    def to_object(value: Value) -> Value:
        assert isinstance(value, MapValue)
        items = {name: conversions[name](item) for name, item in value.items.items() if name in conversions}
        for name, _ in wanted.attributes:
            if name not in items and name not in wanted.optional:
                raise ConversionError(f'map has no element for required attribute "{name}"')
        return ObjectValue({**_absent(wanted, items), **items})

    return to_object


def _tuple_to_tuple(found: TupleType, wanted: TupleType, unsafe: bool) -> Conversion | None:
    if len(found.elements) != len(wanted.elements):
        return None
    conversions: list[Conversion] = []
    for mine, theirs in zip(found.elements, wanted.elements, strict=True):
        conversion = _element_conversion(mine, theirs, unsafe)
        if conversion is None:
            return None
        conversions.append(conversion)

    def to_tuple(value: Value) -> Value:
        assert isinstance(value, TupleValue)
        return TupleValue(tuple(c(item) for c, item in zip(conversions, value.items, strict=True)))

    return to_tuple


def _element_conversion(found: Type, wanted: Type, unsafe: bool) -> Conversion | None:
    return _same if found == wanted else find_conversion(found, wanted, unsafe=unsafe)


# -- collections


def _to_map(found: Type, wanted: MapType, unsafe: bool) -> Conversion | None:
    element = wanted.element
    if isinstance(found, MapType):
        conversion = _element_conversion(found.element, element, unsafe)
        if conversion is None:
            return None
        each = conversion
        fallback = found.element if element is ANY else element
        return lambda value: _map_of({n: each(v) for n, v in _named(value).items()}, fallback)
    if not isinstance(found, ObjectType):
        return None
    if not found.attributes:
        return lambda _: MapValue(without_optional(element), {})
    found_types = [type_ for _, type_ in found.attributes]
    common = _common_element(found_types, element, unsafe)
    conversions = None if common is None else _conversions(found_types, common, unsafe)
    if conversions is None:
        return None
    by_name = dict(zip(found.by_name, conversions, strict=True))
    return lambda value: _map_of({n: by_name[n](v) for n, v in _named(value).items()}, element)


def _named(value: Value) -> dict[str, Value]:
    assert isinstance(value, (MapValue, ObjectValue))
    return value.items


def _map_of(items: dict[str, Value], element: Type) -> MapValue:
    if not items:
        return MapValue(without_optional(element), {})
    unified = _same_type(list(items.values()), "map")
    return make_map(dict(zip(items, unified, strict=True)), element)


def _to_sequence(found: Type, wanted: ListType | SetType, unsafe: bool) -> Conversion | None:
    element = wanted.element
    build = make_list if isinstance(wanted, ListType) else make_set
    empty: type[ListValue | SetValue] = ListValue if isinstance(wanted, ListType) else SetValue
    if isinstance(found, (ListType, SetType)):
        if isinstance(wanted, SetType) and isinstance(found, ListType) and not unsafe:
            return None
        conversion = _element_conversion(found.element, element, unsafe)
        if conversion is None:
            return None
        each = conversion
        fallback = found.element if element is ANY else element
        return lambda value: _sequence_of([each(v) for v in _items(value)], fallback, build, empty)
    if not isinstance(found, TupleType):
        return None
    if not found.elements:
        return lambda _: empty(without_optional(element), ())
    common = _common_element(found.elements, element, unsafe)
    if common is ANY and any(element is not ANY for element in found.elements):
        return None  # null beside a list or an object: nothing says what the nulls would be
    conversions = None if common is None else _conversions(found.elements, common, unsafe)
    if conversions is None:
        return None
    steps = conversions
    return lambda value: _sequence_of([c(v) for c, v in zip(steps, _items(value), strict=True)], element, build, empty)


def _items(value: Value) -> tuple[Value, ...]:
    assert isinstance(value, (TupleValue, ListValue, SetValue))
    return value.items


def _sequence_of(
    items: list[Value],
    element: Type,
    build: Callable[[Sequence[Value], Type], Value],
    empty: type[ListValue | SetValue],
) -> Value:
    if not items:
        return empty(without_optional(element), ())
    return build(_same_type(items, "list"), element)


def _common_element(found: Sequence[Type], wanted: Type, unsafe: bool) -> Type | None:
    """With an element type of `any`, the one type that all elements can be converted to."""
    return _unify(found, unsafe) if wanted is ANY else wanted


def _conversions(found: Sequence[Type], wanted: Type, unsafe: bool) -> list[Conversion] | None:
    conversions: list[Conversion] = []
    for type_ in found:
        conversion = _element_conversion(type_, wanted, unsafe)
        if conversion is None:
            return None
        conversions.append(conversion)
    return conversions


def _same_type(items: list[Value], kind: str) -> list[Value]:
    """Elements converted to `any` may still differ; a collection has one type."""
    types = [type_of(item) for item in items]
    distinct = {t for t in types if t is not ANY}
    if len(distinct) <= 1:
        return items
    common = _unify(types, unsafe=True)
    if common is None:
        raise ConversionError("collection elements cannot be unified")
    unified = [convert(item, common) for item in items]
    if len({t for t in map(type_of, unified) if t is not ANY}) > 1:
        raise ConversionError(f"element types must all match for conversion to {kind}")
    return unified


def as_string(value: Value) -> str:
    """The string that a value converts to. Raises ConversionError; null is not a string."""
    text = convert(value, STRING)
    if not isinstance(text, str):
        raise ConversionError("string required")
    return text


def as_number(value: Value) -> Number:
    """The number that a value converts to. Raises ConversionError; null is not a number."""
    number = convert(value, NUMBER)
    if not isinstance(number, Number):
        raise ConversionError("number required")
    return number
