"""The real clock, whose sleep a signal may end early."""

from __future__ import annotations

import threading
import time


class SystemClock:
    """Clock over the operating system. `stop` ends every sleep."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)
