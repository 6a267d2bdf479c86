"""Operators in expressions: operands converted, and errors that say which operand is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.number import NumberError
from hpcbake.bakefile.operators import BINARY, OPERAND_TYPES, RESULT_TYPES, UNARY
from hpcbake.bakefile.scope import Attempts, EvaluationError, error_at
from hpcbake.bakefile.types import friendly_name
from hpcbake.bakefile.values import Null, Unknown, Value, type_of

if TYPE_CHECKING:
    from hpcbake.bakefile.evaluate import Evaluator


def unary(evaluator: Evaluator, node: ast.Unary) -> Value:
    """`-x` and `!x`."""
    result = Unknown(RESULT_TYPES[node.operator])
    attempts = Attempts(evaluator)
    value = attempts.value(node.operand)
    attempts.check(result)
    operand = _operand(evaluator, node.operand, value, node.operator, "the operand")
    return result if isinstance(operand, Unknown) else UNARY[node.operator](operand)


def operation(evaluator: Evaluator, node: ast.Operation) -> Value:
    """A chain of operators of one precedence, from left to right."""
    attempts = Attempts(evaluator)
    left_node: Any = node.first
    left = attempts.value(node.first)
    for operator, right_node in node.rest:
        right = attempts.value(right_node)
        result = Unknown(RESULT_TYPES[operator])
        if attempts.failure is not None:
            left = result
            continue
        left = _applied(evaluator, node, operator, (left_node, left), (right_node, right))
        left_node = ast.Literal(None, node.start, right_node.end)
    attempts.check(left)
    return left


def _applied(
    evaluator: Evaluator, node: ast.Operation, operator: str, first: tuple[Any, Value], second: tuple[Any, Value]
) -> Value:
    (left_node, left), (right_node, right) = first, second
    if operator not in ("==", "!="):
        left = _operand(evaluator, left_node, left, operator, "the left operand")
        right = _operand(evaluator, right_node, right, operator, "the right operand")
    result = Unknown(RESULT_TYPES[operator])
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return result
    try:
        return BINARY[operator](left, right)
    except NumberError as failure:
        error = error_at(evaluator.source, codes.OPERAND, (node.start, right_node.end), str(failure))
        error.result = result
        raise error from None


def _operand(evaluator: Evaluator, node: Any, value: Value, operator: str, role: str) -> Value:
    wanted = OPERAND_TYPES[operator]
    try:
        converted = convert(value, wanted)
    except ConversionError:
        raise _misfit(evaluator, node, value, operator, role) from None
    if isinstance(converted, Null):
        error = evaluator.error(codes.OPERAND, node, f"{role} of {operator} is null")
        error.result = Unknown(RESULT_TYPES[operator])
        raise error
    return converted


def _misfit(evaluator: Evaluator, node: Any, value: Value, operator: str, role: str) -> EvaluationError:
    found = friendly_name(type_of(value))
    shown = f" ({value!r})" if isinstance(value, str) and len(value) < 40 else ""
    message = f"{role} of {operator} must be a {OPERAND_TYPES[operator].name}, not a {found}{shown}"
    advice = 'to join strings write "${a}${b}"' if operator == "+" and found == "string" else ""
    error = evaluator.error(codes.OPERAND, node, message, advice)
    error.result = Unknown(RESULT_TYPES[operator])
    return error
