"""Expressions to values.

Errors are exceptions: the first one in an expression ends its evaluation, unless it happened in the branch of a
conditional that is not taken, or inside `try` or `can`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.access import AccessError, attribute_of, element_of
from hpcbake.bakefile.call import call_function
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.number import NumberError, parse_number
from hpcbake.bakefile.operators import BINARY, OPERAND_TYPES, UNARY
from hpcbake.bakefile.scope import EvaluationError, Scope, UndefinedNameError, error_at
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.types import ANY, BOOL, STRING, ListType, SetType, TupleType, friendly_name
from hpcbake.bakefile.unify import unify
from hpcbake.bakefile.values import (
    EMPTY_TUPLE,
    NULL,
    UNKNOWN,
    ListValue,
    Null,
    ObjectValue,
    SetValue,
    TupleValue,
    Unknown,
    Value,
    can_iterate,
    elements,
    make_list,
    string,
    type_of,
)


class Evaluator:
    """Evaluates the expressions of one file in one scope."""

    __slots__ = ("scope", "source")

    def __init__(self, source: SourceFile, scope: Scope) -> None:
        self.source = source
        self.scope = scope

    def value(self, node: ast.Node) -> Value:
        """The value of an expression. Raises EvaluationError, DefinitionError."""
        return _EVALUATE[type(node)](self, node)

    def within(self, scope: Scope) -> Evaluator:
        return Evaluator(self.source, scope)

    def error(self, code: str, node: Any, message: str, advice: str = "") -> EvaluationError:
        return error_at(self.source, code, (node.start, node.end), message, advice)

    # -- leaves

    def literal(self, node: ast.Literal) -> Value:
        return NULL if node.value is None else node.value

    def number(self, node: ast.NumberLiteral) -> Value:
        number = parse_number(node.text)
        if number is None:
            raise self.error(codes.NUMBER, node, f"{node.text} is not a number, or has too many digits")
        return number

    def variable(self, node: ast.Variable) -> Value:
        value = self.scope.local(node.name)
        if value is None:
            world = self.scope.world
            try:
                value = world.reference(node) if world.is_block_name(node.name) else world.value_of(node.name)
            except UndefinedNameError:
                raise self._unknown_name(node) from None
            except AccessError as error:
                raise self.error(codes.REFERENCE, node, str(error), error.advice) from None
        return self._take_steps(value, node.steps) if node.steps else value

    def _unknown_name(self, node: ast.Variable) -> EvaluationError:
        known = {*self.scope.world.names(), *self.scope.local_names()}
        place = (node.start, node.start + len(node.name))
        near = nearest(node.name, known)
        if near:
            advice = f"did you mean {near}?"
        elif node.name.partition("-")[0] in known and "-" in node.name:
            advice = "`-` belongs to the name; put blanks around it to subtract"
        else:
            advice = f'define it: variable "{node.name}" {{ default = … }}; put text into double quotes'
        return error_at(self.source, codes.UNKNOWN_VARIABLE, place, f"nothing is named {node.name}", advice)

    def splat_item(self, node: ast.SplatItem) -> Value:
        item = self.scope.visited()
        assert item is not None, node
        return item

    def broken(self, node: ast.Broken) -> Value:
        raise self.error(node.code, node, node.message, node.advice)

    # -- structure

    def parens(self, node: ast.Parens | ast.Wrapped) -> Value:
        return self.value(node.inner)

    def tuple_node(self, node: ast.TupleNode) -> Value:
        return TupleValue(tuple([self.value(item) for item in node.items]))

    def object_node(self, node: ast.ObjectNode) -> Value:
        items: dict[str, Value] = {}
        for key, value in node.items:
            items[self._object_key(key)] = self.value(value)
        return ObjectValue(items)

    def _object_key(self, node: ast.Node) -> str:
        if isinstance(node, ast.Variable):
            if not node.steps:
                return string(node.name)
            text = self.source.text[node.start : node.end]
            advice = f'write "{text}" for that name, or ({text}) for its value'
            raise self.error(codes.OBJECT_KEY, node, "a key with dots is ambiguous", advice)
        if isinstance(node, ast.Literal) and not isinstance(node.value, str):
            return {True: "true", False: "false", None: "null"}[node.value]
        return self._key_text(node, self.value(node))

    def _key_text(self, node: ast.Node, key: Value) -> str:
        if isinstance(key, Null):
            raise self.error(codes.OBJECT_KEY, node, "a key must not be null")
        try:
            text = convert(key, STRING)
        except ConversionError as error:
            raise self.error(codes.OBJECT_KEY, node, f"this cannot be a key: {error}") from None
        return text if isinstance(text, str) else ""

    # -- traversals

    def traversal(self, node: ast.Traversal) -> Value:
        return self._take_steps(self.value(node.source), node.steps)

    def index(self, node: ast.Index) -> Value:
        collection, key = self.value(node.collection), self.value(node.key)
        try:
            return element_of(collection, key)
        except AccessError as error:
            raise error_at(self.source, codes.INDEX, (node.bracket, node.end), str(error), error.advice) from None

    def _take_steps(self, value: Value, steps: tuple[ast.Step, ...]) -> Value:
        for step in steps:
            try:
                if isinstance(step, ast.Attr):
                    value = attribute_of(value, step.name)
                else:
                    value = element_of(value, self.value(step.key))
            except AccessError as error:
                code = codes.ATTRIBUTE_ACCESS if isinstance(step, ast.Attr) else codes.INDEX
                raise self.error(code, step, str(error), error.advice) from None
        return value

    def splat(self, node: ast.Splat) -> Value:
        source = self.value(node.source)
        if isinstance(source, Unknown):
            return UNKNOWN
        sequence = isinstance(type_of(source), (TupleType, ListType, SetType))
        if isinstance(source, Null):
            if not sequence:
                return EMPTY_TUPLE
            raise self.error(codes.ITERATION, node.source, "[*] cannot be applied to a null list")
        items = source.items if isinstance(source, (TupleValue, ListValue, SetValue)) else (source,)
        results = tuple([self.within(self.scope.visiting(item)).value(node.each) for item in items])
        if isinstance(source, (ListValue, SetValue)):
            return make_list(results, ANY) if results else ListValue(self._empty_splat_type(node, source), ())
        return TupleValue(results)

    def _empty_splat_type(self, node: ast.Splat, source: ListValue | SetValue) -> Any:
        return source.element if isinstance(node.each, ast.SplatItem) else ANY

    # -- templates

    def template(self, node: ast.Template) -> Value:
        pieces: list[str] = []
        unknown = False
        for part in node.parts:
            if type(part) is ast.Literal and isinstance(part.value, str):
                pieces.append(part.value)
                continue
            value = self.value(part)
            if isinstance(value, Unknown):
                unknown = True
            else:
                pieces.append(self._interpolated(part, value))
        return UNKNOWN if unknown else string("".join(pieces))

    def _interpolated(self, node: Any, value: Value) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, Null):
            advice = 'give it a default: coalesce(x, "…"), or test it: x == null ? "" : x'
            raise self.error(codes.INTERPOLATION, node, "a null value cannot be put into a string", advice)
        try:
            text = convert(value, STRING)
        except ConversionError:
            kind = friendly_name(type_of(value))
            advice = 'use join(",", …) for lists, jsonencode(…) for anything'
            raise self.error(
                codes.INTERPOLATION, node, f"a value of type {kind} cannot be put into a string", advice
            ) from None
        except NumberError as error:
            raise self.error(codes.INTERPOLATION, node, str(error)) from None
        assert isinstance(text, str)
        return text

    def joined(self, node: ast.Joined) -> Value:
        results = self.value(node.loop)
        if not isinstance(results, TupleValue):
            return UNKNOWN
        if any(isinstance(item, Unknown) for item in results.items):
            return UNKNOWN
        return string("".join(self._interpolated(node, item) for item in results.items))

    # -- operators

    def unary(self, node: ast.Unary) -> Value:
        operand = self._operand(node.operand, self.value(node.operand), node.operator, "the operand")
        return UNKNOWN if isinstance(operand, Unknown) else UNARY[node.operator](operand)

    def operation(self, node: ast.Operation) -> Value:
        left_node: Any = node.first
        left = self.value(node.first)
        for operator, right_node in node.rest:
            right = self.value(right_node)
            if operator not in ("==", "!="):
                left = self._operand(left_node, left, operator, "the left operand")
                right = self._operand(right_node, right, operator, "the right operand")
            try:
                left = (
                    UNKNOWN
                    if isinstance(left, Unknown) or isinstance(right, Unknown)
                    else BINARY[operator](left, right)
                )
            except NumberError as error:
                raise error_at(self.source, codes.OPERAND, (node.start, right_node.end), str(error)) from None
            left_node = ast.Literal(None, node.start, right_node.end)
        return left

    def _operand(self, node: Any, value: Value, operator: str, role: str) -> Value:
        wanted = OPERAND_TYPES[operator]
        try:
            converted = convert(value, wanted)
        except ConversionError:
            found = friendly_name(type_of(value))
            shown = f" ({value!r})" if isinstance(value, str) and len(value) < 40 else ""
            message = f"{role} of {operator} must be a {wanted.name}, not a {found}{shown}"
            advice = 'to join strings write "${a}${b}"' if operator == "+" and found == "string" else ""
            raise self.error(codes.OPERAND, node, message, advice) from None
        if isinstance(converted, Null):
            raise self.error(codes.OPERAND, node, f"{role} of {operator} is null")
        return converted

    # -- conditionals

    def conditional(self, node: ast.Conditional) -> Value:
        yes, yes_error = self._attempt(node.yes)
        no, no_error = self._attempt(node.no)
        common = self._common_type(node, yes, no)
        taken = self._condition(node)
        if taken is None:
            return UNKNOWN
        branch, value, error = (node.yes, yes, yes_error) if taken else (node.no, no, no_error)
        if error is not None:
            raise error
        if common is None or isinstance(value, Unknown):
            return value
        try:
            return convert(value, common)
        except ConversionError as failure:
            raise self.error(codes.CONDITIONAL, branch, f"this result does not fit the other one: {failure}") from None

    def _attempt(self, node: ast.Node) -> tuple[Value, EvaluationError | None]:
        try:
            return self.value(node), None
        except EvaluationError as error:
            return UNKNOWN, error

    def _common_type(self, node: ast.Conditional, yes: Value, no: Value) -> Any:
        """The type of the result; None leaves either value as it is."""
        yes_type, no_type = type_of(yes), type_of(no)
        if isinstance(yes, Null) and yes_type is ANY:
            return no_type if no_type is not ANY else None
        if isinstance(no, Null) and no_type is ANY:
            return yes_type if yes_type is not ANY else None
        if yes_type is ANY or no_type is ANY or yes_type == no_type:
            return None
        common = unify((yes_type, no_type), unsafe=True)
        if common is None:
            kinds = f"the first is a {friendly_name(yes_type)}, the second a {friendly_name(no_type)}"
            advice = "make both results the same kind of value, for example both lists: cond ? [x] : []"
            raise error_at(
                self.source,
                codes.CONDITIONAL,
                (node.yes.start, node.no.end),
                f"the two results do not fit: {kinds}",
                advice,
            )
        return common

    def _condition(self, node: ast.Conditional) -> bool | None:
        value = self.value(node.condition)
        if isinstance(value, Unknown):
            return None
        if isinstance(value, Null):
            raise self.error(codes.CONDITIONAL, node.condition, "the condition is null; it must be true or false")
        try:
            return convert(value, BOOL) is True
        except ConversionError:
            kind = friendly_name(type_of(value))
            advice = 'compare it: x != ""' if kind == "string" else "compare it: x != 0" if kind == "number" else ""
            message = f"the condition must be a bool, not a {kind}"
            raise self.error(codes.CONDITIONAL, node.condition, message, advice) from None

    # -- loops

    def loop(self, node: ast.For) -> Value:
        collection = self.value(node.collection)
        if isinstance(collection, Null):
            raise self.error(codes.ITERATION, node.collection, "`for` cannot go over null")
        if isinstance(collection, Unknown):
            return UNKNOWN
        if not can_iterate(collection):
            kind = friendly_name(type_of(collection))
            advice = 'split it first: split(",", x)' if kind == "string" else ""
            raise self.error(codes.ITERATION, node.collection, f"`for` cannot go over a {kind}", advice)
        if node.condition is not None:
            self._check_condition(node, node.condition)
        return self._tuple_loop(node, collection) if node.key is None else self._object_loop(node, node.key, collection)

    def _check_condition(self, node: ast.For, condition: ast.Node) -> None:
        """The `if` clause is looked at once without an element, so that its mistakes show for empty lists too."""
        names = [name for name in (node.key_name, node.value_name) if name]
        blank = self.within(self.scope.child(dict.fromkeys(names, UNKNOWN)))
        blank._included(condition)

    def _included(self, condition: ast.Node) -> bool:
        value = self.value(condition)
        if isinstance(value, Null):
            raise self.error(codes.ITERATION, condition, "the `if` clause is null; it must be true or false")
        try:
            return convert(value, BOOL) is True
        except ConversionError:
            kind = friendly_name(type_of(value))
            raise self.error(codes.ITERATION, condition, f"the `if` clause must be a bool, not a {kind}") from None

    def _rounds(self, node: ast.For, collection: Value) -> Any:
        for key, item in elements(collection):
            local = {node.key_name: key, node.value_name: item} if node.key_name else {node.value_name: item}
            each = self.within(self.scope.child(local))
            if node.condition is None or each._included(node.condition):
                yield each

    def _tuple_loop(self, node: ast.For, collection: Value) -> Value:
        return TupleValue(tuple([each.value(node.value) for each in self._rounds(node, collection)]))

    def _object_loop(self, node: ast.For, key_node: ast.Node, collection: Value) -> Value:
        items: dict[str, Value] = {}
        groups: dict[str, list[Value]] = {}
        for each in self._rounds(node, collection):
            key = each._key_text(key_node, each.value(key_node))
            value = each.value(node.value)
            if node.group:
                groups.setdefault(key, []).append(value)
            elif key in items:
                advice = "add ... after the value to collect all values of a key"
                raise self.error(codes.OBJECT_KEY, key_node, f'two elements have the key "{key}"', advice)
            else:
                items[key] = value
        return ObjectValue({k: TupleValue(tuple(v)) for k, v in groups.items()} if node.group else items)

    # -- calls

    def call(self, node: ast.Call) -> Value:
        return call_function(self, node)


_EVALUATE: dict[type, Callable[[Evaluator, Any], Value]] = {
    ast.Literal: Evaluator.literal,
    ast.NumberLiteral: Evaluator.number,
    ast.Variable: Evaluator.variable,
    ast.SplatItem: Evaluator.splat_item,
    ast.Broken: Evaluator.broken,
    ast.Parens: Evaluator.parens,
    ast.Wrapped: Evaluator.parens,
    ast.TupleNode: Evaluator.tuple_node,
    ast.ObjectNode: Evaluator.object_node,
    ast.Traversal: Evaluator.traversal,
    ast.Index: Evaluator.index,
    ast.Splat: Evaluator.splat,
    ast.Template: Evaluator.template,
    ast.Joined: Evaluator.joined,
    ast.Unary: Evaluator.unary,
    ast.Operation: Evaluator.operation,
    ast.Conditional: Evaluator.conditional,
    ast.For: Evaluator.loop,
    ast.Call: Evaluator.call,
}
