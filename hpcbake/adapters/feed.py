"""What is sent to a script: its own text, and after it the bytes of a file, piece by piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hpcbake.errors import CantWriteError

#: More at once only waits in a buffer: a channel's window is larger, and a hung peer is noticed later.
PIECE_BYTES = 256 * 1024
_TOLD_EVERY_S = 1.0


class Feed:
    """Bytes on their way out. `rest()` is the next piece, empty at the end; `advance` says how much of it went.

    `on_sent` hears of the file's bytes that have gone: of none at the beginning, of all at the end, and every second.
    """

    def __init__(self, head: bytes, file: BinaryIO | None = None, on_sent: Callable[[int], None] | None = None) -> None:
        self._piece = memoryview(head)
        self._file = file
        self._head_bytes = len(head)
        self._on_sent = on_sent if file is not None else None
        self._told_at = 0.0
        self.sent_bytes = 0

    def rest(self) -> memoryview:
        """What is to be sent next: at most PIECE_BYTES. Raises CantWriteError when the file cannot be read."""
        if not self._piece and self._file is not None:
            try:
                self._piece = memoryview(self._file.read(PIECE_BYTES))
            except OSError as error:
                raise _unreadable(Path(self._file.name), error) from error
            if not self._piece:
                self._file = None
                self._tell(at_least_s=0.0)
        return self._piece[:PIECE_BYTES]

    def advance(self, count: int) -> None:
        """The first `count` bytes of the piece have gone."""
        self._piece = self._piece[count:]
        self.sent_bytes += count
        self._tell(at_least_s=_TOLD_EVERY_S)

    def _tell(self, *, at_least_s: float) -> None:
        now = time.monotonic()
        if self._on_sent is not None and now - self._told_at >= at_least_s:
            self._told_at = now
            self._on_sent(max(0, self.sent_bytes - self._head_bytes))


@contextmanager
def open_feed(head: bytes, source: Path, on_sent: Callable[[int], None] | None = None) -> Iterator[Feed]:
    """A feed of `head` and then this file. Raises CantWriteError when the file cannot be opened."""
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        raise _unreadable(source, error) from error
    with file:
        yield Feed(head, file, on_sent)


def _unreadable(source: Path, error: OSError) -> CantWriteError:
    return CantWriteError(
        f"cannot read {source} to send it: {error.strerror}",
        remedy="check the file and this machine's disk, then run the same command again",
        kind="state.unreadable",
    )
