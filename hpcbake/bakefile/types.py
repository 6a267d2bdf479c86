"""The types of the bake language: primitives, collections (all elements of one type) and structures.

`list(string)` is not `tuple([string])`, and `map(string)` is not `object({a=string})`: what can be converted, and to
what, depends on the difference.
"""

from __future__ import annotations

from functools import cached_property

from hpcbake.model.record import Record


class Type(Record):
    """Base of all types."""


class Primitive(Type):
    """string, number, bool; and `any`, the type that is not known (of a bare null)."""

    name: str


STRING = Primitive("string")
NUMBER = Primitive("number")
BOOL = Primitive("bool")
ANY = Primitive("dynamic")


class ListType(Type):
    element: Type


class SetType(Type):
    element: Type


class MapType(Type):
    element: Type


class TupleType(Type):
    elements: tuple[Type, ...]


class ObjectType(Type):
    """Attributes sorted by name; `optional` names may be absent from a value that is converted to this type."""

    attributes: tuple[tuple[str, Type], ...]
    optional: frozenset[str] = frozenset()

    @cached_property
    def by_name(self) -> dict[str, Type]:
        return dict(self.attributes)


class OpaqueType(Type):
    """What only certain functions understand: `bytes`, and types as values."""

    name: str


BYTES = OpaqueType("bytes")
TYPE = OpaqueType("type")

Collection = ListType | SetType | MapType


def object_type(attributes: dict[str, Type], optional: frozenset[str] = frozenset()) -> ObjectType:
    """The object type with these attributes."""
    return ObjectType(tuple(sorted(attributes.items())), optional)


def friendly_name(type_: Type, *, constraint: bool = False) -> str:
    """The type in words: `list of string`. In a constraint, the unknown type is called `any type`."""
    if isinstance(type_, Primitive):
        return "any type" if constraint and type_ is ANY else type_.name
    if isinstance(type_, OpaqueType):
        return type_.name
    if isinstance(type_, ObjectType):
        return "object"
    if isinstance(type_, TupleType):
        return "tuple"
    kind = {ListType: "list", SetType: "set", MapType: "map"}[type(type_)]
    assert isinstance(type_, (ListType, SetType, MapType))
    if constraint and type_.element is ANY:
        return {"list": "list of any single type", "set": "set of any single type", "map": "map of any single type"}[
            kind
        ]
    return f"{kind} of {friendly_name(type_.element, constraint=constraint)}"


def without_optional(type_: Type) -> Type:
    """The type of values converted to `type_`: every optional attribute is there (maybe null)."""
    if isinstance(type_, ObjectType):
        return ObjectType(tuple((name, without_optional(t)) for name, t in type_.attributes))
    if isinstance(type_, TupleType):
        return TupleType(tuple(map(without_optional, type_.elements)))
    if isinstance(type_, (ListType, SetType, MapType)):
        return type(type_)(without_optional(type_.element))
    return type_
