"""Which kind of progress suits where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from hpcbake.report.progress.event import Progress, Times
from hpcbake.report.progress.lines import PlainProgress, QuietProgress
from hpcbake.report.progress.rawjson import RawJsonProgress

#: What --progress takes.
MODES = ("auto", "tty", "plain", "rawjson", "quiet")


def choose_mode(wanted: str, stream: TextIO, environment: Mapping[str, str]) -> str:
    """`auto` is a live table on a terminal that can move its cursor, and plain lines everywhere else."""
    if wanted != "auto":
        return wanted
    can_move = environment.get("TERM", "dumb") not in ("dumb", "unknown", "")
    return "tty" if can_move and stream.isatty() else "plain"


def make_progress(mode: str, stream: TextIO, times: Times) -> Progress:
    """Progress of a mode that was chosen."""
    if mode == "tty":
        from hpcbake.report.progress.live import LiveProgress  # rich's table takes a while to load

        return LiveProgress(stream, times)
    kinds = {"rawjson": RawJsonProgress, "quiet": QuietProgress}
    return kinds.get(mode, PlainProgress)(stream, times)
