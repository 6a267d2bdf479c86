"""One thing that happened in a run, and who hears of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Protocol, TextIO

from hpcbake.model.late import dataclass
from hpcbake.report.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType


class Times(Protocol):
    """Wall time and a monotonic time, both in seconds."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


@dataclass(frozen=True)
class Event:
    """A step of a run. `status` is begin, note, moved, done or failed; site and image are empty where none is meant."""

    stage: str
    text: str
    site: str = ""
    image: str = ""
    status: str = "note"
    facts: Mapping[str, object] = field(default_factory=dict)
    #: seconds since the run began, and the time of day in seconds since 1970
    elapsed_s: float = 0.0
    time_s: float = 0.0


class Progress:
    """A listener of a run that shows what it hears; one event at a time, from whatever thread it comes.

    A terminal or pipe that goes away ends the showing, and never the run.
    """

    def __init__(self, stream: TextIO, times: Times) -> None:
        self._stream = stream
        self._times = times
        self._began = times.monotonic()
        self._lock = threading.RLock()
        self._is_gone = False

    def step(
        self,
        stage: str,
        text: str,
        *,
        site: str = "",
        image: str = "",
        status: str = "note",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Something happened."""
        elapsed = self._times.monotonic() - self._began
        event = Event(stage, text, site, image, status, facts or {}, elapsed, self._times.now())
        with self._lock:
            self.hear(event)

    def hear(self, event: Event) -> None:
        """Show one event."""

    def show(self, what: RenderableType, out: Callable[[RenderableType], None], *, is_here: bool) -> None:  # noqa: ARG002
        """Let `out` print something that is not progress, so that the two are not in each other's way.

        `is_here`: it goes to the very terminal that shows the progress.
        """
        with self._lock:
            out(what)

    def planned(self, document: Mapping[str, object]) -> None:
        """What the run is going to do, for programs."""

    def begun(self, run: str, resumes: str | None) -> None:
        """A run has begun."""

    def ended(self, code: int) -> None:
        """It has come to its end."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal as it was."""

    def write(self, line: str) -> None:
        """One line to the stream, at once; a stream that is gone is let be."""
        if self._is_gone:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._is_gone = True


def plain_line(event: Event) -> str:
    """One event as one line of a log."""
    where = " ".join(part for part in (event.site, event.image) if part)
    return f"{event.elapsed_s:6.1f}s  {event.stage:<8} {where:<28} {one_line(event.text)}".rstrip()


def one_line(text: str) -> str:
    """Text of whatever origin as it can stand on one line of a terminal."""
    return printable(" ".join(text.split("\n")).strip())
