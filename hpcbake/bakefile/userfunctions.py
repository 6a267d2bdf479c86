"""Functions that a bake file defines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.collect import Definition
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.evaluate import Evaluator
from hpcbake.bakefile.functions import Function, FunctionError, Parameter, find_function
from hpcbake.bakefile.scope import DefinitionError, EvaluationError, UndefinedNameError
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.values import TupleValue, Value
from hpcbake.bakefile.walk import called_functions, free_names

if TYPE_CHECKING:
    from hpcbake.bakefile.program import Program


class UserFunctions:
    """The functions of all files; each is checked when something first needs it."""

    def __init__(self, program: Program, definitions: Mapping[str, Definition]) -> None:
        self._program = program
        self._definitions = definitions
        self._ready: dict[str, Function] = {}
        self._failed: dict[str, tuple[Diagnostic, ...]] = {}
        self._in_progress: list[str] = []

    def ready(self, name: str) -> Function | None:
        """The function of this name if something needed it before."""
        return self._ready.get(name)

    def find(self, name: str) -> Function | None:
        """The function of this name, or None. Raises DefinitionError if its definition is broken."""
        if name in self._ready:
            return self._ready[name]
        if name in self._failed:
            raise DefinitionError(self._failed[name])
        definition = self._definitions.get(name)
        if definition is None:
            return None
        if name in self._in_progress:
            path = " → ".join([*self._in_progress[self._in_progress.index(name) :], name])
            message = f"the function {name} calls itself ({path}); bake's functions cannot recurse"
            raise DefinitionError((Diagnostic(codes.CYCLE, message, definition.label_span, "use a for expression"),))
        self._in_progress.append(name)
        try:
            function = self._define(definition)
        except DefinitionError as error:
            self._failed[name] = error.diagnostics
            raise
        finally:
            self._in_progress.pop()
        self._ready[name] = function
        return function

    def _define(self, definition: Definition) -> Function:
        result, params = definition.attribute("result"), definition.attribute("params")
        for attribute, label in ((result, "result"), (params, "params")):
            if attribute is None:
                advice = (
                    "write params = [] for a function without parameters" if label == "params" else "add result = …"
                )
                raise _broken(definition, f"the function {definition.name} has no {label}", advice)
        assert result is not None
        assert params is not None
        names = self._parameter_names(definition, params)
        variadic_attribute = definition.attribute("variadic_params")
        variadic = self._word(definition, variadic_attribute.expression) if variadic_attribute else None
        self._check_body(definition, result.expression, {*names, variadic} if variadic else set(names))
        return Function(
            definition.name,
            tuple(Parameter(name) for name in names),
            Parameter(variadic) if variadic else None,
            self._body(definition, result.expression, names, variadic),
        )

    def _parameter_names(self, definition: Definition, params: ast.Attribute) -> list[str]:
        node = params.expression
        if not isinstance(node, ast.TupleNode):
            advice = "write params = [a, b]"
            raise _broken(definition, f"the params of {definition.name} must be a list of names", advice, node)
        return [self._word(definition, item) for item in node.items]

    def _word(self, definition: Definition, node: ast.Node) -> str:
        if isinstance(node, ast.Variable) and not node.steps:
            return node.name
        if isinstance(node, ast.Literal) and not isinstance(node.value, str):
            return {True: "true", False: "false", None: "null"}[node.value]
        raise _broken(definition, "a parameter must be a plain name", "names are not quoted: params = [a, b]", node)

    def _check_body(self, definition: Definition, body: ast.Node, parameters: set[str]) -> None:
        """What a function needs must exist even if it is never called."""
        problems: list[Diagnostic] = []
        for call in called_functions(body):
            if find_function(call.name) is None and self.find(call.name) is None:
                near = nearest(call.name, self._program.function_names())
                advice = f"did you mean {near}?" if near else ""
                message = f"there is no function {call.name}"
                problems.append(Diagnostic(codes.UNKNOWN_FUNCTION, message, definition.span_of(call), advice))
        for node in free_names(body):
            if node.name in parameters:
                continue
            try:
                self._program.value_of(node.name)
            except UndefinedNameError:
                problems.append(self._unknown_name(definition, node, parameters))
        if problems:
            raise DefinitionError(tuple(problems))

    def _unknown_name(self, definition: Definition, node: ast.Variable, parameters: set[str]) -> Diagnostic:
        if node.name in ("target", "group"):
            message = f"a function cannot see {node.name}.…"
            advice = "pass it as an argument"
        else:
            message = f"nothing is named {node.name}"
            near = nearest(node.name, {*parameters, *self._program.names()})
            advice = f"did you mean {near}?" if near else f"add it to params of {definition.name}, or define it"
        return Diagnostic(codes.UNKNOWN_VARIABLE, message, definition.span_of(node), advice)

    def _body(
        self, definition: Definition, body: ast.Node, names: list[str], variadic: str | None
    ) -> Callable[..., Value]:
        def compute(*arguments: Value) -> Value:
            local: dict[str, Value] = dict(zip(names, arguments, strict=False))
            if variadic is not None:
                local[variadic] = TupleValue(arguments[len(names) :])
            try:
                return Evaluator(definition.source, self._program.scope.child(local)).value(body)
            except EvaluationError as error:
                raise nested(error) from None

        return compute


def nested(error: EvaluationError) -> FunctionError:
    """An error inside a user function, told at its call."""
    inner = error.diagnostic
    place = f" at {inner.span}" if inner.span else ""
    return FunctionError(f"{inner.message}{place}", advice=inner.help)


def _broken(definition: Definition, message: str, advice: str, node: ast.Node | None = None) -> DefinitionError:
    span = definition.span if node is None else definition.span_of(node)
    return DefinitionError((Diagnostic(codes.FUNCTION_DEFINITION, message, span, advice),))
