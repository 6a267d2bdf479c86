"""Progress on a terminal: a table that redraws itself, a row per image and site; it leaves no trace at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hpcbake.report.page import size_words
from hpcbake.report.progress.event import Event, Progress, Times, plain_line
from hpcbake.report.progress.rows import DONE, FAILED, WAITING, WORKING, Row, Rows

_REFRESH_PER_SECOND = 4
_STYLE = {WORKING: "", WAITING: "dim", FAILED: "bold red", DONE: "green"}
#: Columns, and the width of the terminal from which on there is room for each; the last one takes what is left.
_COLUMNS = (("site", 0), ("image", 30), ("stage", 0), ("time", 0), ("moved", 70), ("job", 90), ("", 55))
#: Lines that the table leaves to the rest of the screen.
_SPARE_LINES = 4


class LiveProgress(Progress):
    """The live table. What is printed meanwhile stands above it."""

    def __init__(self, stream: TextIO, times: Times, *, console: Console | None = None) -> None:
        super().__init__(stream, times)
        self._rows = Rows()
        # Of its own: rich's thread asks for the picture while it holds a lock that printing needs as well.
        self._rows_lock = threading.Lock()
        self._console = console or Console(file=stream, highlight=False, soft_wrap=False)
        self._live = Live(
            get_renderable=self._table,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveProgress:
        self._quietly(self._live.start)
        return self

    def stop(self) -> None:
        self._quietly(self._live.stop)

    def hear(self, event: Event) -> None:
        with self._rows_lock:
            self._rows.hear(event)
        if event.status == "failed" or event.stage in ("resume", "sweep"):
            self._quietly(lambda: self._console.print(Text(plain_line(event)), soft_wrap=True))

    def show(self, what: RenderableType, out: Callable[[RenderableType], None], *, is_here: bool) -> None:
        """Above the table when it goes to this very terminal; by itself when it goes elsewhere."""
        with self._lock:
            if is_here:
                self._quietly(lambda: self._console.print(what))
            else:
                out(what)

    def _quietly(self, act: Callable[[], None]) -> None:
        """A terminal that is gone is let be."""
        if self._is_gone:
            return
        try:
            act()
        except (OSError, ValueError):
            self._is_gone = True

    # ---- the picture ----

    def _table(self) -> RenderableType:
        """The table as it is now; asked for by rich's own thread, some times a second."""
        with self._rows_lock:
            now = self._times.monotonic() - self._began
            width, height = self._console.size
            return render_rows(self._rows, now, width=width, height=height)


def render_rows(rows: Rows, now_s: float, *, width: int, height: int) -> RenderableType:
    """The table for a terminal of this size: never wider, never higher. Pure."""
    if not len(rows):
        return Text("")
    chosen = rows.most_interesting(max(1, height - _SPARE_LINES))
    columns = [name for name, least in _COLUMNS if width >= least]
    # No wider than its words: when the terminal becomes narrower, lines that still fit are not broken by it.
    table = Table(box=None, pad_edge=False, show_header=height > 8, header_style="dim", expand=False)
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    cells = [_cells(row, now_s) for row in chosen]
    rest = width - sum(2 + max(map(len, (name, *(str(row[name]) for row in cells)))) for name in columns[:-1])
    for row, of_row in zip(chosen, cells, strict=True):
        # The last column alone gives way when the terminal is narrow.
        of_row[columns[-1]].truncate(max(4, rest), overflow="ellipsis")
        table.add_row(*(of_row[name] for name in columns), style=_STYLE[row.state])
    left = len(rows) - len(chosen)
    counts = ", ".join(f"{count} {state}" for state, count in rows.counts().items())
    foot = Text(f"{f'and {left} more; ' if left else ''}{counts}; {clock_words(now_s)}", style="dim", no_wrap=True)
    foot.truncate(width, overflow="ellipsis")
    return Group(table, foot)


def _cells(row: Row, now_s: float) -> dict[str, Text]:
    until = now_s if row.ended_s is None else row.ended_s
    return {
        "site": Text(row.site or "-"),
        "image": Text(row.image or "-"),
        "stage": Text(row.stage),
        "time": Text(clock_words(until - row.began_s)),
        "moved": Text(_moved(row)),
        "job": Text(f"{row.job} {row.job_state}".strip()),
        "": Text(row.text),
    }


def _moved(row: Row) -> str:
    if not row.bytes_to_move and not row.bytes_moved:
        return ""
    whole = size_words(row.bytes_to_move)
    if not row.bytes_moved:
        return f"of {whole}"
    rate = f" {size_words(int(row.bytes_moved / row.moved_s))}/s" if row.moved_s > 0 else ""
    return f"{whole}{rate}" if row.bytes_moved >= row.bytes_to_move else f"{size_words(row.bytes_moved)}/{whole}{rate}"


def clock_words(seconds: float) -> str:
    """`7s`, `2:05`, `1:02:03`."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}" if minutes else f"{whole}s"
