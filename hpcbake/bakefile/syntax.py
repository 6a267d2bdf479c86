"""HCL text to syntax tree: the structure of bodies is read here, expressions by python-hcl2's grammar.

Each item of a body is read by itself, so one run reports the mistakes of all of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.builder import UnexpectedTokenError, build_expression
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.grammar import ParseTable
from hpcbake.bakefile.scanner import scan
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.syntax_errors import explain_unexpected
from hpcbake.bakefile.template import TemplateError
from hpcbake.bakefile.tokens import ASSIGN, BLOCK_CLOSE, BLOCK_OPEN, EOF, NEWLINE, Token


def parse_hcl(source: SourceFile, table: ParseTable) -> ast.Body:
    """The tree of one HCL file. Raises BakeFileError with every mistake found."""
    tokens, diagnostics = scan(source)
    if diagnostics:
        raise BakeFileError(diagnostics)
    parser = _BodyParser(source, tokens, table)
    body = parser.parse_file()
    if parser.diagnostics:
        raise BakeFileError(sorted(parser.diagnostics, key=lambda d: d.span.start if d.span else 0))
    return body


class _ItemError(Exception):
    """This item of a body cannot be read; the next one may be fine."""


class _BodyParser:
    def __init__(self, source: SourceFile, tokens: Sequence[Token], table: ParseTable) -> None:
        self._source = source
        self._tokens = tokens
        self._table = table
        self._at = 0
        self.diagnostics: list[Diagnostic] = []

    def parse_file(self) -> ast.Body:
        body = self._body()
        if self._peek().type == BLOCK_CLOSE:  # the scanner has seen to it that brackets match
            self._report(self._peek(), "`}` closes nothing")
        return body

    # -- tokens

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        if token.type != EOF:
            self._at += 1
        return token

    def _report(self, place: Token | ast.Label, message: str, advice: str = "", code: str = codes.SYNTAX) -> None:
        self.diagnostics.append(Diagnostic(code, message, Span(self._source, place.start, place.end), advice))

    def _fail(self, place: Token, message: str, advice: str = "", code: str = codes.SYNTAX) -> _ItemError:
        self._report(place, message, advice, code)
        return _ItemError(message)

    def _skip_item(self) -> None:
        """Go on behind the end of the broken item: its line, and every block that opens on it."""
        depth = 0
        while self._peek().type != EOF:
            type_ = self._peek().type
            if type_ == BLOCK_OPEN:
                depth += 1
            elif type_ == BLOCK_CLOSE:
                if depth == 0:
                    return
                depth -= 1
            elif type_ == NEWLINE and depth == 0:
                return
            self._at += 1

    # -- structure

    def _body(self) -> ast.Body:
        attributes: dict[str, ast.Attribute] = {}
        blocks: list[ast.Block] = []
        while self._peek().type not in (EOF, BLOCK_CLOSE):
            if self._peek().type == NEWLINE:
                self._take()
                continue
            try:
                item = self._item()
            except _ItemError:
                self._skip_item()
                continue
            if isinstance(item, ast.Block):
                blocks.append(item)
            else:
                self._add_attribute(attributes, item)
        return ast.Body(tuple(attributes.values()), tuple(blocks))

    def _add_attribute(self, attributes: dict[str, ast.Attribute], item: ast.Attribute) -> None:
        first = attributes.get(item.name)
        if first is None:
            attributes[item.name] = item
            return
        place = Span(self._source, first.start, first.name_end)
        self._report(
            Token("NAME", item.start, item.name_end, item.name),
            f"{item.name} is already set at {place.line}:{place.column}",
            "keep one of the two; to extend a list, write one list or use concat(…)",
            codes.DUPLICATE_ATTRIBUTE,
        )

    def _item(self) -> ast.Attribute | ast.Block:
        name = self._take()
        if name.type != "NAME":
            advice = "names are not quoted here" if name.type == "DBLQUOTE" else ""
            raise self._fail(name, "an argument (name = value) or a block must begin here", advice)
        following = self._peek()
        if following.type == ASSIGN:
            attribute = self._attribute(name)
            self._end_of_line("argument")
            return attribute
        if following.type in ("NAME", "DBLQUOTE", BLOCK_OPEN):
            return self._block(name)
        if following.type == "COLON":
            raise self._fail(following, "`:` sets nothing here", f"write {name.value} = …")
        raise self._fail(
            name, f"{name.value} is neither an argument nor a block", f"write {name.value} = … or {name.value} {{ … }}"
        )

    def _end_of_line(self, what: str) -> None:
        token = self._peek()
        if token.type in (NEWLINE, EOF):
            return
        advice = "separate arguments by line ends, not commas" if token.type == "COMMA" else "begin a new line"
        raise self._fail(
            token,
            f"an {what} must end with its line" if what == "argument" else f"a {what} must end with its line",
            advice,
        )

    def _attribute(self, name: Token) -> ast.Attribute:
        assign = self._take()
        first = self._at
        while self._peek().type not in (NEWLINE, EOF, BLOCK_CLOSE, BLOCK_OPEN, ASSIGN):
            self._at += 1
        tokens, end = self._tokens[first : self._at], self._peek()
        if not tokens:
            raise self._fail(assign, f"{name.value} has no value", "write it on the same line, or open a bracket on it")
        expression = self._expression(tokens, end)
        return ast.Attribute(name.value, expression, name.end, name.start, expression.end)

    def _expression(self, tokens: Sequence[Token], end: Token) -> ast.Node:
        try:
            return build_expression(self._table, tokens, end)
        except UnexpectedTokenError as error:
            diagnostic = explain_unexpected(self._source, tokens, error)
        except TemplateError as error:
            span = Span(self._source, error.start, error.end)
            diagnostic = Diagnostic(codes.TEMPLATE, error.message, span, error.advice)
        self.diagnostics.append(diagnostic)
        raise _ItemError(diagnostic.message)

    def _block(self, name: Token) -> ast.Block:
        labels = []
        while self._peek().type in ("NAME", "DBLQUOTE"):
            labels.append(self._label())
        opening = self._peek()
        if opening.type != BLOCK_OPEN:
            raise self._no_brace(name, opening)
        self._take()
        body = self._one_line_body() if self._peek().type not in (NEWLINE, EOF, BLOCK_CLOSE) else self._body()
        closing = self._take()
        block = ast.Block(name.value, tuple(labels), body, name.end, opening.end, name.start, closing.end)
        self._end_of_line("block")
        return block

    def _no_brace(self, name: Token, found: Token) -> _ItemError:
        if found.type == NEWLINE:
            advice = "put `{` on the line of the block's header"
            return self._fail(found, f"the block {name.value} has no `{{` on its line", advice)
        if found.type == ASSIGN:
            return self._fail(
                found, "a block is not assigned", f"drop the `=`, or write {name.value} = … without a label"
            )
        return self._fail(found, f"the header of the block {name.value} must end with `{{`")

    def _one_line_body(self) -> ast.Body:
        name = self._take()
        if name.type != "NAME" or self._peek().type != ASSIGN:
            raise self._fail(
                name,
                "a block on one line holds one argument (name = value) and nothing else",
                "begin a new line after `{`",
            )
        attribute = self._attribute(name)
        if self._peek().type != BLOCK_CLOSE:
            self._report(self._peek(), "a block on one line holds one argument only", "begin a new line after `{`")
            self._body()
        return ast.Body((attribute,), ())

    def _label(self) -> ast.Label:
        opening = self._take()
        if opening.type == "NAME":
            return ast.Label(opening.value, opening.start, opening.end)
        pieces: list[Token] = []
        while self._peek().type == "STRING_CHARS":
            pieces.append(self._take())
        if self._peek().type != "DBLQUOTE":
            template = self._peek()
            raise self._fail(
                template,
                "a label cannot be computed",
                "write plain text; for computed names use `matrix` and `name`",
                codes.LABEL,
            )
        closing = self._take()
        return ast.Label(_text(pieces), opening.start, closing.end)


def _text(pieces: Iterable[Token]) -> str:
    return unicodedata.normalize("NFC", "".join(piece.value for piece in pieces))
