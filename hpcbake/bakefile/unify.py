"""The type that several types have in common: what the two results of a conditional become."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key

from hpcbake.bakefile.convert import find_conversion
from hpcbake.bakefile.types import ANY, STRING, ListType, MapType, ObjectType, Primitive, SetType, TupleType, Type


def unify(types: Sequence[Type], *, unsafe: bool) -> Type | None:
    """The type that values of all these types can be converted to, or None."""
    if not types:
        return None
    if len(set(types)) == 1:
        return types[0]
    structural = _unify_structures(types, unsafe)
    if structural is not _UNDECIDED:
        return structural if isinstance(structural, Type) else None
    for wanted in sorted(types, key=cmp_to_key(_preference)):
        if all(t == wanted or find_conversion(t, wanted, unsafe=unsafe) is not None for t in types):
            return wanted
    return None


_UNDECIDED = object()


def _unify_structures(types: Sequence[Type], unsafe: bool) -> object:
    """Types of one kind: unified part by part. _UNDECIDED leaves it to the general rule."""
    kinds = {type(t) for t in types if t is not ANY}
    dynamic = any(t is ANY for t in types)
    for kind in (MapType, ListType, SetType):
        if kinds == {kind}:
            return ANY if dynamic else _unify_collections(kind, types, unsafe)
    if kinds == {MapType, ObjectType}:
        return _unify_mixed(types, ObjectType, MapType, unsafe)
    if kinds == {ListType, TupleType}:
        return _unify_mixed(types, TupleType, ListType, unsafe)
    if kinds == {ObjectType}:
        return ANY if dynamic else _unify_objects([t for t in types if isinstance(t, ObjectType)], unsafe)
    if kinds == {TupleType}:
        return ANY if dynamic else _unify_tuples([t for t in types if isinstance(t, TupleType)], unsafe)
    return None if {ObjectType, TupleType} <= kinds else _UNDECIDED


def _unify_collections(kind: type[ListType | SetType | MapType], types: Sequence[Type], unsafe: bool) -> Type | None:
    element = unify([t.element for t in types if isinstance(t, (ListType, SetType, MapType))], unsafe=unsafe)
    return None if element is None else kind(element)


def _unify_mixed(
    types: Sequence[Type], structure: type[Type], collection: type[ListType | MapType], unsafe: bool
) -> object:
    """Tuples beside lists are taken for lists, objects beside maps for maps, if that works out."""
    parts = [part for t in types if isinstance(t, structure) for part in _parts(t)]
    element = unify(parts, unsafe=unsafe)
    if element is None:
        return _UNDECIDED
    unified = unify([collection(element) if isinstance(t, structure) else t for t in types], unsafe=unsafe)
    return unified if isinstance(unified, collection) else _UNDECIDED


def _parts(type_: Type) -> list[Type]:
    if isinstance(type_, ObjectType):
        return [t for _, t in type_.attributes]
    return list(type_.elements) if isinstance(type_, TupleType) else []


def _unify_objects(types: list[ObjectType], unsafe: bool) -> Type | None:
    names = set(types[0].by_name)
    if any(set(t.by_name) != names for t in types):
        element = unify([part for t in types for part in _parts(t)], unsafe=unsafe)
        return None if element is None else _if_all_convert(types, MapType(element), unsafe)
    attributes: list[tuple[str, Type]] = []
    for name, _ in types[0].attributes:
        common = unify([t.by_name[name] for t in types], unsafe=unsafe)
        if common is None:
            return None
        attributes.append((name, common))
    return ObjectType(tuple(attributes))


def _unify_tuples(types: list[TupleType], unsafe: bool) -> Type | None:
    if any(len(t.elements) != len(types[0].elements) for t in types):
        element = unify([part for t in types for part in _parts(t)], unsafe=unsafe)
        return None if element is None else _if_all_convert(types, ListType(element), unsafe)
    elements = [unify(column, unsafe=unsafe) for column in zip(*(t.elements for t in types), strict=True)]
    known = tuple(e for e in elements if e is not None)
    return TupleType(known) if len(known) == len(elements) else None


def _if_all_convert(types: Sequence[Type], wanted: Type, unsafe: bool) -> Type | None:
    fits = all(t == wanted or find_conversion(t, wanted, unsafe=unsafe) is not None for t in types)
    return wanted if fits else None


def _preference(left: Type, right: Type) -> int:
    """Which of two types to try first as the common one: the more general; the unknown type last of all."""
    if left is ANY or right is ANY:
        return (left is ANY) - (right is ANY)
    if isinstance(left, Primitive) and isinstance(right, Primitive):
        return (left is not STRING) - (right is not STRING)
    for kind in (ListType, SetType, MapType):
        if isinstance(left, kind) and isinstance(right, kind):
            return _preference(left.element, right.element)
    order: dict[type[Type], int] = {ListType: 0, TupleType: 1, SetType: 1, MapType: 0, ObjectType: 1}
    pair = {type(left), type(right)}
    if len(pair) == 2 and (pair <= {ListType, TupleType, SetType} or pair == {MapType, ObjectType}):
        return order[type(left)] - order[type(right)]
    return 0
