"""All files as one program: every definition evaluated, in an order that the expressions themselves decide.

A definition is evaluated when something first needs it, and once; what needs itself is an error. In the end
everything has been evaluated, needed or not, so that a mistake shows wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.blocks import BlockTable
from hpcbake.bakefile.collect import Collected, Definition, collect
from hpcbake.bakefile.definition import Definitions, VariableDefinition
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.evaluate import Evaluator
from hpcbake.bakefile.functions import NAMES, Function, find_function
from hpcbake.bakefile.recursion import deep_recursion
from hpcbake.bakefile.scope import DefinitionError, EvaluationError, Scope, UndefinedNameError
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.store import Store, user_store
from hpcbake.bakefile.units import read_units
from hpcbake.bakefile.userfunctions import UserFunctions
from hpcbake.bakefile.values import Value, string
from hpcbake.bakefile.variables import Overrides, describe_variable, validate_variable, variable_value

#: After so many mistakes nobody wants to hear of more.
MAX_ERRORS = 200
#: Definitions may need each other in chains so long.
MAX_CHAIN = 500


def evaluate_files(
    files: Sequence[SourceFile],
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str],
    command_context: str,
    local_platform: str,
    store: Store | None = None,
) -> Definitions:
    """Read and evaluate all files. Raises BakeFileError with everything that is wrong."""
    units = read_units(files, user_store(environment) if store is None else store)
    built_in = {"BAKE_CMD_CONTEXT": string(command_context), "BAKE_LOCAL_PLATFORM": string(local_platform)}
    with deep_recursion():
        collected = collect(units, frozenset(built_in))
        return Program(collected, built_in, Overrides(environment, variables)).run()


class Program:
    """The world that expressions are evaluated in."""

    def __init__(self, collected: Collected, built_in: Mapping[str, str], overrides: Overrides) -> None:
        self._collected = collected
        self._overrides = overrides
        self._values: dict[str, Value] = dict(built_in)
        self._failed: dict[str, tuple[Diagnostic, ...]] = {}
        self._in_progress: list[str] = []
        self._diagnostics: dict[Diagnostic, None] = dict.fromkeys(collected.errors)
        self.scope = Scope(self)
        self._functions = UserFunctions(self, collected.functions)
        self._blocks: BlockTable | None = None
        #: While variables are validated, only what has a value by then can be used, as in buildx.
        self._validating = False

    def run(self) -> Definitions:
        """Evaluate everything. Raises BakeFileError."""
        variables = self._collected.variables
        for name in variables:
            self._settle(partial(self.value_of, name))
        described: list[VariableDefinition] = []
        for variable in variables.values():
            if variable.name in self._values:
                self._settle(partial(self._describe, variable, described))
        self._validating = True
        for variable in variables.values():
            if variable.name in self._values:
                self._note(validate_variable(variable, self.scope))
        self._validating = False
        for name in self._collected.functions:
            self._settle(partial(self._functions.find, name))
        blocks = BlockTable(self, self._collected.blocks)
        self._blocks = blocks
        self._note(blocks.name_all())
        self._note(blocks.evaluate_all())
        for name in self._collected.globals:
            self._settle(partial(self.value_of, name))
        for local in self._collected.locals:
            self._settle(partial(self._local, local))
        if self._diagnostics:
            raise BakeFileError(_in_file_order(self._diagnostics))
        return Definitions(
            targets=blocks.targets(),
            groups=blocks.groups(),
            variables=tuple(described),
            warnings=self._collected.warnings,
        )

    def _describe(self, variable: Definition, described: list[VariableDefinition]) -> None:
        described.append(describe_variable(variable, self._values[variable.name]))

    def _settle(self, action: Callable[[], object]) -> None:
        try:
            action()
        except DefinitionError as error:
            self._note(error.diagnostics)
        except EvaluationError as error:
            self._note(error.diagnostics)
        except UndefinedNameError:
            pass

    def _note(self, diagnostics: Iterable[Diagnostic]) -> None:
        self._diagnostics.update(dict.fromkeys(diagnostics))
        if len(self._diagnostics) > MAX_ERRORS:
            raise BakeFileError(_in_file_order(self._diagnostics))

    # -- what expressions ask for

    def value_of(self, name: str) -> Value:
        if name in self._values:
            return self._values[name]
        if name in self._failed:
            raise DefinitionError(self._failed[name])
        if name == "local" and self._collected.locals and name not in self._collected.globals:
            return self._all_locals()
        if self._validating or (name not in self._collected.globals and name not in self._collected.variables):
            raise UndefinedNameError(name)
        return self._once(name, lambda: self._evaluate(name))

    def _evaluate(self, name: str) -> Value:
        definition = self._collected.globals.get(name)
        variable = self._collected.variables.get(name)
        if variable is not None:
            return variable_value(variable, definition, self._overrides, self._collected.variables, self.scope)
        assert definition is not None
        return Evaluator(definition.source, self.scope).value(definition.attribute.expression)

    def _once(self, name: str, compute: Callable[[], Value]) -> Value:
        """Evaluate a definition, remember its value or its failure, and notice when it needs itself."""
        if name in self._in_progress:
            raise DefinitionError((self._cycle(name),))
        if len(self._in_progress) >= MAX_CHAIN:
            raise DefinitionError((self._too_long(name),))
        self._in_progress.append(name)
        try:
            value = compute()
        except EvaluationError as error:
            self._failed[name] = error.diagnostics
            raise DefinitionError(self._failed[name]) from None
        except DefinitionError as error:
            self._failed[name] = error.diagnostics
            raise
        finally:
            self._in_progress.pop()
        self._values[name] = value
        return value

    def _cycle(self, name: str) -> Diagnostic:
        path = [*self._in_progress[self._in_progress.index(name) :], name]
        message = f"{name} needs itself: {' → '.join(path)}"
        return Diagnostic(codes.CYCLE, message, self._collected.place_of(name), "give one of them a value of its own")

    def _too_long(self, name: str) -> Diagnostic:
        message = f"more than {MAX_CHAIN} definitions need each other in one chain"
        return Diagnostic(codes.LIMIT, message, self._collected.place_of(name))

    def _all_locals(self) -> Value:
        from hpcbake.bakefile.values import ObjectValue

        return ObjectValue({name: self._local(name) for name in self._collected.locals})

    def _local(self, name: str) -> Value:
        key = f"local.{name}"
        if key in self._values:
            return self._values[key]
        if key in self._failed:
            raise DefinitionError(self._failed[key])
        definition = self._collected.locals[name]
        return self._once(key, lambda: Evaluator(definition.source, self.scope).value(definition.attribute.expression))

    def is_block_name(self, name: str) -> bool:
        if name == "local":
            return bool(self._collected.locals) and name not in self._collected.globals
        return self._blocks is not None and name in ("target", "group")

    def reference(self, node: ast.Variable) -> Value:
        if node.name == "local":
            from hpcbake.bakefile.values import ObjectValue

            step = node.steps[0] if node.steps else None
            if isinstance(step, ast.Attr):
                wanted = step.name
                known = {wanted: self._local(wanted)} if wanted in self._collected.locals else {}
                if known:
                    return ObjectValue(known)
            return self._all_locals()
        assert self._blocks is not None
        return self._blocks.reference(node)

    def names(self) -> Iterable[str]:
        local = {"local"} if self._collected.locals else set()
        return {*self._values, *self._collected.variables, *self._collected.globals, *local}

    def function(self, name: str) -> Function | None:
        standard = find_function(name)
        if standard is not None:
            return standard
        return self._functions.ready(name) if self._validating else self._functions.find(name)

    def function_names(self) -> Iterable[str]:
        return {*NAMES, *self._collected.functions}


def _in_file_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By file as first met, then by place; what has no place comes last."""
    files: dict[str, int] = {}
    for diagnostic in diagnostics:
        if diagnostic.span is not None:
            files.setdefault(diagnostic.span.path, len(files))

    def place(diagnostic: Diagnostic) -> tuple[int, int]:
        span: Span | None = diagnostic.span
        return (len(files), 0) if span is None else (files[span.path], span.start)

    return sorted(diagnostics, key=place)
