"""Clocks whose time passes only when somebody sleeps."""

from __future__ import annotations


class FastClock:
    """A Clock that starts at noon of 2026-01-31 UTC; a sleep passes at once, and is written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._passed = 0.0

    def now(self) -> float:
        return 1769860800.0 + self._passed

    def monotonic(self) -> float:
        return 1000.0 + self._passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed += seconds
