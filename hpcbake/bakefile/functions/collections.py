"""Lists, tuples, maps and objects."""

from __future__ import annotations

from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.functions.arguments import sequence, whole
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.number import Number, from_int
from hpcbake.bakefile.types import ANY, NUMBER, STRING, ListType, MapType, TupleType, friendly_name
from hpcbake.bakefile.unify import unify
from hpcbake.bakefile.values import (
    EMPTY_TUPLE,
    ListValue,
    MapValue,
    Null,
    ObjectValue,
    SetValue,
    TupleValue,
    Value,
    equal,
    identity,
    make_list,
    type_of,
)

FUNCTIONS: Registry = {}
_COLLECTION, _LIST, _VALUE = Parameter("collection"), Parameter("list"), Parameter("value")
_ANY_LIST = Parameter("list", ListType(ANY))
_KIND = "it must be a list, a map or a tuple"


@register(FUNCTIONS, "length", _COLLECTION)
def _length(value: Value) -> Value:
    if isinstance(value, (ListValue, TupleValue, SetValue, MapValue)):
        return from_int(len(value.items))
    advice = {str: "use strlen(…) for strings", ObjectValue: "use length(keys(…)) for objects"}.get(type(value), "")
    raise FunctionError(_KIND, 0, advice)


def _has(collection: Value, key: Value) -> bool | None:
    """Whether the collection has this key; None if it is no collection with keys."""
    if isinstance(collection, (ListValue, TupleValue)):
        if not isinstance(key, Number):
            return False
        return key.is_integer and key.sign >= 0 and key.exponent < 64 and key.truncated() < len(collection.items)
    if isinstance(collection, MapValue):
        return isinstance(key, str) and key in collection.items
    return None


@register(FUNCTIONS, "hasindex", _COLLECTION, Parameter("key"))
def _hasindex(collection: Value, key: Value) -> Value:
    has = _has(collection, key)
    if has is None:
        advice = "use can(x.name) for objects" if isinstance(collection, ObjectValue) else ""
        raise FunctionError(_KIND, 0, advice)
    return has


@register(FUNCTIONS, "index", _COLLECTION, Parameter("key"))
def _index(collection: Value, key: Value) -> Value:
    if isinstance(collection, MapValue) and isinstance(key, str):
        if key in collection.items:
            return collection.items[key]
        raise FunctionError(f'it has no element "{key}"')
    if not isinstance(collection, (ListValue, TupleValue)):
        raise FunctionError("a map's key must be a string" if isinstance(collection, MapValue) else _KIND)
    if not isinstance(key, Number):
        raise FunctionError("a list's key must be a number", 1, "to find the place of a value use indexof(list, value)")
    if not _has(collection, key):
        raise FunctionError(f"there is no element {key}")
    return collection.items[key.truncated()]


@register(FUNCTIONS, "indexof", _LIST, _VALUE)
def _indexof(items: Value, wanted: Value) -> Value:
    if not isinstance(items, (ListValue, TupleValue)):
        raise FunctionError("it must be a list or a tuple", 0)
    if not items.items:
        raise FunctionError("an empty list cannot be searched", 0)
    for position, item in enumerate(items.items):
        if not isinstance(item, Null) and equal(item, wanted):
            return from_int(position)
    raise FunctionError("the list has no such element", advice="guard it: try(indexof(…), -1), or use contains(…)")


@register(FUNCTIONS, "contains", _LIST, _VALUE)
def _contains(items: Value, wanted: Value) -> Value:
    found = sequence(items)
    if found is None:
        raise FunctionError("it must be a list, a tuple or a set", 0)
    return any(equal(wanted, item) for item in found)


@register(FUNCTIONS, "element", _LIST, Parameter("index", NUMBER))
def _element(items: Value, index: Number) -> Value:
    """Counts on from the beginning when the index is past the end."""
    if not isinstance(items, (ListValue, TupleValue)):
        raise FunctionError(f"a {friendly_name(type_of(items))} has no elements to take", 0)
    if index.sign < 0:
        raise FunctionError("the index must not be negative", 1)
    position = whole(index, 1)
    if not items.items:
        raise FunctionError("an empty list has no elements")
    return items.items[position % len(items.items)]


@register(FUNCTIONS, "coalescelist", variadic=Parameter("vals", nullable=True))
def _coalescelist(*lists: Value) -> Value:
    if not lists:
        raise FunctionError("it needs at least one argument")
    for items in lists:
        if not isinstance(type_of(items), (ListType, TupleType)):
            raise FunctionError("all arguments must be lists or tuples")
    for items in lists:
        if isinstance(items, (ListValue, TupleValue)) and items.items:
            return items
    raise FunctionError("all lists are empty")


@register(FUNCTIONS, "compact", Parameter("list", ListType(STRING)))
def _compact(items: ListValue) -> Value:
    return ListValue(STRING, tuple(item for item in items.items if isinstance(item, str) and item))


@register(FUNCTIONS, "distinct", _ANY_LIST)
def _distinct(items: ListValue) -> Value:
    unique: dict[object, Value] = {}
    for item in items.items:
        unique.setdefault(identity(item), item)
    return ListValue(items.element, tuple(unique.values()))


@register(FUNCTIONS, "chunklist", _ANY_LIST, Parameter("size", NUMBER))
def _chunklist(items: ListValue, size_number: Number) -> Value:
    size = whole(size_number, 1)
    if size < 0:
        raise FunctionError("it must not be negative", 1)
    length = len(items.items)
    if not length:
        return ListValue(items.type, ())
    size = size or length
    chunks = tuple(ListValue(items.element, items.items[at : at + size]) for at in range(0, length, size))
    return ListValue(items.type, chunks)


@register(FUNCTIONS, "flatten", _LIST)
def _flatten(items: Value) -> Value:
    if sequence(items) is None:
        raise FunctionError("only lists, sets and tuples can be flattened")
    flat: list[Value] = []
    stack = [iter((items,))]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif (inner := sequence(item)) is not None:
            stack.append(iter(inner))
        elif isinstance(item, Null) and isinstance(type_of(item), (ListType, TupleType)):
            raise FunctionError("a list inside it is null")
        else:
            flat.append(item)
    return TupleValue(tuple(flat))


@register(FUNCTIONS, "keys", Parameter("inputMap"))
def _keys(value: Value) -> Value:
    if isinstance(value, MapValue):
        return ListValue(STRING, tuple(value.items))
    if isinstance(value, ObjectValue):
        return TupleValue(tuple(value.items))
    raise FunctionError("it must be a map or an object", 0)


@register(FUNCTIONS, "values", Parameter("values"))
def _values(value: Value) -> Value:
    if isinstance(value, MapValue):
        return ListValue(value.element, tuple(value.items.values()))
    if isinstance(value, ObjectValue):
        return TupleValue(tuple(value.items.values()))
    raise FunctionError("it must be a map or an object")


@register(FUNCTIONS, "lookup", Parameter("inputMap"), Parameter("key", STRING), Parameter("default"))
def _lookup(value: Value, key: str, default: Value) -> Value:
    if not isinstance(value, (MapValue, ObjectValue)):
        raise FunctionError("it must be a map or an object", 0)
    if isinstance(value, MapValue):
        try:
            default = convert(default, value.element)
        except ConversionError:
            raise FunctionError("it must have the type of the map's elements", 2) from None
    return value.items.get(key, default)


@register(FUNCTIONS, "merge", variadic=Parameter("maps", nullable=True))
def _merge(*maps: Value) -> Value:
    types = [type_of(value) for value in maps]
    for type_ in types:
        if not isinstance(type_, MapType) and type_.__class__.__name__ != "ObjectType" and type_ is not ANY:
            raise FunctionError(f"all arguments must be maps or objects, not {friendly_name(type_)}")
    merged: dict[str, Value] = {}
    given = [value for value in maps if isinstance(value, (MapValue, ObjectValue))]
    for value in given:
        merged.update(value.items)
    first = types[0] if types else None
    if isinstance(first, MapType) and all(type_ == first for type_ in types):
        return MapValue(first.element, merged)
    return ObjectValue(merged)


@register(FUNCTIONS, "reverselist", _LIST)
def _reverselist(items: Value) -> Value:
    found = sequence(items)
    if found is None:
        raise FunctionError(f"only lists and tuples can be reversed, not a {friendly_name(type_of(items))}", 0)
    if isinstance(items, (ListValue, SetValue)):
        return ListValue(items.element, tuple(reversed(found)))
    return TupleValue(tuple(reversed(found)))


@register(FUNCTIONS, "concat", variadic=Parameter("seqs"))
def _concat(*seqs: Value) -> Value:
    if not seqs:
        raise FunctionError("it needs at least one list")
    if all(isinstance(items, ListValue) for items in seqs):
        common = unify([type_of(items) for items in seqs], unsafe=True)
        if isinstance(common, ListType):
            return _concat_lists(seqs, common)
    joined: list[Value] = []
    for number, items in enumerate(seqs):
        if not isinstance(items, (ListValue, TupleValue)):
            advice = "wrap a single value: concat(list, [x])"
            raise FunctionError(f"it must be a list or a tuple, not a {friendly_name(type_of(items))}", number, advice)
        joined.extend(items.items)
    return TupleValue(tuple(joined))


def _concat_lists(seqs: tuple[Value, ...], common: ListType) -> Value:
    joined: list[Value] = []
    for number, items in enumerate(seqs):
        try:
            converted = convert(items, common)
        except ConversionError as error:
            raise FunctionError(str(error), number) from None
        joined.extend(sequence(converted) or ())
    return make_list(joined, common.element)


@register(FUNCTIONS, "slice", _LIST, Parameter("start_index", NUMBER), Parameter("end_index", NUMBER))
def _slice(items: Value, start_number: Number, end_number: Number) -> Value:
    if not isinstance(items, (ListValue, TupleValue)):
        advice = "convert it to a list first" if isinstance(items, SetValue) else ""
        raise FunctionError("it must be a list or a tuple", 0, advice)
    length = len(items.items)
    start, end = whole(start_number, 1), whole(end_number, 2)
    for argument, place in ((1, start), (2, end)):
        if not 0 <= place <= length:
            raise FunctionError(f"it must be between 0 and {length}, the length of the list", argument)
    if start > end:
        raise FunctionError("the start must not be greater than the end", 1)
    chosen = items.items[start:end]
    return ListValue(items.element, chosen) if isinstance(items, ListValue) else TupleValue(chosen)


@register(FUNCTIONS, "zipmap", Parameter("keys", ListType(STRING)), Parameter("values"))
def _zipmap(keys: ListValue, values: Value) -> Value:
    if not isinstance(values, (ListValue, TupleValue)):
        raise FunctionError("it must be a list or a tuple", 1)
    if len(keys.items) != len(values.items):
        raise FunctionError(f"there are {len(keys.items)} keys but {len(values.items)} values")
    items: dict[str, Value] = {}
    for position, (key, value) in enumerate(zip(keys.items, values.items, strict=True)):
        if not isinstance(key, str):
            raise FunctionError(f"key {position} is null")
        items[key] = value
    return MapValue(values.element, items) if isinstance(values, ListValue) else ObjectValue(items)


__all__ = ["EMPTY_TUPLE", "FUNCTIONS"]
