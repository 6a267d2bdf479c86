"""`value.name` and `value[key]`."""

from __future__ import annotations

from collections.abc import Iterable

from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.number import Number
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.types import NUMBER, STRING, ListType, ObjectType, SetType, friendly_name
from hpcbake.bakefile.values import (
    UNKNOWN,
    ListValue,
    MapValue,
    Null,
    ObjectValue,
    SetValue,
    TupleValue,
    Unknown,
    Value,
    type_of,
)


class AccessError(Exception):
    """There is no such attribute or element."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def attribute_of(value: Value, name: str) -> Value:
    """`value.name`. Raises AccessError."""
    if isinstance(value, (ObjectValue, MapValue)):
        if name in value.items:
            return value.items[name]
        kind = "object" if isinstance(value, ObjectValue) else "map"
        raise AccessError(f"this {kind} has no {name}", _what_there_is(name, value.items))
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, Null):
        raise AccessError(f"this is null, so it has no {name}", "guard it: try(x.y, default)")
    type_ = type_of(value)
    if isinstance(type_, (ListType, SetType)) and isinstance(type_.element, ObjectType):
        advice = f"take one element: x[0].{name}, or all of them: x[*].{name}"
        raise AccessError(f"this is a {friendly_name(type_)}, so it has no {name}", advice)
    raise AccessError(f"this is a {friendly_name(type_)}, so it has no {name}")


def element_of(value: Value, key: Value) -> Value:
    """`value[key]`. Raises AccessError."""
    if isinstance(value, Null):
        raise AccessError("this is null, so it has no elements", "guard it: try(x[0], default)")
    if isinstance(key, Null):
        raise AccessError("an index must not be null")
    if isinstance(key, Unknown) or isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, (TupleValue, ListValue)):
        return value.items[_position(key, len(value.items))]
    if isinstance(value, (MapValue, ObjectValue)):
        name = _converted(key, STRING)
        assert isinstance(name, str)
        if name in value.items:
            return value.items[name]
        kind = "map" if isinstance(value, MapValue) else "object"
        raise AccessError(f'this {kind} has no element "{name}"', _what_there_is(name, value.items))
    if isinstance(value, SetValue):
        raise AccessError(
            "the elements of a set have no index", "go over them with a for expression, or make it a list"
        )
    raise AccessError(f"this is a {friendly_name(type_of(value))}, so it has no elements")


def _position(key: Value, length: int) -> int:
    number = _converted(key, NUMBER)
    assert isinstance(number, Number)
    if not number.is_integer:
        raise AccessError(f"{number} is not a whole number, so it cannot be an index", "use floor(…)")
    if number.sign < 0:
        raise AccessError("an index must not be negative", "count from the end with x[length(x) - 1]")
    position = number.truncated() if number.exponent < 64 else length
    if position >= length:
        what = "there are no elements" if not length else f"the last index is {length - 1}"
        raise AccessError(
            f"there is no element {position}: {what}", "element(x, n) wraps around; try(x[n], default) gives a default"
        )
    return position


def _converted(key: Value, wanted: object) -> Value:
    try:
        return convert(key, wanted)  # type: ignore[arg-type]
    except ConversionError as error:
        raise AccessError(f"this cannot be an index here: {error}") from None


def _what_there_is(name: str, names: Iterable[str]) -> str:
    known = list(names)
    near = nearest(name, known)
    if near:
        return f"did you mean {near}?"
    if not known:
        return "it is empty"
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return f"it has {shown}"
