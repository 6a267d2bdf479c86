"""Attributes that must be plain text: a variable's description is read before anything has a value."""

from __future__ import annotations

from collections.abc import Iterable

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.convert import ConversionError, as_string
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.evaluate import Evaluator
from hpcbake.bakefile.functions import Function
from hpcbake.bakefile.scope import DefinitionError, EvaluationError, Scope, UndefinedNameError
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.values import Value


class EmptyWorld:
    """Nothing has a name here."""

    def value_of(self, name: str) -> Value:
        raise UndefinedNameError(name)

    def reference(self, node: ast.Variable) -> Value:
        raise UndefinedNameError(node.name)

    def is_block_name(self, name: str) -> bool:  # noqa: ARG002
        return False

    def names(self) -> Iterable[str]:
        return ()

    def function(self, name: str) -> Function | None:  # noqa: ARG002
        return None

    def function_names(self) -> Iterable[str]:
        return ()


def constant_text(source: SourceFile, attribute: ast.Attribute) -> str:
    """The text of an attribute that uses no names and no functions. Raises DefinitionError."""
    node = attribute.expression
    try:
        return as_string(Evaluator(source, Scope(EmptyWorld())).value(node))
    except (EvaluationError, ConversionError):
        message = f"{attribute.name} must be plain text: it is read before anything has a value"
        span = Span(source, node.start, node.end)
        raise DefinitionError((Diagnostic(codes.ATTRIBUTE_VALUE, message, span, "write a quoted string"),)) from None
