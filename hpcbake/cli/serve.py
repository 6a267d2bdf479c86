"""`hpcbake report --serve`: the report's pages in a browser on this machine, as they are at each look."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

import click

from hpcbake import __version__
from hpcbake.adapters.pageserver import PageServer
from hpcbake.cli.kept import KeptRuns
from hpcbake.report.fleet import gather
from hpcbake.report.pages import page_names, render_index, render_run
from hpcbake.report.timeline import with_history


class LivePages:
    """The pages of the runs that `read` gives, read anew for each page: a night may have passed."""

    def __init__(self, read: Callable[[], KeptRuns], now: Callable[[], float]) -> None:
        self._read = read
        self._now = now
        #: One look at a time: a browser asks for several pages at once.
        self._lock = threading.Lock()

    def page(self, path: str) -> str | None:
        """The page of this path, `` and `index.html` being the first; None for any other than those that are linked."""
        if path not in ("", "index.html") and not path.startswith("runs/"):
            return None
        with self._lock:
            kept = self._read()
            fleet = with_history(gather(kept.reports), kept.figures)
            if path in ("", "index.html"):
                return render_index(fleet, now=self._now(), tool_version=__version__, lost=kept.lost)
            by_name = dict(zip(page_names(fleet.reports), fleet.reports, strict=True))
            return render_run(by_name[path], tool_version=__version__) if path in by_name else None


def serve_pages(pages: LivePages, port: int) -> int:
    """Serve until Ctrl-C or TERM. Raises UsageError for a port that cannot be had."""
    server = PageServer(pages.page, port=port)
    before = signal.signal(signal.SIGTERM, _stop)
    click.echo(server.url)
    click.echo("everybody on this machine can read it; Ctrl-C stops it", err=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
