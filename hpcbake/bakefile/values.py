"""The values of the bake language.

Strings and bools are Python's own (strings in Unicode normal form C), numbers are exact (`number.py`), the rest are
the small immutable classes below (`size` is a note of `work.py`: -1 until it was counted). A null has a type. An
Unknown stands for a value that an error kept from existing; it lives only inside conditionals, `try` and the check of
a `for` clause.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Union

from hpcbake.bakefile.number import Number, from_int
from hpcbake.bakefile.types import (
    ANY,
    BOOL,
    BYTES,
    NUMBER,
    STRING,
    TYPE,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
)


class Null:
    """No value, of a type that may be known."""

    __slots__ = ("type",)

    def __init__(self, type_: Type = ANY) -> None:
        self.type = type_


class Unknown:
    """A value that does not exist because of an error that may not matter; its type may be known."""

    __slots__ = ("type",)

    def __init__(self, type_: Type = ANY) -> None:
        self.type = type_


class TupleValue:
    """A fixed sequence of values of any types."""

    __slots__ = ("_type", "items", "size")

    def __init__(self, items: tuple[Value, ...]) -> None:
        self.items = items
        self.size = -1
        self._type: TupleType | None = None

    @property
    def type(self) -> TupleType:
        if self._type is None:
            self._type = TupleType(tuple(map(type_of, self.items)))
        return self._type


class ListValue:
    """A sequence of values of one type."""

    __slots__ = ("element", "items", "size")

    def __init__(self, element: Type, items: tuple[Value, ...]) -> None:
        self.element = element
        self.items = items
        self.size = -1

    @property
    def type(self) -> ListType:
        return ListType(self.element)


class SetValue:
    """Distinct values of one type, in their canonical order. Make it with `make_set`."""

    __slots__ = ("element", "items", "size")

    def __init__(self, element: Type, items: tuple[Value, ...]) -> None:
        self.element = element
        self.items = items
        self.size = -1

    @property
    def type(self) -> SetType:
        return SetType(self.element)


class MapValue:
    """Values of one type by name, sorted by name."""

    __slots__ = ("element", "items", "size")

    def __init__(self, element: Type, items: Mapping[str, Value]) -> None:
        self.element = element
        self.items = _by_name(items)
        self.size = -1

    @property
    def type(self) -> MapType:
        return MapType(self.element)


class ObjectValue:
    """Values of any types by name, sorted by name."""

    __slots__ = ("_type", "items", "size")

    def __init__(self, items: Mapping[str, Value]) -> None:
        self.items = _by_name(items)
        self.size = -1
        self._type: ObjectType | None = None

    @property
    def type(self) -> ObjectType:
        if self._type is None:
            self._type = ObjectType(tuple((name, type_of(value)) for name, value in self.items.items()))
        return self._type


class BytesValue:
    """Raw bytes: what `bytesslice` would work on, if any function made them."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class TypeValue:
    """A type as a value: the second argument of `convert`."""

    __slots__ = ("described",)

    def __init__(self, described: Type) -> None:
        self.described = described


Value = Union[  # noqa: UP007  (evaluated at run time)
    str, bool, Number, Null, Unknown, TupleValue, ListValue, SetValue, MapValue, ObjectValue, BytesValue, TypeValue
]
Sequenced = (TupleValue, ListValue, SetValue)
Mapped = (MapValue, ObjectValue)

NULL = Null()
UNKNOWN = Unknown()
EMPTY_TUPLE = TupleValue(())


def _by_name(items: Mapping[str, Value]) -> dict[str, Value]:
    """The order of names is that of their UTF-8 bytes, which is that of their code points."""
    return dict(sorted(items.items()))


def type_of(value: Value) -> Type:
    """The type of a value."""
    if isinstance(value, str):
        return STRING
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, Number):
        return NUMBER
    if isinstance(value, BytesValue):
        return BYTES
    if isinstance(value, TypeValue):
        return TYPE
    return value.type


def string(text: str) -> str:
    """A string value: text in normal form C."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def tuple_of(items: Sequence[Value]) -> TupleValue:
    return TupleValue(tuple(items))


def make_list(items: Sequence[Value], element: Type) -> ListValue:
    """A list; `element` is its type if no element says more."""
    for item in items:
        if (found := type_of(item)) != ANY:
            return ListValue(found, tuple(items))
    return ListValue(element, tuple(items))


def make_set(items: Sequence[Value], element: Type) -> SetValue:
    """A set: duplicates dropped, in canonical order."""
    for item in items:
        if (found := type_of(item)) != ANY:
            element = found
            break
    unique: dict[object, Value] = {}
    for item in items:
        unique.setdefault(identity(item), item)
    return SetValue(element, tuple(sorted(unique.values(), key=_rank)))


def make_map(items: Mapping[str, Value], element: Type) -> MapValue:
    """A map; `element` is its type if no element says more."""
    for item in items.values():
        if (found := type_of(item)) != ANY:
            return MapValue(found, items)
    return MapValue(element, items)


def _rank(value: Value) -> tuple[object, ...]:
    """Sets of primitives are sorted by value, what has no value last; others by their text, which is merely stable."""
    if isinstance(value, (str, Number, bool)):
        return (0, value)
    if isinstance(value, (Null, Unknown)):
        return (1, 0)
    return (0, repr(identity(value)))


def identity(value: Value) -> object:
    """Something hashable that is equal exactly for equal values of one type."""
    if isinstance(value, (bool, str)):
        return (type(value), value)
    if isinstance(value, Number):
        return ("number", value.sign, value.mantissa, value.exponent)
    if isinstance(value, Null):
        return ("null",)
    if isinstance(value, (TupleValue, ListValue, SetValue)):
        return tuple(identity(item) for item in value.items)
    if isinstance(value, (MapValue, ObjectValue)):
        return tuple((name, identity(item)) for name, item in value.items.items())
    return id(value)


def equal(left: Value, right: Value) -> bool:
    """Same type and same value; two nulls are equal whatever their types, a null equals nothing else."""
    if isinstance(left, Null) or isinstance(right, Null):
        return isinstance(left, Null) and isinstance(right, Null)
    if type(left) is not type(right):
        return False
    if isinstance(left, (str, bool, Number)):
        return left == right
    return type_of(left) == type_of(right) and identity(left) == identity(right)


def elements(value: Value) -> Iterator[tuple[Value, Value]]:
    """Key and element of everything in a collection or structure; a set's elements are their own keys."""
    if isinstance(value, SetValue):
        yield from ((item, item) for item in value.items)
    elif isinstance(value, (TupleValue, ListValue)):
        yield from ((from_int(number), item) for number, item in enumerate(value.items))
    elif isinstance(value, (MapValue, ObjectValue)):
        yield from value.items.items()


def has_unknown(value: Value) -> bool:
    """Is the value, or anything in it, unknown?"""
    if isinstance(value, (TupleValue, ListValue, SetValue)):
        return any(map(has_unknown, value.items))
    if isinstance(value, (MapValue, ObjectValue)):
        return any(map(has_unknown, value.items.values()))
    return isinstance(value, Unknown)


def can_iterate(value: Value) -> bool:
    return isinstance(value, (TupleValue, ListValue, SetValue, MapValue, ObjectValue))
