"""Pieces of Markdown, and the line that marks a page as generated."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by docs/generate.py from the code. Do not edit: run `python docs/generate.py`. -->\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped, line breaks become spaces."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def code(value: object) -> str:
    return f"`{value}`"


def paragraph(text: str) -> str:
    """A paragraph in lines of readable length."""
    return textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False) + "\n"
