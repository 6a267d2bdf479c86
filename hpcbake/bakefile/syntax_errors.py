"""What to say when the grammar has no place for a token."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.bakefile import codes
from hpcbake.bakefile.builder import UnexpectedTokenError
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.tokens import Token

_OPERAND_ENDS = frozenset(
    {"NAME", "INT_LITERAL", "FLOAT_LITERAL", "TRUE", "FALSE", "NULL", "RPAR", "RSQB", "RBRACE", "DBLQUOTE"}
    | {"FULL_SPLAT_START", "ATTR_SPLAT"}
)
_OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE", "INTERP_START": "RBRACE", "DIRECTIVE_START": "RBRACE"}
_CLOSERS = frozenset(_OPENERS.values())


def explain_unexpected(source: SourceFile, tokens: Sequence[Token], error: UnexpectedTokenError) -> Diagnostic:
    """One sentence about the token, and what to write instead."""
    message, advice = _explain(tokens, error)
    token = error.token
    end = max(token.end, token.start + 1)
    return Diagnostic(codes.SYNTAX, message, Span(source, token.start, end), advice)


def _explain(tokens: Sequence[Token], error: UnexpectedTokenError) -> tuple[str, str]:
    token, previous = error.token, error.previous
    bracket = _enclosing(tokens, token)
    if token.type == "OBJECT_ELEMENT":
        return "two elements of an object need a comma or a line end between them", "add a comma"
    if token.type == "ATTR_SPLAT":
        return "`.*` cannot stand inside another `.*`", "use [*]"
    if _is_line_end(token):
        return _line_ended(previous, bracket)
    if previous is not None and previous.type == "DOT":
        return "an attribute name must follow the dot", 'write ["…"] for keys that are not names'
    if token.type == "EQ":
        return "`=` cannot stand here", "write == to compare"
    if previous is not None and previous.type in _OPERAND_ENDS:
        return _between_operands(token, bracket)
    return f"an expression must begin here, not {_shown(token)}", _advice_for_start(token)


def _is_line_end(token: Token) -> bool:
    return token.value == "\n" or token.type in ("EOF", "BLOCK_CLOSE", "BLOCK_OPEN", "ASSIGN")


def _line_ended(previous: Token | None, bracket: str | None) -> tuple[str, str]:
    if bracket == "LBRACE":
        return "the line ends before the element of this object is complete", "write key = value on one line"
    shown = f"after {_shown(previous)}" if previous is not None else "here"
    return (
        f"the expression is not complete {shown}",
        "an expression may go on in the next line only inside brackets: put ( ) around it",
    )


def _between_operands(token: Token, bracket: str | None) -> tuple[str, str]:
    if token.type in ("NAME", "INT_LITERAL", "DBLQUOTE", "LPAR", "LSQB", "LBRACE", "TRUE", "FALSE", "NULL"):
        if bracket == "LSQB":
            return "two elements of a list need a comma between them", "add a comma"
        if bracket == "LPAR":
            return "two arguments need a comma between them", "add a comma"
        if bracket == "LBRACE":
            return "a key must be followed by = and its value", "write key = value; quote keys with dots or spaces"
        if bracket == "INTERP_START":
            return (
                f"`${{` must be closed before {_shown(token)}",
                "write $${ if this belongs to another language, such as a shell",
            )
        return (
            f"an argument must end with its line; {_shown(token)} does not belong to it",
            "begin a new line, or put text into double quotes",
        )
    if token.type == "COLON" and bracket == "INTERP_START":
        return (
            "`:` means nothing inside ${ }",
            "for a shell's ${name:-default} write $${name:-default}; else use cond ? a : b",
        )
    return f"{_shown(token)} cannot stand here", ""


def _advice_for_start(token: Token) -> str:
    if token.type == "DOT":
        return "put a path into double quotes; write a number with a leading zero: 0.5"
    if token.type == "QMARK":
        return "a condition belongs before `?`"
    if token.type == "SLASH":
        return "put a path into double quotes"
    return ""


def _enclosing(tokens: Sequence[Token], until: Token) -> str | None:
    """The type of the innermost bracket that is open where `until` stands."""
    stack: list[str] = []
    for token in tokens:
        if token is until or token.start >= until.start:
            break
        if token.type in _OPENERS:
            stack.append(token.type)
        elif token.type in _CLOSERS and stack:
            stack.pop()
    return stack[-1] if stack else None


def _shown(token: Token) -> str:
    if token.type == "DBLQUOTE":
        return "a string"
    if token.type in ("STRING_CHARS", "$END", "EOF"):
        return "the end"
    return f"`{token.value}`" if token.value.strip() else "the end of the line"
