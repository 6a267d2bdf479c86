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
from hpcbake.bakefile.conditional import conditional
from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.loop import loop
from hpcbake.bakefile.number import Number, parse_number
from hpcbake.bakefile.operation import operation, unary
from hpcbake.bakefile.scope import Attempts, EvaluationError, Scope, UndefinedNameError, error_at
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.types import ANY, STRING, ListType, SetType, TupleType, friendly_name
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
    make_list,
    string,
    type_of,
)
from hpcbake.bakefile.work import MAX_SIZE, MAX_STEPS

_UNKNOWN_TEXT = Unknown(STRING)
#: Names that other languages of the kind have: what to write here instead.
_FOREIGN_NAMES = {
    "var": "variables have no prefix here: write TAG for var.TAG",
    "local": "no locals block defines it; write NAME = value at the top level, and NAME for local.NAME",
    "env": 'declare it: variable "NAME" { default = "" } takes the environment variable of its name; write NAME',
    "matrix": "keys of the matrix are names themselves: write version for matrix.version",
    "each": "matrix takes the place of for_each; its keys are names themselves",
}


class Evaluator:
    """Evaluates the expressions of one file in one scope."""

    __slots__ = ("scope", "source")

    def __init__(self, source: SourceFile, scope: Scope) -> None:
        self.source = source
        self.scope = scope

    def value(self, node: ast.Node) -> Value:
        """The value of an expression. Raises EvaluationError, DefinitionError; BakeFileError for too much work."""
        work = self.scope.work
        work.steps += 1
        if work.steps > MAX_STEPS:
            raise work.refuse_steps(self.source, node)
        return _EVALUATE[type(node)](self, node)

    def within(self, scope: Scope) -> Evaluator:
        return Evaluator(self.source, scope)

    def built(self, node: Any, value: Value) -> Value:
        """A new value, counted. Raises BakeFileError if there is too much of it."""
        return self.scope.work.count(self.source, node, value)

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
        if node.name in _FOREIGN_NAMES:
            advice = _FOREIGN_NAMES[node.name]
        elif near:
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
        attempts = Attempts(self)
        result = TupleValue(tuple([attempts.value(item) for item in node.items]))
        attempts.check(result)
        return self.built(node, result)

    def object_node(self, node: ast.ObjectNode) -> Value:
        attempts = Attempts(self)
        items: dict[str, Value] = {}
        keys_are_known = True
        for key_node, node_ in node.items:
            value = attempts.value(node_)
            try:
                items[self._object_key(key_node)] = value
            except EvaluationError as error:
                attempts.add(error)
                keys_are_known = False
        result = ObjectValue(items)
        attempts.check(result if keys_are_known else UNKNOWN)
        return self.built(node, result)

    def _object_key(self, node: ast.Node) -> str:
        if isinstance(node, ast.Variable):
            if not node.steps:
                return string(node.name)
            text = self.source.text[node.start : node.end]
            advice = f'write "{text}" for that name, or ({text}) for its value'
            raise self.error(codes.OBJECT_KEY, node, "a key with dots is ambiguous", advice)
        if isinstance(node, ast.Literal) and not isinstance(node.value, str):
            return {True: "true", False: "false", None: "null"}[node.value]
        return self.key_text(node, self.value(node))

    def key_text(self, node: ast.Node, key: Value) -> str:
        if isinstance(key, Null):
            raise self.error(codes.OBJECT_KEY, node, "a key must not be null")
        try:
            text = convert(key, STRING)
        except ConversionError as error:
            raise self.error(codes.OBJECT_KEY, node, f"this cannot be a key: {error}") from None
        return text if isinstance(text, str) else ""

    # -- traversals

    def traversal(self, node: ast.Traversal) -> Value:
        attempts = Attempts(self)
        source = attempts.value(node.source)
        if attempts.failure is not None:
            attempts.check(self._known_part(lambda: self._take_steps(source, node.steps)))
        return self._take_steps(source, node.steps)

    def index(self, node: ast.Index) -> Value:
        attempts = Attempts(self)
        collection, key = attempts.value(node.collection), attempts.value(node.key)
        if attempts.failure is not None:
            attempts.check(self._known_part(lambda: element_of(collection, key)))
        try:
            return element_of(collection, key)
        except AccessError as error:
            raise error_at(self.source, codes.INDEX, (node.bracket, node.end), str(error), error.advice) from None

    @staticmethod
    def _known_part(find: Callable[[], Value]) -> Value:
        """What can be reached in a value of which only a part is known."""
        try:
            return find()
        except (EvaluationError, AccessError):
            return UNKNOWN

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
        attempts = Attempts(self)
        results = tuple([attempts.value(node.each, self.within(self.scope.visiting(item))) for item in items])
        attempts.check(TupleValue(results))
        if isinstance(source, (ListValue, SetValue)):
            made = make_list(results, ANY) if results else ListValue(self._empty_splat_type(node, source), ())
            return self.built(node, made)
        return self.built(node, TupleValue(results))

    def _empty_splat_type(self, node: ast.Splat, source: ListValue | SetValue) -> Any:
        return source.element if isinstance(node.each, ast.SplatItem) else ANY

    # -- templates

    def template(self, node: ast.Template) -> Value:
        pieces: list[str] = []
        attempts = Attempts(self)
        unknown = False
        for part in node.parts:
            if type(part) is ast.Literal and isinstance(part.value, str):
                pieces.append(part.value)
                continue
            value = attempts.value(part)
            if isinstance(value, Unknown):
                unknown = True
                continue
            try:
                pieces.append(self._interpolated(part, value))
            except EvaluationError as error:
                attempts.add(error)
        attempts.check(_UNKNOWN_TEXT)
        return _UNKNOWN_TEXT if unknown else self._text(node, pieces)

    def _text(self, node: Any, pieces: list[str]) -> Value:
        if sum(map(len, pieces)) > MAX_SIZE:
            raise self.scope.work.refuse_text(self.source, node)
        return self.built(node, string("".join(pieces)))

    def _interpolated(self, node: Any, value: Value) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, Null):
            advice = 'give it a default: coalesce(x, "…"), or test it: x == null ? "" : x'
            raise self.error(codes.INTERPOLATION, node, "a null value cannot be put into a string", advice)
        try:
            text = convert(value, STRING)
        except ConversionError as error:
            if isinstance(value, Number):
                raise self.error(codes.INTERPOLATION, node, str(error)) from None
            kind = friendly_name(type_of(value))
            advice = 'use join(",", …) for lists, jsonencode(…) for anything'
            raise self.error(
                codes.INTERPOLATION, node, f"a value of type {kind} cannot be put into a string", advice
            ) from None
        assert isinstance(text, str)
        return text

    def joined(self, node: ast.Joined) -> Value:
        attempts = Attempts(self)
        results = attempts.value(node.loop)
        attempts.check(_UNKNOWN_TEXT)
        if not isinstance(results, TupleValue) or any(isinstance(item, Unknown) for item in results.items):
            return _UNKNOWN_TEXT
        return self._text(node, [self._interpolated(node, item) for item in results.items])


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
    ast.Unary: unary,
    ast.Operation: operation,
    ast.Conditional: conditional,
    ast.For: loop,
    ast.Call: call_function,
}
