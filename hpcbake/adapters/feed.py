"""What is sent to a script: its own text, and after it the bytes of a file, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hpcbake.errors import CantWriteError

#: More at once only waits in a buffer: a channel's window is larger, and a hung peer is noticed later.
PIECE_BYTES = 256 * 1024


class Feed:
    """Bytes on their way out. `rest()` is the next piece, empty at the end; `advance` says how much of it went."""

    def __init__(self, head: bytes, file: BinaryIO | None = None) -> None:
        self._piece = memoryview(head)
        self._file = file
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
        return self._piece[:PIECE_BYTES]

    def advance(self, count: int) -> None:
        """The first `count` bytes of the piece have gone."""
        self._piece = self._piece[count:]
        self.sent_bytes += count


@contextmanager
def open_feed(head: bytes, source: Path) -> Iterator[Feed]:
    """A feed of `head` and then this file. Raises CantWriteError when the file cannot be opened."""
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        raise _unreadable(source, error) from error
    with file:
        yield Feed(head, file)


def _unreadable(source: Path, error: OSError) -> CantWriteError:
    return CantWriteError(
        f"cannot read {source} to send it: {error.strerror}",
        remedy="check the file and this machine's disk, then run the same command again",
        kind="state.unreadable",
    )
