"""What names mean: a chain of scopes from the innermost loop variable to the definitions of the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from hpcbake.bakefile import ast
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.values import UNKNOWN, Value
from hpcbake.bakefile.work import Work

if TYPE_CHECKING:
    from hpcbake.bakefile.functions import Function


#: So many mistakes are collected in one expression.
_MOST_FAILURES = 10


class EvaluationError(Exception):
    """An expression has no value. `try`, `can` and conditionals may not care.

    `result` is what is known of the value all the same: its type, or parts of it.
    """

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostics: tuple[Diagnostic, ...] = (diagnostic,)
        self.result: Value = UNKNOWN

    @property
    def diagnostic(self) -> Diagnostic:
        """The first of the mistakes."""
        return self.diagnostics[0]


class DefinitionError(Exception):
    """A definition that an expression needs is broken. Nothing can make up for that."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics[0].message if diagnostics else "")
        self.diagnostics = diagnostics


class UndefinedNameError(LookupError):
    """Nothing defines this name."""


class Valuer(Protocol):
    """Evaluates expressions."""

    def value(self, node: ast.Node) -> Value: ...


class World(Protocol):
    """The definitions of all files, evaluated as they are needed."""

    def value_of(self, name: str) -> Value:
        """The value of a variable or global. Raises UndefinedNameError, DefinitionError."""

    def reference(self, node: ast.Variable) -> Value:
        """What the root name of a reference to a block (`target.app.args`) means."""

    def is_block_name(self, name: str) -> bool: ...

    def names(self) -> Iterable[str]: ...

    def function(self, name: str) -> Function | None: ...

    def function_names(self) -> Iterable[str]: ...


class Scope:
    """Local names over those of the world; `item` is the element that a splat visits."""

    __slots__ = ("blank", "item", "locals", "parent", "work", "world")

    def __init__(
        self,
        world: World,
        local: Mapping[str, Value] | None = None,
        parent: Scope | None = None,
        item: Value | None = None,
        *,
        blank: bool = False,
    ) -> None:
        self.world = world
        self.locals = local or {}
        self.parent = parent
        #: What all expressions that come from one root scope have cost together.
        self.work: Work = parent.work if parent is not None else Work()
        self.item = item
        #: Do names stand for values that are not known? Then functions are not called with them.
        self.blank: bool = blank or (parent is not None and parent.blank)

    def child(self, local: Mapping[str, Value]) -> Scope:
        return Scope(self.world, local, self)

    def with_unknown(self, names: Iterable[str]) -> Scope:
        return Scope(self.world, dict.fromkeys(names, UNKNOWN), self, blank=True)

    def visiting(self, item: Value) -> Scope:
        return Scope(self.world, None, self, item)

    def local(self, name: str) -> Value | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.locals:
                return scope.locals[name]
            scope = scope.parent
        return None

    def visited(self) -> Value | None:
        scope: Scope | None = self
        while scope is not None:
            if scope.item is not None:
                return scope.item
            scope = scope.parent
        return None

    def local_names(self) -> set[str]:
        names: set[str] = set()
        scope: Scope | None = self
        while scope is not None:
            names.update(scope.locals)
            scope = scope.parent
        return names


class Attempts:
    """Evaluates the parts of an expression, all of them, even if some fail: every mistake is to be found at once."""

    __slots__ = ("_evaluator", "failure")

    def __init__(self, evaluator: Valuer) -> None:
        self._evaluator = evaluator
        self.failure: EvaluationError | None = None

    def value(self, node: ast.Node, evaluator: Valuer | None = None) -> Value:
        """The value of a part, or what is known of it."""
        try:
            return (evaluator or self._evaluator).value(node)
        except EvaluationError as error:
            self.add(error)
            return error.result

    def add(self, error: EvaluationError) -> None:
        """Count a mistake."""
        if self.failure is None:
            self.failure = error
        elif not self.enough:
            self.failure.diagnostics += tuple(d for d in error.diagnostics if d not in self.failure.diagnostics)

    @property
    def enough(self) -> bool:
        """Were there so many mistakes that more would be noise?"""
        return self.failure is not None and len(self.failure.diagnostics) >= _MOST_FAILURES

    def check(self, result: Value) -> None:
        """Raise what was collected, if anything was; `result` is what is known of the whole."""
        if self.failure is not None:
            self.failure.result = result
            raise self.failure


def error_at(source: SourceFile, code: str, place: tuple[int, int], message: str, advice: str = "") -> EvaluationError:
    """An EvaluationError pointing at `place` (start, end)."""
    return EvaluationError(Diagnostic(code, message, Span(source, *place), advice))
