"""How many sites are worked on at a time, and who does not count: a site that is only waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: A site that has not answered the first question by then gives its place to the next one.
PATIENCE_S = 5.0


class Places:
    """So many sites at a time. A site takes a place to work, and lends it to others while it only waits.

    Dead and slow sites so never keep the others from theirs: what counts is work, and not patience.
    """

    def __init__(self, count: int) -> None:
        self._free = max(1, count)
        self._changed = threading.Condition()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Work, in a place of one's own; waits for one."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def lent(self, after_s: float = 0.0) -> Iterator[None]:
        """Wait for somebody else, within `held`. After so many seconds of it the place is another's.

        What follows begins when there is a place again.
        """
        loan = _Loan(self)
        timer = threading.Timer(after_s, loan.begin)
        timer.daemon = True
        if after_s > 0:
            timer.start()
        else:
            loan.begin()
        try:
            yield
        finally:
            timer.cancel()
            if loan.end():
                self._take()

    def _take(self) -> None:
        with self._changed:
            while self._free < 1:
                self._changed.wait()
            self._free -= 1

    def _give(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify()


class _Loan:
    """One place that is given away at most once, and not any more when the wait is over."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._state = "held"

    def begin(self) -> None:
        with self._lock:
            if self._state == "held":
                self._state = "lent"
                self._places._give()

    def end(self) -> bool:
        """Whether the place was given away."""
        with self._lock:
            was, self._state = self._state, "over"
            return was == "lent"
