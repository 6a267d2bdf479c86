"""Signals during a run: the first one ends it with a report, a second Ctrl-C ends it at once."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from hpcbake.errors import InterruptedByUserError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR = "\x1b[?25h"
_LEFT_AT_ONCE = (
    "left at once, without a report; what sites are at they finish, and nothing is half promoted: "
    "run the same command again\n"
)


class signals_raise:  # noqa: N801  (reads as what it does)
    """While it is entered, SIGINT, SIGTERM and SIGHUP end the run with a report.

    After the first one a second SIGINT ends the process at once; TERM and HUP then change nothing: it ends anyway.
    """

    def __enter__(self) -> None:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            signal.signal(number, self._raise)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            # The report of a run that was interrupted is still to be written, undisturbed.
            if self._is_fresh(number):
                signal.signal(number, handler)

    def _is_fresh(self, number: int) -> bool:
        """Has no signal come yet?"""
        handler = signal.getsignal(number)
        return getattr(handler, "__func__", handler) is getattr(self._raise, "__func__", self._raise)

    @staticmethod
    def _raise(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, _leave)
        for other in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise InterruptedByUserError(signal.Signals(number).name, signal_number=number)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End now. Only what is safe in the middle of anything: one write, past every buffer and lock."""
    words = (_SHOW_CURSOR if sys.stderr.isatty() else "") + _LEFT_AT_ONCE
    try:
        os.write(2, words.encode())
    finally:
        os._exit(130)
