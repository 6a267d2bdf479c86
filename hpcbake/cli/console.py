"""The console that tables are printed to: as wide as the terminal, and wide enough for a log when there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from hpcbake.report.page import Page, as_rich, plain_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: A pipe or a log has no width; a table that wraps its words there helps nobody.
_LOG_WIDTH = 200


def make_console(stream: TextIO | None = None) -> Console:
    """Standard output, or this stream; colours only on a terminal and without NO_COLOR."""
    from rich.console import Console

    width = None if (stream or sys.stdout).isatty() else _LOG_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def takes_words_alone(stream: TextIO) -> bool:
    """No terminal, and nobody who asks for colours all the same."""
    return not stream.isatty() and not os.environ.get("FORCE_COLOR")


def prepared(page: Page, stream: TextIO) -> tuple[RenderableType, Callable[[RenderableType], None]]:
    """What to print on this stream, and what prints it. The latter raises OSError when it cannot be written."""
    if takes_words_alone(stream):
        return plain_text(page), lambda text: _print_words(str(text), stream)
    return as_rich(page), make_console(stream).print


def print_page(page: Page, stream: TextIO | None = None) -> None:
    """Print on standard output, or on this stream. Raises OSError when it cannot be written."""
    what, print_out = prepared(page, stream or sys.stdout)
    print_out(what)


def _print_words(text: str, stream: TextIO) -> None:
    """What the stream's encoding has no sign for is shown as `?`. Raises OSError when it cannot be written."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
