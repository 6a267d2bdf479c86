"""Tells a connection that is silent because nothing happens from one that is dead: the server must answer.

paramiko's own keepalive asks for no answer, so that a black hole between here and there goes unnoticed until the
deadline of a step, which may be an hour.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType

import paramiko

#: As ssh's ServerAliveInterval and ServerAliveCountMax have it.
INTERVAL_S = 15.0
MISSED = 3


class Pulse:
    """Asks the server every `interval_s` while the block runs. `is_dead` once it has missed too many answers."""

    def __init__(self, transport: paramiko.Transport, *, interval_s: float = INTERVAL_S) -> None:
        self._transport = transport
        self._interval_s = interval_s
        self._answered_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="hpcbake-pulse", daemon=True)

    @property
    def is_dead(self) -> bool:
        return time.monotonic() - self._answered_at > self._interval_s * (MISSED + 1)

    def _beat(self) -> None:
        while not self._stop.wait(self._interval_s):
            # Any answer will do, a refusal too: it waits for one as long as the connection stands.
            with suppress(Exception):
                self._transport.global_request("keepalive@openssh.com", wait=True)
            if not self._transport.is_active():
                return
            self._answered_at = time.monotonic()

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
