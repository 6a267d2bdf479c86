"""Variables: default, type, environment, `--var`, validation."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.collect import Definition, Sourced
from hpcbake.bakefile.constants import constant_text
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.definition import VariableDefinition
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.evaluate import Evaluator
from hpcbake.bakefile.jsonvalue import to_json
from hpcbake.bakefile.number import Number, from_float
from hpcbake.bakefile.overridevalues import OverrideError, from_csv, from_json, is_csv_type
from hpcbake.bakefile.scope import DefinitionError, EvaluationError, Scope
from hpcbake.bakefile.source import Span
from hpcbake.bakefile.typeexpr import parse_type
from hpcbake.bakefile.types import ANY, BOOL, NUMBER, STRING, Primitive, Type, friendly_name, without_optional
from hpcbake.bakefile.values import Null, Value, string, type_of
from hpcbake.model.record import Record

#: What Go's ParseBool and ParseFloat take.
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_FLOAT = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")


class Overrides(Record):
    """Values from outside: the environment, and `--var`, which wins."""

    environment: Mapping[str, str]
    variables: Mapping[str, str]

    def find(self, name: str) -> str | None:
        if name in self.variables:
            return self.variables[name]
        return self.environment.get(name)


def variable_value(
    variable: Definition,
    shadow: Sourced | None,
    overrides: Overrides,
    declared: Mapping[str, Definition],
    scope: Scope,
) -> Value:
    """The value of a variable. Raises DefinitionError, EvaluationError.

    `shadow` is a top-level attribute of the same name: it takes the place of default and type.
    """
    wanted = None if shadow is not None else declared_type(variable)
    value = _default(variable, shadow, wanted, scope)
    json_text = None if _is_declared(f"{variable.name}_JSON", declared) else overrides.find(f"{variable.name}_JSON")
    text = overrides.find(variable.name)
    try:
        if wanted is not None and json_text is not None:
            return from_json(json_text, wanted)
        text = text if text is not None else json_text
        if text is not None:
            return _overridden(text, wanted, value)
    except OverrideError as error:
        message = f"{variable.name} cannot be {error}"
        raise DefinitionError((Diagnostic(codes.VARIABLE_VALUE, message, variable.span, error.advice),)) from None
    if value is not None:
        return value
    return "" if wanted is None else Null(without_optional(wanted))


def _is_declared(name: str, declared: Mapping[str, Definition]) -> bool:
    return name in declared or name in ("BAKE_CMD_CONTEXT", "BAKE_LOCAL_PLATFORM")


def declared_type(variable: Definition) -> Type | None:
    """The type that the block declares, or None if it declares none."""
    attribute = variable.attribute("type")
    if attribute is None:
        return None
    return parse_type(variable.source, attribute.expression)


def _default(variable: Definition, shadow: Sourced | None, wanted: Type | None, scope: Scope) -> Value | None:
    """The default, converted to the declared type; None if there is none."""
    if shadow is not None:
        return Evaluator(shadow.source, scope).value(shadow.attribute.expression)
    attribute = variable.attribute("default")
    if attribute is None:
        return None
    value = Evaluator(variable.source, scope).value(attribute.expression)
    if wanted is None:
        return value
    try:
        return convert(value, wanted)
    except ConversionError as error:
        message = f"the default of {variable.name} is no {friendly_name(wanted)}: {error}"
        span = variable.span_of(attribute.expression)
        raise DefinitionError((Diagnostic(codes.VARIABLE_VALUE, message, span),)) from None


def _overridden(text: str, wanted: Type | None, default: Value | None) -> Value:
    """The value that a text from outside means for a variable of this type, or with this default."""
    type_ = wanted if wanted is not None else _type_of_default(default)
    if type_ is STRING:
        return string(text)
    if type_ is BOOL:
        return _as_bool(text)
    if type_ is NUMBER:
        return _as_number(text)
    if wanted is not None and is_csv_type(type_):
        return from_csv(text, type_)
    if wanted is None:
        advice = "declare its type, for example type = list(string); then NAME is read as CSV, NAME_JSON as JSON"
    else:
        advice = "set NAME_JSON to a JSON value instead"
    raise OverrideError(f"set from outside: it is a {friendly_name(type_)}", advice)


def _type_of_default(default: Value | None) -> Type:
    if default is None or isinstance(default, Null):
        return STRING
    return type_of(default)


def _as_bool(text: str) -> Value:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise OverrideError(f'"{text}": it is a bool', "write true or false")


def _as_number(text: str) -> Number:
    if _HEX_FLOAT.fullmatch(text):
        return from_float(float.fromhex(text))
    if not _FLOAT.fullmatch(text):
        raise OverrideError(f'"{text}": it is a number', "write digits, for example 8 or 1.5")
    value = float(text.replace("_", ""))
    if value in (float("inf"), float("-inf")):
        raise OverrideError(f'"{text}": it is too large')
    return from_float(value)


def validate_variable(variable: Definition, scope: Scope) -> list[Diagnostic]:
    """What the validation blocks of a variable say."""
    found: list[Diagnostic] = []
    for block in variable.block.body.blocks:
        if block.type != "validation":
            continue
        attributes = {attribute.name: attribute for attribute in block.body.attributes}
        if "condition" not in attributes:
            span = Span(variable.source, block.start, block.type_end)
            advice = "write condition = … and error_message = …"
            found.append(Diagnostic(codes.VALIDATION, "this validation has no condition", span, advice))
            continue
        evaluator = Evaluator(variable.source, scope)
        try:
            problem = _check(variable, evaluator, attributes["condition"].expression, attributes)
        except (EvaluationError, DefinitionError) as error:
            found.extend(error.diagnostics)
            continue
        if problem is not None:
            found.append(problem)
    return found


def _check(
    variable: Definition, evaluator: Evaluator, condition: ast.Node, attributes: Mapping[str, object]
) -> Diagnostic | None:
    value = evaluator.value(condition)
    span = variable.span_of(condition)
    if isinstance(value, Null):
        return Diagnostic(codes.VALIDATION, "the condition is null; it must be true or false", span)
    try:
        holds = convert(value, BOOL)
    except ConversionError as error:
        return Diagnostic(codes.VALIDATION, f"the condition is no bool: {error}", span)
    if holds is True:
        return None
    message = "its validation failed"
    attribute = attributes.get("error_message")
    if isinstance(attribute, ast.Attribute):
        text = evaluator.value(attribute.expression)
        message = text if isinstance(text, str) else message
    return Diagnostic(codes.VALIDATION, f"{variable.name}: {message}", span, f"set {variable.name} to another value")


def describe_variable(variable: Definition, value: Value) -> VariableDefinition:
    """The variable as `--list=variables` shows it."""
    attribute = variable.attribute("description")
    description = "" if attribute is None else constant_text(variable.source, attribute)
    type_attribute = variable.attribute("type")
    type_name = ""
    if type_attribute is not None:
        declared = parse_type(variable.source, type_attribute.expression)
        type_name = "" if declared is None else friendly_name(declared)
    shown: str | None
    if isinstance(value, Null):
        shown = None
    elif isinstance(value, str):
        shown = value
    else:
        shown = to_json(value)
    return VariableDefinition(variable.name, type_name, shown, description)


__all__ = ["ANY", "Overrides", "Primitive", "declared_type", "describe_variable", "validate_variable", "variable_value"]
