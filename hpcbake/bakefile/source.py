"""Source text with positions: which file, which line, which column a thing was written at.

Offsets count Python characters from 0. Columns count grapheme clusters from 1, as HCL does, so a
column is what a reader counts on the screen.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cached_property

from hpcbake.model.record import Record

#: How a file is to be read. Compose files are not this package half's business but have positions too.
HCL = "hcl"
JSON = "json"
COMPOSE = "compose"

#: What Go's unicode.IsSpace takes for white space (Python's str.strip() would also take \x1c to \x1f).
SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


class SourceFile(Record):
    """One bake file: its name as the user gave it, its text, and how to read it (`hcl`, `json`, `compose`)."""

    name: str
    text: str
    kind: str = HCL

    def __repr__(self) -> str:
        return f"SourceFile({self.name!r})"

    @cached_property
    def _line_starts(self) -> tuple[int, ...]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return tuple(starts)

    def line_number(self, offset: int) -> int:
        """The line that holds the character at `offset`, counted from 1."""
        return bisect_right(self._line_starts, offset)

    def line_start(self, line: int) -> int:
        """The offset of the first character of line `line` (counted from 1)."""
        return self._line_starts[line - 1]

    def line_text(self, line: int) -> str:
        """The text of line `line` without its line ending; empty past the end."""
        if not 1 <= line <= len(self._line_starts):
            return ""
        start = self._line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    @property
    def line_count(self) -> int:
        return len(self._line_starts)

    def column(self, offset: int) -> int:
        """The column of `offset` in grapheme clusters, counted from 1."""
        before = self.text[self.line_start(self.line_number(offset)) : offset].removeprefix("\ufeff")
        return count_graphemes(before) + 1


class Span(Record):
    """A stretch of one source file: `start` inclusive, `end` exclusive, both character offsets."""

    source: SourceFile
    start: int
    end: int

    @property
    def path(self) -> str:
        return self.source.name

    @property
    def line(self) -> int:
        return self.source.line_number(self.start)

    @property
    def column(self) -> int:
        return self.source.column(self.start)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        return f"{printable(self.path)}:{self.line}:{self.column}"


def count_graphemes(text: str) -> int:
    """How many characters a reader sees: extended grapheme clusters, as Unicode TR 29 cuts them."""
    if text.isascii() and "\r\n" not in text:
        return len(text)
    return len(split_graphemes(text))


def split_graphemes(text: str) -> list[str]:
    """`text` cut into extended grapheme clusters."""
    if text.isascii() and "\r\n" not in text:
        return list(text)
    import regex  # type: ignore[import-untyped]  # only texts beyond ASCII need it, and it takes 20 ms to load

    return list(regex.findall(r"\X", text))


def printable(text: str) -> str:
    """`text` with control characters escaped, so that no file name or value can play with the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def excerpt(span: Span) -> str:
    """The source line of `span` with a caret under each of its characters; long lines are cut around it."""
    source, line = span.source, span.line
    text = source.line_text(line).removeprefix("\ufeff")
    shift = len(source.line_text(line)) - len(text)
    first = max(span.start - source.line_start(line) - shift, 0)
    last = min(max(span.end - source.line_start(line) - shift, first + 1), max(len(text), first + 1))
    text, first, last = _window(text, first, last)
    gutter = " " * len(str(line))
    carets = " " * _width(text[:first]) + "^" * max(_width(text[first:last]), 1)
    return f"{gutter} |\n{line} | {_visible(text)}\n{gutter} | {carets}"


_LONGEST_LINE = 160


def _window(text: str, first: int, last: int) -> tuple[str, int, int]:
    """Cut a line that no terminal can show down to the part around first..last."""
    if len(text) <= _LONGEST_LINE:
        return text, first, last
    begin = max(0, min(first - _LONGEST_LINE // 4, len(text) - _LONGEST_LINE))
    cut = text[begin : begin + _LONGEST_LINE]
    head = "…" if begin else ""
    tail = "…" if begin + _LONGEST_LINE < len(text) else ""
    move = len(head) - begin
    return head + cut + tail, first + move, min(last + move, len(head) + len(cut))


def _visible(text: str) -> str:
    """Tabs become four spaces and control characters their escapes, so that carets stay below what they mean."""
    return printable(text.replace("\t", "    "))


def _width(text: str) -> int:
    """How many terminal cells the visible form of `text` takes."""
    shown = _visible(text)
    if shown.isascii():
        return len(shown)
    return sum(_cells(c) for c in shown)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
