"""Logic, equality, `try`, `can`, `coalesce` and `convert`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.call import postponed_arguments
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.functions.function import Function, FunctionError, Parameter, Registry, register
from hpcbake.bakefile.scope import EvaluationError, error_at
from hpcbake.bakefile.types import ANY, BOOL
from hpcbake.bakefile.unify import unify
from hpcbake.bakefile.values import UNKNOWN, Null, Unknown, Value, equal, type_of

if TYPE_CHECKING:
    from hpcbake.bakefile.evaluate import Evaluator

FUNCTIONS: Registry = {}
_A, _B = Parameter("a", BOOL), Parameter("b", BOOL)


@register(FUNCTIONS, "and", _A, _B)
def _and(a: bool, b: bool) -> Value:
    return a and b


@register(FUNCTIONS, "or", _A, _B)
def _or(a: bool, b: bool) -> Value:
    return a or b


@register(FUNCTIONS, "not", Parameter("val", BOOL))
def _not(value: bool) -> Value:
    return not value


@register(FUNCTIONS, "equal", Parameter("a", nullable=True), Parameter("b", nullable=True))
def _equal(a: Value, b: Value) -> Value:
    return equal(a, b)


@register(FUNCTIONS, "notequal", Parameter("a", nullable=True), Parameter("b", nullable=True))
def _notequal(a: Value, b: Value) -> Value:
    return not equal(a, b)


@register(FUNCTIONS, "coalesce", variadic=Parameter("vals", nullable=True))
def _coalesce(*values: Value) -> Value:
    """The first argument that is not null, as the type that all arguments have in common."""
    common = unify([type_of(value) for value in values], unsafe=True)
    if common is None:
        raise FunctionError("all arguments must have the same type")
    for value in values:
        if not isinstance(value, Null):
            try:
                return convert(value, common)
            except ConversionError as error:
                raise FunctionError(str(error)) from None
    raise FunctionError("all arguments are null", advice='add a last one that is not: coalesce(x, "")')


def _try(evaluator: Evaluator, node: ast.Call) -> Value:
    """The first argument that can be evaluated."""
    problems: list[EvaluationError] = []
    for argument in postponed_arguments(evaluator, node):
        try:
            value = argument()
        except EvaluationError as error:
            problems.append(error)
            continue
        return UNKNOWN if isinstance(value, Unknown) else value
    if not problems:
        raise evaluator.error(codes.CALL_ARGUMENTS, node, "try needs at least one argument")
    first = problems[0].diagnostic
    advice = 'add a last argument that always works, such as null or ""'
    raise evaluator.error(codes.CALL_FAILED, node, f"no argument of try works; the first one: {first.message}", advice)


def _can(evaluator: Evaluator, node: ast.Call) -> Value:
    """Can the argument be evaluated?"""
    arguments = postponed_arguments(evaluator, node)
    if len(arguments) != 1:
        raise evaluator.error(codes.CALL_ARGUMENTS, node, "can takes one argument", "it is called as can(expression)")
    try:
        arguments[0]()
    except EvaluationError:
        return False
    return True


def _convert(evaluator: Evaluator, node: ast.Call) -> Value:
    """A value as another type; the type is written as in a variable block."""
    from hpcbake.bakefile.typeexpr import parse_type

    if len(node.args) != 2 or node.expand:
        advice = "it is called as convert(value, type)"
        raise evaluator.error(codes.CALL_ARGUMENTS, node, "convert takes a value and a type", advice)
    value = evaluator.value(node.args[0])
    wanted = parse_type(evaluator.source, node.args[1])
    if wanted is None:
        place = (node.args[1].start, node.args[1].end)
        raise error_at(evaluator.source, codes.CALL_ARGUMENTS, place, "null is not a type")
    try:
        return convert(value, wanted)
    except ConversionError as error:
        message = f"this value cannot be converted: {error}"
        raise evaluator.error(codes.CALL_FAILED, node.args[0], message) from None


def _never(*_: Value) -> Value:
    raise AssertionError("special functions evaluate their own arguments")


FUNCTIONS["try"] = Function("try", (), Parameter("expressions", ANY), _never, _try)
FUNCTIONS["can"] = Function("can", (Parameter("expression", ANY),), None, _never, _can)
FUNCTIONS["convert"] = Function("convert", (Parameter("value", ANY), Parameter("type", ANY)), None, _never, _convert)
