"""What `lab up` tells while it works: one line per step with the time since the start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: A step that takes longer says every so many seconds that it is still alive.
HEARTBEAT_S = 15.0


class Progress:
    """Writes lines through `write`; several threads may report at once."""

    def __init__(self, write: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._start = clock()

    @property
    def seconds(self) -> float:
        return self._clock() - self._start

    def say(self, text: str) -> None:
        self._write(f"{self.seconds:6.1f} s  {text}")

    @contextmanager
    def step(self, text: str, *, heartbeat_s: float = HEARTBEAT_S) -> Iterator[None]:
        """Say `text` now, and while the body lasts that it still goes on."""
        self.say(text)
        over = threading.Event()

        def beat() -> None:
            while not over.wait(heartbeat_s):
                self.say(f"… still at it: {text}")

        threading.Thread(target=beat, daemon=True).start()
        try:
            yield
        finally:
            over.set()
