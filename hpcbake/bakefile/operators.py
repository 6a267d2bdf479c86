"""The operators: what types they take and what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpcbake.bakefile.types import BOOL, NUMBER, Primitive
from hpcbake.bakefile.values import Value, equal

#: What each operator's operands are converted to first. Equality takes anything and converts nothing.
OPERAND_TYPES: dict[str, Primitive] = {
    "&&": BOOL, "||": BOOL, "!": BOOL, "<": NUMBER, ">": NUMBER, "<=": NUMBER, ">=": NUMBER,
    "+": NUMBER, "-": NUMBER, "*": NUMBER, "/": NUMBER, "%": NUMBER,
}  # fmt: skip

#: What each operator gives, known even where an operand is not.
RESULT_TYPES: dict[str, Primitive] = {
    operator: NUMBER if operator in "+-*/%" else BOOL for operator in (*OPERAND_TYPES, "==", "!=")
}

UNARY: dict[str, Callable[[Any], Value]] = {
    "-": lambda number: number.negate(),
    "!": lambda truth: not truth,
}

BINARY: dict[str, Callable[[Any, Any], Value]] = {
    "&&": lambda left, right: left and right,
    "||": lambda left, right: left or right,
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: left.compare(right) < 0,
    ">": lambda left, right: left.compare(right) > 0,
    "<=": lambda left, right: left.compare(right) <= 0,
    ">=": lambda left, right: left.compare(right) >= 0,
    "+": lambda left, right: left.add(right),
    "-": lambda left, right: left.subtract(right),
    "*": lambda left, right: left.multiply(right),
    "/": lambda left, right: left.divide(right),
    "%": lambda left, right: left.modulo(right),
}
