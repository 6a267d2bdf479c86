"""Why one type cannot be converted to another, in words."""

from __future__ import annotations

from hpcbake.bakefile.types import (
    ANY,
    ListType,
    MapType,
    ObjectType,
    Primitive,
    SetType,
    TupleType,
    Type,
    friendly_name,
)


def mismatch_message(found: Type, wanted: Type) -> str:
    """What would be required instead; names the element at fault where one is."""
    if isinstance(found, ObjectType) and isinstance(wanted, ObjectType):
        return _objects(found, wanted)
    if isinstance(wanted, (ListType, SetType)) and isinstance(found, TupleType):
        return _tuple_elements(found, wanted)
    if isinstance(wanted, MapType) and isinstance(found, ObjectType):
        return _object_elements(found, wanted)
    for kind, noun in ((ListType, "list"), (SetType, "set"), (MapType, "map")):
        sources: tuple[type[Type], ...] = (MapType,) if kind is MapType else (ListType, SetType)
        if isinstance(wanted, kind) and isinstance(found, sources):
            assert isinstance(found, (ListType, SetType, MapType))
            return f"incorrect {noun} element type: {mismatch_message(found.element, wanted.element)}"
    return f"{friendly_name(wanted, constraint=True)} required"


def _convertible(found: Type, wanted: Type) -> bool:
    from hpcbake.bakefile.convert import find_conversion

    return found == wanted or find_conversion(found, wanted, unsafe=True) is not None


def _objects(found: ObjectType, wanted: ObjectType) -> str:
    missing = [n for n, _ in wanted.attributes if n not in found.by_name and n not in wanted.optional]
    if missing:
        quoted = [f'"{name}"' for name in missing]
        if len(quoted) == 1:
            return f"attribute {quoted[0]} is required"
        listed = " and ".join(quoted) if len(quoted) == 2 else ", ".join(quoted[:-1]) + f", and {quoted[-1]}"
        return f"attributes {listed} are required"
    for name, type_ in wanted.attributes:
        if name in found.by_name and not _convertible(found.by_name[name], type_):
            return f'attribute "{name}": {mismatch_message(found.by_name[name], type_)}'
    return "incorrect object attributes"


def _tuple_elements(found: TupleType, wanted: ListType | SetType) -> str:
    if wanted.element is ANY:
        return f"all {'list' if isinstance(wanted, ListType) else 'set'} elements must have the same type"
    for number, type_ in enumerate(found.elements):
        if not _convertible(type_, wanted.element):
            return f"element {number}: {mismatch_message(type_, wanted.element)}"
    return f"all elements must be {friendly_name(wanted.element, constraint=True)}"


def _object_elements(found: ObjectType, wanted: MapType) -> str:
    if wanted.element is ANY:
        return "all map elements must have the same type"
    for name, type_ in found.attributes:
        if not _convertible(type_, wanted.element):
            return f'element "{name}": {mismatch_message(type_, wanted.element)}'
    return f"all elements must be {friendly_name(wanted.element, constraint=True)}"


__all__ = ["Primitive", "mismatch_message"]
