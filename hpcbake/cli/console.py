"""The console that tables are printed to: as wide as the terminal, and wide enough for a log when there is none."""

from __future__ import annotations

import sys

from rich.console import Console

#: A pipe or a log has no width; a table that wraps its words there helps nobody.
_LOG_WIDTH = 200


def make_console() -> Console:
    """Standard output; colours only on a terminal and without NO_COLOR."""
    width = None if sys.stdout.isatty() else _LOG_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)
