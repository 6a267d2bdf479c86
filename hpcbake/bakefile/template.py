"""Templates: from the pieces of a string or heredoc to one node.

In order: strip markers (`~`), the common indent of a `<<-` heredoc, joining of neighbouring literals, and the
nesting of `%{ if }` and `%{ for }` directives.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hpcbake.bakefile import ast
from hpcbake.bakefile.source import SPACES, count_graphemes, split_graphemes
from hpcbake.bakefile.tokens import MAX_DEPTH, Token


class Interpolation(NamedTuple):
    """`${ inner }`, with its strip markers."""

    inner: ast.Node
    strip_before: bool
    strip_after: bool
    start: int
    end: int


class Directive(NamedTuple):
    """`%{ word … }`: `names` and `node` are those of `for`, `node` is the condition of `if`."""

    word: str
    names: tuple[str, ...]
    node: ast.Node | None
    strip_before: bool
    strip_after: bool
    start: int
    end: int


Part = Token | Interpolation | Directive


class TemplateError(Exception):
    """Directives that do not belong together; `start`, `end` is the one to point at."""

    def __init__(self, message: str, start: int, end: int, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.advice = advice


def build_template(parts: Sequence[Part], opening: Token, closing: Token) -> ast.Node:
    """The node for everything between `opening` and `closing`. Raises TemplateError."""
    pieces = _stripped(parts)
    if opening.flush:
        pieces = _dedented(pieces)
    melded = _melded(pieces)
    if len(melded) == 1 and isinstance(melded[0], Interpolation):
        return ast.Wrapped(melded[0].inner, opening.start, closing.end)
    nodes = _Nesting(melded, closing).nodes()
    if not nodes:
        nodes = [ast.Literal("", opening.end, opening.end)]
    return ast.Template(tuple(nodes), opening.start, closing.end)


Piece = ast.Literal | Interpolation | Directive


def _stripped(parts: Sequence[Part]) -> list[Piece]:
    """Literals become nodes; a `~` takes the white space of the neighbouring literal."""
    pieces: list[Piece] = []
    strip_next = False
    before_is_literal = False
    for part in parts:
        if isinstance(part, Token):
            text = part.value.lstrip(SPACES) if strip_next else part.value
            pieces.append(ast.Literal(text, part.start, part.end))
            strip_next, before_is_literal = False, True
            continue
        if part.strip_before and before_is_literal:
            literal = pieces[-1]
            assert isinstance(literal, ast.Literal)
            assert isinstance(literal.value, str)
            pieces[-1] = literal.altered(value=literal.value.rstrip(SPACES))
        pieces.append(part)
        strip_next, before_is_literal = part.strip_after, False
    return pieces


def _dedented(pieces: list[Piece]) -> list[Piece]:
    """Take from the beginning of each line the smallest indent that any line has; blank lines do not count."""
    indents: dict[int, int] = {}
    line_begins = True
    smallest: int | None = None
    for number, piece in enumerate(pieces):
        text = piece.value if isinstance(piece, ast.Literal) else None
        if line_begins:
            spaces: int | None = 0
            if isinstance(text, str):
                indent = text[: len(text) - len(text.lstrip(SPACES))]
                if len(indent) == len(text) and text.endswith("\n"):
                    spaces = None
                else:
                    spaces = indents[number] = count_graphemes(indent)
            if spaces is not None:
                smallest = spaces if smallest is None else min(smallest, spaces)
        line_begins = isinstance(text, str) and text.endswith("\n")
    if not smallest:
        return pieces
    return [_without_indent(p, smallest) if n in indents else p for n, p in enumerate(pieces)]


def _without_indent(piece: Piece, count: int) -> Piece:
    assert isinstance(piece, ast.Literal)
    text = str(piece.value)
    cut = "".join(split_graphemes(text)[count:]) if not text[:count].isascii() else text[count:]
    return piece.altered(value=cut, start=piece.start + len(text) - len(cut))


def _melded(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring literals become one, in the normal form that every string value has."""
    melded: list[Piece] = []
    run: list[ast.Literal] = []
    for piece in pieces:
        if isinstance(piece, ast.Literal):
            run.append(piece)
            continue
        melded.extend(_joined(run))
        run = []
        melded.append(piece)
    melded.extend(_joined(run))
    return melded


def _joined(run: list[ast.Literal]) -> Iterator[ast.Literal]:
    if run:
        text = "".join(str(piece.value) for piece in run)
        yield ast.Literal(unicodedata.normalize("NFC", text), run[0].start, run[-1].end)


class _Nesting:
    """Turns the flat run of pieces into nodes, without recursing: an open directive is a frame on a stack."""

    def __init__(self, pieces: Sequence[Piece], closing: Token) -> None:
        self._pieces = pieces
        self._closing = closing

    def nodes(self) -> list[ast.Node]:
        current: list[ast.Node] = []
        stack: list[tuple[Directive, list[ast.Node], list[ast.Node] | None]] = []
        for piece in self._pieces:
            if isinstance(piece, ast.Literal):
                current.append(piece)
            elif isinstance(piece, Interpolation):
                current.append(piece.inner)
            elif piece.word in ("if", "for"):
                if len(stack) >= MAX_DEPTH:
                    raise TemplateError(f"directives nest deeper than {MAX_DEPTH} levels", piece.start, piece.end)
                stack.append((piece, current, None))
                current = []
            elif not stack:
                raise TemplateError(f"%{{ {piece.word} }} without %{{ {_opener(piece.word)} }}", piece.start, piece.end)
            elif piece.word == "else":
                current = self._otherwise(stack, current, piece)
            else:
                opened, outer, yes = stack.pop()
                if piece.word != "end" + opened.word:
                    raise TemplateError(
                        f"%{{ {piece.word} }} closes no %{{ {opened.word} }}",
                        piece.start,
                        piece.end,
                        f"write %{{ end{opened.word} }}",
                    )
                outer.append(_directive_node(opened, yes, current, piece))
                current = outer
        if stack:
            opened = stack[-1][0]
            raise TemplateError(
                f"%{{ {opened.word} }} without %{{ end{opened.word} }}",
                opened.start,
                opened.end,
                f"add %{{ end{opened.word} }} before the template ends",
            )
        return current

    @staticmethod
    def _otherwise(
        stack: list[tuple[Directive, list[ast.Node], list[ast.Node] | None]], current: list[ast.Node], piece: Directive
    ) -> list[ast.Node]:
        opened, outer, yes = stack[-1]
        if opened.word != "if" or yes is not None:
            reason = "a second %{ else }" if yes is not None else "%{ else } belongs to %{ if }, not to %{ for }"
            raise TemplateError(reason, piece.start, piece.end)
        stack[-1] = (opened, outer, current)
        return []


def _opener(word: str) -> str:
    return "for" if word == "endfor" else "if"


def _directive_node(opened: Directive, yes: list[ast.Node] | None, current: list[ast.Node], end: Directive) -> ast.Node:
    assert opened.node is not None
    if opened.word == "for":
        key_name = opened.names[0] if len(opened.names) == 2 else ""
        content = _content(current, opened.end)
        loop = ast.For(key_name, opened.names[-1], opened.node, None, content, None, False, opened.start, end.end)
        return ast.Joined(loop, opened.start, end.end)
    if yes is None:
        yes, current = current, []
    return ast.Conditional(opened.node, _content(yes, opened.end), _content(current, end.start), opened.start, end.end)


def _content(nodes: list[ast.Node], place: int) -> ast.Template:
    if not nodes:
        nodes = [ast.Literal("", place, place)]
    return ast.Template(tuple(nodes), nodes[0].start, nodes[-1].end)
