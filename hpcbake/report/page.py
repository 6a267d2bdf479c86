"""What people are shown: paragraphs with emphasis, and tables. By rich on a terminal, as plain text anywhere else.

A log, a pipe or a CI page takes the words alone; rich, which takes longer to load than an unchanged run to ask its
sites, is loaded for terminals only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hpcbake.report.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType


class Words:
    """A paragraph, or what stands in a cell of a table. Styles are those of rich: `bold red`, `dim`."""

    __slots__ = ("spans", "style")

    def __init__(self, text: str = "", style: str = "") -> None:
        self.style = style
        self.spans: list[tuple[str, str]] = [(text, "")] if text else []

    def append(self, text: str, style: str = "") -> None:
        """Go on, with a style of its own."""
        self.spans.append((text, style))

    @property
    def plain(self) -> str:
        """The words alone."""
        return "".join(text for text, _ in self.spans)


class Columns(NamedTuple):
    """A table. On a terminal that is too narrow only the last column wraps, if `last_wraps`."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Words]]
    last_wraps: bool = False


#: Parts of a page, one below the other.
Page = Sequence["Words | Columns"]


def trouble(places: Sequence[str], message: str, output: str, remedy: str) -> Words:
    """What went wrong and where, what a program said to it, and what to do. Empty parts are left out."""
    words = Words("\n")
    words.append(" · ".join(place for place in places if place), "bold red")
    words.append(f"\n  {printable(message)}")
    words.append("".join(f"\n  | {printable(line)}" for line in output.splitlines()), "dim")
    if remedy:
        words.append("\n  help: ", "bold")
        words.append(printable(remedy))
    return words


def size_words(size_bytes: int) -> str:
    """A size for people: `512 B`, `25.7 MB`, `1.3 GB`."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def plain_text(page: Page) -> str:
    """The page as lines of text; no line is broken, for whoever searches a log."""
    lines: list[str] = []
    for part in page:
        lines += _aligned(part) if isinstance(part, Columns) else part.plain.split("\n")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _aligned(table: Columns) -> Iterable[str]:
    rows = [list(table.headings), *([cell.plain for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def as_rich(page: Page) -> RenderableType:
    """The page as something that rich prints."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def text(words: Words) -> Text:
        made = Text(style=words.style)
        for span, style in words.spans:
            made.append(span, style or None)
        return made

    parts: list[RenderableType] = []
    for part in page:
        if isinstance(part, Words):
            parts.append(text(part))
            continue
        table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
        for number, heading in enumerate(part.headings, 1):
            if part.last_wraps and number == len(part.headings):
                table.add_column(heading, overflow="fold")
            else:
                table.add_column(heading, no_wrap=True)
        for row in part.rows:
            table.add_row(*map(text, row))
        parts.append(table)
    return Group(*parts)
