"""What several functions do with their arguments."""

from __future__ import annotations

from hpcbake.bakefile.functions.function import FunctionError
from hpcbake.bakefile.number import Number, NumberError
from hpcbake.bakefile.values import ListValue, SetValue, TupleValue, Value

#: Go's int: what an index or a count must fit into.
_LARGEST_INT = 2**63 - 1


def whole(number: Number, argument: int | None = None) -> int:
    """A number as a Python int. Raises FunctionError if it has a fraction or is out of range."""
    try:
        value = number.truncated() if number.is_integer and number.exponent < 64 else None
    except NumberError:
        value = None
    if value is None:
        raise FunctionError("a whole number is required", argument)
    if not -_LARGEST_INT - 1 <= value <= _LARGEST_INT:
        raise FunctionError("this number is out of range", argument)
    return value


def sequence(value: Value) -> tuple[Value, ...] | None:
    """The elements of a list, tuple or set; None for anything else."""
    return value.items if isinstance(value, (ListValue, TupleValue, SetValue)) else None
