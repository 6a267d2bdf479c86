"""Sets. Lists and tuples given instead are converted first."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.functions.arguments import sequence
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.types import ANY, ListType, SetType, TupleType, Type, friendly_name
from hpcbake.bakefile.unify import unify
from hpcbake.bakefile.values import (
    ListValue,
    SetValue,
    TupleValue,
    Value,
    identity,
    make_set,
    type_of,
)

FUNCTIONS: Registry = {}
_SET = SetType(ANY)
_FIRST, _OTHERS = Parameter("first_set", _SET), Parameter("other_sets", _SET)
#: As many combinations may `setproduct` make.
_LARGEST_PRODUCT = 200_000

Items = dict[object, Value]


def _combined(sets: tuple[SetValue, ...], combine: Callable[[Items, Items], Items]) -> Value:
    types = [s.element for s in sets if s.items or s.element is not ANY]
    element: Type | None = unify(types, unsafe=True) if types else ANY
    if element is None:
        raise FunctionError("the elements of the sets must have compatible types")
    wanted = SetType(element)
    result: Items | None = None
    for number, given in enumerate(sets):
        try:
            converted = convert(given, wanted)
        except ConversionError as error:
            raise FunctionError(str(error), number) from None
        items = {identity(item): item for item in sequence(converted) or ()}
        result = items if result is None else combine(result, items)
    return make_set(list((result or {}).values()), element)


@register(FUNCTIONS, "setunion", _FIRST, variadic=_OTHERS)
def _setunion(*sets: SetValue) -> Value:
    return _combined(sets, lambda a, b: {**a, **b})


@register(FUNCTIONS, "setintersection", _FIRST, variadic=_OTHERS)
def _setintersection(*sets: SetValue) -> Value:
    return _combined(sets, lambda a, b: {k: v for k, v in a.items() if k in b})


@register(FUNCTIONS, "setsubtract", Parameter("a", _SET), Parameter("b", _SET))
def _setsubtract(*sets: SetValue) -> Value:
    return _combined(sets, lambda a, b: {k: v for k, v in a.items() if k not in b})


@register(FUNCTIONS, "setsymmetricdifference", _FIRST, variadic=_OTHERS)
def _setsymmetricdifference(*sets: SetValue) -> Value:
    def difference(a: Items, b: Items) -> Items:
        return {**{k: v for k, v in a.items() if k not in b}, **{k: v for k, v in b.items() if k not in a}}

    return _combined(sets, difference)


@register(FUNCTIONS, "sethaselement", Parameter("set", _SET), Parameter("elem"))
def _sethaselement(given: SetValue, element: Value) -> Value:
    if given.element != type_of(element):
        return False
    return any(identity(item) == identity(element) for item in given.items)


@register(FUNCTIONS, "setproduct", variadic=Parameter("sets"))
def _setproduct(*sets: Value) -> Value:
    if len(sets) < 2:
        raise FunctionError("it needs at least two lists or sets")
    elements = [_element_type(number, given) for number, given in enumerate(sets)]
    total = 1
    for given in sets:
        total *= len(sequence(given) or ())
    if total > _LARGEST_PRODUCT:
        raise FunctionError(f"it would make {total} combinations; the limit is {_LARGEST_PRODUCT}")
    columns = [
        [convert(item, element) for item in sequence(given) or ()]
        for given, element in zip(sets, elements, strict=True)
    ]
    rows = tuple(TupleValue(row) for row in itertools.product(*columns))
    row_type = TupleType(tuple(elements))
    if any(isinstance(given, SetValue) for given in sets):
        return make_set(rows, row_type)
    return ListValue(row_type, rows)


def _element_type(number: int, given: Value) -> Type:
    if isinstance(given, (ListValue, SetValue)):
        return given.element
    if not isinstance(given, TupleValue):
        raise FunctionError(f"a set or a list is required, not a {friendly_name(type_of(given))}", number)
    if not given.items:
        return ANY
    common = unify(given.type.elements, unsafe=True)
    if common is None:
        raise FunctionError("all its elements must be of the same type", number)
    return common


__all__ = ["FUNCTIONS", "ListType"]
