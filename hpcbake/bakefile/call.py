"""Calling functions: counting, evaluating and converting arguments, and saying what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.functions import Function, FunctionError, Parameter, result_type
from hpcbake.bakefile.number import NumberError
from hpcbake.bakefile.scope import Attempts, EvaluationError, error_at
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.types import ANY, friendly_name
from hpcbake.bakefile.values import (
    UNKNOWN,
    ListValue,
    Null,
    SetValue,
    TupleValue,
    Unknown,
    Value,
    has_unknown,
    type_of,
)
from hpcbake.bakefile.work import MAX_SIZE, size_of

if TYPE_CHECKING:
    from hpcbake.bakefile.evaluate import Evaluator

#: Functions that people bring along from Terraform or elsewhere, and what bake has for them.
_ELSEWHERE = {
    "tostring": 'convert(x, string), or "${x}"',
    "tonumber": "convert(x, number)",
    "tobool": "convert(x, bool)",
    "tolist": "convert(x, list(string))",
    "toset": "convert(x, set(string))",
    "tomap": "convert(x, map(string))",
    "abs": "absolute(x)",
    "len": "length(x) for lists, strlen(x) for strings",
    "env": 'a variable block: variable "NAME" {}',
    "getenv": 'a variable block: variable "NAME" {}',
    "file": "nothing: bake reads no files; pass the text by a variable",
    "templatefile": "nothing: bake reads no files; write a heredoc",
    "one": "try(x[0], null)",
    "sum": "add(x, y)",
    "startswith": 'can(regex("^…", x))',
    "endswith": 'can(regex("…$", x))',
    "strcontains": 'can(regex("…", x))',
    "matchkeys": "a for expression with if",
    "transpose": "a for expression",
    "alltrue": "a for expression: length([for x in list : x if !x]) == 0",
    "anytrue": "a for expression: length([for x in list : x if x]) > 0",
    "uuid": "uuidv4()",
    "base64sha256": "base64encode(sha256(x)), which encodes the hexadecimal text",
    "yamldecode": "jsondecode(x)",
    "yamlencode": "jsonencode(x), which is YAML too",
}


def call_function(evaluator: Evaluator, node: ast.Call) -> Value:
    """The value of a call. Raises EvaluationError, DefinitionError."""
    function = evaluator.scope.world.function(node.name)
    if function is None:
        raise _unknown_function(evaluator, node)
    if function.special is not None:
        return function.special(evaluator, node)
    nodes, values = _arguments(evaluator, node)
    _check_count(evaluator, node, function, nodes)
    converted = [_converted(evaluator, node, function, n, nodes[n], value) for n, value in enumerate(values)]
    if evaluator.scope.blank and any(map(has_unknown, converted)):
        return Unknown(result_type(node.name))
    if sum(map(size_of, converted)) > MAX_SIZE:
        raise evaluator.scope.work.refuse_arguments(evaluator.source, node)
    try:
        return evaluator.built(node, function.compute(*converted))
    except FunctionError as error:
        raise _failure(evaluator, node, function, nodes, error) from None
    except NumberError as error:
        raise evaluator.error(codes.CALL_FAILED, node, f"{node.name} failed: {error}") from None


def _unknown_function(evaluator: Evaluator, node: ast.Call) -> EvaluationError:
    place = (node.start, node.name_end)
    near = nearest(node.name, evaluator.scope.world.function_names())
    if node.name in _ELSEWHERE:
        advice = f"bake has {_ELSEWHERE[node.name]}"
    else:
        advice = f"did you mean {near}?" if near else 'define it: function "…" { params = […]  result = … }'
    return error_at(evaluator.source, codes.UNKNOWN_FUNCTION, place, f"there is no function {node.name}", advice)


def _arguments(evaluator: Evaluator, node: ast.Call) -> tuple[list[ast.Node], list[Value]]:
    """Each argument's node and value; the elements of an expanded last one all have its node."""
    if not node.expand:
        attempts = Attempts(evaluator)
        values = [attempts.value(arg) for arg in node.args]
        attempts.check(UNKNOWN)
        return list(node.args), values
    *plain, last = node.args
    spread = _expanded(evaluator, last)
    values = [evaluator.value(arg) for arg in plain]
    return [*plain, *([last] * len(spread))], [*values, *spread]


def _expanded(evaluator: Evaluator, last: ast.Node) -> tuple[Value, ...]:
    """The elements of an argument that is followed by `...`."""
    spread = evaluator.value(last)
    if isinstance(spread, Unknown):
        return (UNKNOWN,)
    if isinstance(spread, Null):
        raise evaluator.error(codes.CALL_ARGUMENTS, last, "a null value cannot be expanded into arguments")
    if not isinstance(spread, (TupleValue, ListValue, SetValue)):
        message = f"only a list can be expanded into arguments, not a {friendly_name(type_of(spread))}"
        raise evaluator.error(codes.CALL_ARGUMENTS, last, message)
    return spread.items


def postponed_arguments(evaluator: Evaluator, node: ast.Call) -> list[Callable[[], Value]]:
    """The arguments of a function that decides itself which of them it wants to know."""
    plain, spread = (node.args[:-1], _expanded(evaluator, node.args[-1])) if node.expand else (node.args, ())
    return [*(partial(evaluator.value, argument) for argument in plain), *(partial(_itself, value) for value in spread)]


def _itself(value: Value) -> Value:
    return value


def signature(function: Function) -> str:
    """`join(separator, lists...)`."""
    names = [parameter.name for parameter in function.parameters]
    if function.variadic is not None:
        names.append(f"{function.variadic.name}...")
    return f"{function.name}({', '.join(names)})"


def _check_count(evaluator: Evaluator, node: ast.Call, function: Function, nodes: list[ast.Node]) -> None:
    wanted, given = len(function.parameters), len(nodes)
    if given < wanted and not (node.expand and any(isinstance(n, Unknown) for n in nodes)):
        missing = function.parameters[given].name
        place = (node.close, node.close + 1)
        message = (
            f"{node.name} needs {'at least ' if function.variadic else ''}{wanted} argument(s); {missing} is missing"
        )
        raise error_at(evaluator.source, codes.CALL_ARGUMENTS, place, message, f"it is called as {signature(function)}")
    if given > wanted and function.variadic is None:
        message = f"{node.name} takes only {wanted} argument(s)"
        raise evaluator.error(codes.CALL_ARGUMENTS, nodes[wanted], message, f"it is called as {signature(function)}")


def parameter_of(function: Function, number: int) -> Parameter:
    if number < len(function.parameters):
        return function.parameters[number]
    assert function.variadic is not None
    return function.variadic


def _converted(evaluator: Evaluator, call: ast.Call, function: Function, number: int, node: Any, value: Value) -> Value:
    parameter = parameter_of(function, number)
    if parameter.type is not ANY:
        try:
            value = convert(value, parameter.type)
        except ConversionError as error:
            message = f"{parameter.name} of {call.name} does not fit: {error}"
            raise evaluator.error(
                codes.CALL_ARGUMENTS, node, message, f"it is called as {signature(function)}"
            ) from None
    if isinstance(value, Null) and not parameter.nullable:
        message = f"{parameter.name} of {call.name} must not be null"
        raise evaluator.error(codes.CALL_ARGUMENTS, node, message)
    return value


def _failure(
    evaluator: Evaluator, node: ast.Call, function: Function, nodes: list[ast.Node], error: FunctionError
) -> EvaluationError:
    if error.argument is None or error.argument >= len(nodes):
        return evaluator.error(codes.CALL_FAILED, node, f"{node.name} failed: {error}", error.advice)
    parameter = parameter_of(function, error.argument)
    message = f"{parameter.name} of {node.name} does not fit: {error}"
    return evaluator.error(codes.CALL_ARGUMENTS, nodes[error.argument], message, error.advice)
