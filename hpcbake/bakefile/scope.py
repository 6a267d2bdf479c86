"""What names mean: a chain of scopes from the innermost loop variable to the definitions of the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from hpcbake.bakefile import ast
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.values import Value

if TYPE_CHECKING:
    from hpcbake.bakefile.functions import Function


class EvaluationError(Exception):
    """An expression has no value. `try`, `can` and conditionals may not care."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class DefinitionError(Exception):
    """A definition that an expression needs is broken. Nothing can make up for that."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics[0].message if diagnostics else "")
        self.diagnostics = diagnostics


class UndefinedNameError(LookupError):
    """Nothing defines this name."""


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

    __slots__ = ("item", "locals", "parent", "world")

    def __init__(
        self,
        world: World,
        local: Mapping[str, Value] | None = None,
        parent: Scope | None = None,
        item: Value | None = None,
    ) -> None:
        self.world = world
        self.locals = local or {}
        self.parent = parent
        self.item = item

    def child(self, local: Mapping[str, Value]) -> Scope:
        return Scope(self.world, local, self)

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


def error_at(source: SourceFile, code: str, place: tuple[int, int], message: str, advice: str = "") -> EvaluationError:
    """An EvaluationError pointing at `place` (start, end)."""
    return EvaluationError(Diagnostic(code, message, Span(source, *place), advice))
