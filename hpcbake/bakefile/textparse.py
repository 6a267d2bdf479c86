"""Templates and expressions that stand inside JSON strings."""

from __future__ import annotations

from typing import Any

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.builder import UnexpectedTokenError, build_expression
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.grammar import ParseTable
from hpcbake.bakefile.jsontext import JsonText
from hpcbake.bakefile.scanner import scan_expression, scan_template
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.syntax_errors import explain_unexpected
from hpcbake.bakefile.template import TemplateError
from hpcbake.bakefile.tokens import EOF, Token

_OFFSETS = frozenset({"start", "end", "name_end", "close", "bracket"})


def parse_template_text(source: SourceFile, table: ParseTable, text: JsonText) -> ast.Node:
    """The template in a JSON string, with positions in the file. Raises BakeFileError."""
    return _parse(source, table, text, scan_template)


def parse_expression_text(source: SourceFile, table: ParseTable, text: JsonText) -> ast.Node:
    """The expression in a JSON string, with positions in the file. Raises BakeFileError."""
    return _parse(source, table, text, scan_expression)


def _parse(source: SourceFile, table: ParseTable, text: JsonText, scan: Any) -> ast.Node:
    inner = SourceFile(source.name, text.value)
    tokens, diagnostics = scan(inner)
    if diagnostics:
        raise BakeFileError([_moved(d, source, text) for d in diagnostics])
    end = Token(EOF, len(text.value), len(text.value), "")
    try:
        node = build_expression(table, tokens, end)
    except UnexpectedTokenError as error:
        raise BakeFileError(_moved(explain_unexpected(inner, tokens, error), source, text)) from None
    except TemplateError as error:
        span = Span(inner, error.start, error.end)
        raise BakeFileError(
            _moved(Diagnostic(codes.TEMPLATE, error.message, span, error.advice), source, text)
        ) from None
    return _relocated(node, text.places)


def _moved(diagnostic: Diagnostic, source: SourceFile, text: JsonText) -> Diagnostic:
    span = diagnostic.span
    if span is None:
        return diagnostic
    last = len(text.places) - 1
    start, end = text.places[min(span.start, last)], text.places[min(span.end, last)]
    return Diagnostic(diagnostic.code, diagnostic.message, Span(source, start, max(end, start + 1)), diagnostic.help)


def _relocated(node: Any, places: tuple[int, ...]) -> Any:
    """The same tree with every offset taken from the text to the file."""
    if not isinstance(node, tuple):
        return node
    fields = getattr(node, "_fields", None)
    if fields is None:
        return tuple(_relocated(part, places) for part in node)
    last = len(places) - 1
    return type(node)(
        *(
            places[min(part, last)] if field in _OFFSETS else _relocated(part, places)
            for field, part in zip(fields, node, strict=True)
        )
    )
