"""Windows onto an ELF file: all of it, a file on disk, or the few ranges worth keeping of a stream that passes once.

Of a 500 MB library a loader's tables are some 100 kB. They lie at the start of the first segment or of the first one
without code (linkers), or in a writable segment of their own at the end (patchelf). A stream keeps those; where that
was not enough, `read` says so and the caller streams the file again with `whole=True`.
"""

from __future__ import annotations

import struct
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import IO, Protocol

ELF_MAGIC = b"\x7fELF"

_HEAD_BYTES = 64 * 1024
_FIRST_SEGMENT_BYTES = 16 * 1024 * 1024
_OTHER_SEGMENT_BYTES = 8 * 1024 * 1024
_SMALL_SEGMENT_BYTES = 1024 * 1024
#: A file kept whole stays in memory up to here, then goes to a temporary file.
_WHOLE_IN_MEMORY_BYTES = 32 * 1024 * 1024
MAX_WHOLE_BYTES = 4 * 1024 * 1024 * 1024

_PF_X, _PF_W = 1, 2
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE, _PT_GNU_PROPERTY = 1, 2, 3, 4, 0x6474E553
_SMALL_SEGMENTS = frozenset({_PT_DYNAMIC, _PT_INTERP, _PT_NOTE, _PT_GNU_PROPERTY})


class OutOfWindowError(Exception):
    """The bytes exist in the file but were not kept."""


class Window(Protocol):
    """Random access to (parts of) a file of `size` bytes."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes, fewer only at the end of the file. Raises OutOfWindowError when they were not kept."""
        ...


class BytesWindow:
    """A file that is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]


class FileWindow:
    """A file on disk."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(max(0, min(length, self.size - offset)))


class Room:
    """Memory that the windows of one stream use in turn: fresh memory for each costs more than what is put into it."""

    def __init__(self) -> None:
        self._view = memoryview(bytearray(_HEAD_BYTES))

    def put(self, at: int, piece: bytes | memoryview) -> None:
        """Copy a piece to a place in front of which everything is filled."""
        end = at + len(piece)
        if end > len(self._view):
            larger = memoryview(bytearray(max(end, 2 * len(self._view))))
            larger[:at] = self._view[:at]
            self._view = larger
        self._view[at:end] = piece

    def get(self, at: int, end: int) -> bytes:
        """A copy of what lies there."""
        return bytes(self._view[at:end])


class StreamWindow:
    """Takes a file piece by piece and keeps copies of what the reader will want, in `room` until the next window.

    `constants` says that the read-only data are wanted, too: of a C library and its loader.
    """

    def __init__(self, size: int, *, whole: bool = False, constants: bool = False, room: Room | None = None) -> None:
        self.size = size
        self._constants = constants
        #: Whether nothing of what is still to come will be kept.
        self.is_complete = False
        self._room = room or Room()
        #: Bytes kept so far.
        self.kept = 0
        # Where kept ranges start in the file and in the room.
        self._starts: list[int] = []
        self._places: list[int] = []
        self._position = 0
        self._head = b""
        #: Ranges to keep, in order and apart, once the program headers are known.
        self._wanted: list[tuple[int, int]] | None = None
        self._spool: IO[bytes] | None = None
        if whole:
            self._keep_whole()

    def feed(self, piece: bytes | memoryview) -> None:
        """The next bytes of the file. What is wanted of them is copied."""
        start, end = self._position, self._position + len(piece)
        self._position = end
        if self._spool is None and self._wanted is None:
            self._head += piece[: _HEAD_BYTES - start]
            if end < min(_HEAD_BYTES, self.size):
                return
            self._plan()
            piece, start = piece[len(self._head) - start :], len(self._head)
        if self._spool is not None:
            self._spool.write(piece)
            return
        for first, last in self._wanted or ():
            if first < end and start < last:
                self._keep(max(first, start), piece[max(0, first - start) : last - start])
        self.is_complete = not self._wanted or self._wanted[-1][1] <= end

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        if self._spool is not None:
            self._spool.seek(offset)
            return self._spool.read(length)
        index = bisect_right(self._starts, offset) - 1
        at = self._places[index] + offset - self._starts[index] if index >= 0 else self.kept
        end = self._places[index + 1] if index + 1 < len(self._places) else self.kept
        if length and at + length > end:
            raise OutOfWindowError(f"{length} bytes at {offset}")
        return self._room.get(at, at + length)

    def close(self) -> None:
        """Give a temporary file back at once."""
        if self._spool is not None:
            self._spool.close()

    def _keep(self, start: int, piece: bytes | memoryview) -> None:
        at = self.kept
        if not self._starts or self._starts[-1] + at - self._places[-1] != start:
            self._starts.append(start)
            self._places.append(at)
        self._room.put(at, piece)
        self.kept = at + len(piece)

    def _keep_whole(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(max_size=_WHOLE_IN_MEMORY_BYTES)  # noqa: SIM115  (closed by close)
        self._spool.write(self._head)

    def _plan(self) -> None:
        """Decide from the program headers which ranges to keep behind the head."""
        head = self._head
        self._wanted = []
        self._keep(0, head)
        layout = _segment_layout(head)
        if layout is None:
            return
        if layout[0] + layout[1] * layout[2] > len(head) < self.size:
            self._keep_whole()
            return
        self._wanted = _joined(_wanted_ranges(head, layout, self._constants), len(head), self.size)


def _wanted_ranges(head: bytes, layout: tuple[int, int, int, bool], constants: bool) -> Iterator[tuple[int, int]]:
    """The segments that may hold a loader's tables, as ranges of the file."""
    offset, count, entry_size, is_64 = layout
    form = struct.Struct(("<" if head[5] == 1 else ">") + ("IIQ16xQ" if is_64 else "II8xI4xI"))
    loads: list[tuple[int, int, int]] = []
    for at in range(offset, min(offset + count * entry_size, len(head) - entry_size + 1), entry_size):
        if is_64:
            kind, flags, start, length = form.unpack_from(head, at)
        else:
            kind, start, length, flags = form.unpack_from(head, at)
        if kind == _PT_LOAD:
            loads.append((flags, start, length))
        elif kind in _SMALL_SEGMENTS:
            yield start, start + min(length, _SMALL_SEGMENT_BYTES)
    # A linker makes the first segment, or the first without code, of the tables; patchelf adds a writable one. A single
    # writable segment is the program's data.
    firsts = {0, next((number for number, (flags, _, _) in enumerate(loads) if not flags & _PF_X), 0)}
    has_several = sum(1 for flags, _, _ in loads if flags & _PF_W) > 1
    for number, (flags, start, length) in enumerate(loads):
        if number in firsts:
            yield start, start + min(length, _FIRST_SEGMENT_BYTES)
        elif not flags & _PF_X and length <= _OTHER_SEGMENT_BYTES and (has_several if flags & _PF_W else constants):
            yield start, start + length


def _joined(ranges: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """What lies between `start` and `end` of ranges, in order and each byte once."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        first, last = max(first, start), min(last, end)
        if first < last:
            joined.append((first, last))
            start = last
    return joined


def _segment_layout(head: bytes) -> tuple[int, int, int, bool] | None:
    """Offset, count and entry size of the program headers, and whether the file is 64-bit; None without any."""
    if len(head) < 64 or head[:4] != ELF_MAGIC or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    order = "<" if head[5] == 1 else ">"
    is_64 = head[4] == 2
    (offset,) = struct.unpack_from(order + ("Q" if is_64 else "I"), head, 32 if is_64 else 28)
    entry_size, count = struct.unpack_from(order + "HH", head, 54 if is_64 else 42)
    if not offset or not count or entry_size < (56 if is_64 else 32):
        return None
    return offset, count, entry_size, is_64
