"""`condition ? yes : no`: both results are evaluated for their types, but only the one that is taken may fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.scope import Attempts, error_at
from hpcbake.bakefile.types import ANY, BOOL, Type, friendly_name
from hpcbake.bakefile.unify import unify
from hpcbake.bakefile.values import Null, Unknown, Value, type_of

if TYPE_CHECKING:
    from hpcbake.bakefile.evaluate import Evaluator


def conditional(evaluator: Evaluator, node: ast.Conditional) -> Value:
    """The result that the condition chooses, as the type that both results have in common."""
    yes_attempt, no_attempt = Attempts(evaluator), Attempts(evaluator)
    yes, no = yes_attempt.value(node.yes), no_attempt.value(node.no)
    common = _common_type(evaluator, node, yes, no)
    taken = _condition(evaluator, node, common)
    if taken is None:
        return Unknown(common)
    branch, value, attempt = (node.yes, yes, yes_attempt) if taken else (node.no, no, no_attempt)
    attempt.check(Unknown(common))
    if common is ANY:
        return value
    try:
        return convert(value, common)
    except ConversionError as failure:
        raise evaluator.error(codes.CONDITIONAL, branch, f"this result does not fit the other one: {failure}") from None


def _common_type(evaluator: Evaluator, node: ast.Conditional, yes: Value, no: Value) -> Type:
    """The type of the result; ANY leaves either value as it is."""
    yes_type, no_type = type_of(yes), type_of(no)
    if isinstance(yes, Null) and yes_type is ANY:
        return no_type
    if isinstance(no, Null) and no_type is ANY:
        return yes_type
    if yes_type is ANY or no_type is ANY:
        return ANY
    common = yes_type if yes_type == no_type else unify((yes_type, no_type), unsafe=True)
    if common is None:
        kinds = f"the first is a {friendly_name(yes_type)}, the second a {friendly_name(no_type)}"
        advice = "make both results the same kind of value, for example both lists: cond ? [x] : []"
        place = (node.yes.start, node.no.end)
        raise error_at(evaluator.source, codes.CONDITIONAL, place, f"the two results do not fit: {kinds}", advice)
    return common


def _condition(evaluator: Evaluator, node: ast.Conditional, common: Type) -> bool | None:
    attempts = Attempts(evaluator)
    value = attempts.value(node.condition)
    attempts.check(Unknown(common))
    if isinstance(value, Unknown):
        return None
    if isinstance(value, Null):
        message, advice = "the condition is null; it must be true or false", ""
    else:
        try:
            return convert(value, BOOL) is True
        except ConversionError:
            kind = friendly_name(type_of(value))
            advice = 'compare it: x != ""' if kind == "string" else "compare it: x != 0" if kind == "number" else ""
            message = f"the condition must be a bool, not a {kind}"
    error = evaluator.error(codes.CONDITIONAL, node.condition, message, advice)
    error.result = Unknown(common)
    raise error
