"""Windows onto an ELF file: all of it, a file on disk, or the few ranges worth keeping of a stream that passes once.

Of a 500 MB library a loader's tables are some 100 kB. They lie at the start of the first segment or of the first one
without code (linkers), or in a small segment at the end (patchelf). A stream keeps those; where that was not enough,
`read` says so and the caller streams the file again with `whole=True`.
"""

from __future__ import annotations

import struct
import tempfile
from bisect import bisect_right
from typing import IO, Protocol

ELF_MAGIC = b"\x7fELF"

_HEAD_BYTES = 64 * 1024
_FIRST_SEGMENT_BYTES = 16 * 1024 * 1024
_OTHER_SEGMENT_BYTES = 8 * 1024 * 1024
#: A file kept whole stays in memory up to here, then goes to a temporary file.
_WHOLE_IN_MEMORY_BYTES = 32 * 1024 * 1024
MAX_WHOLE_BYTES = 4 * 1024 * 1024 * 1024

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


class StreamWindow:
    """Takes a file piece by piece and keeps what the reader will want."""

    def __init__(self, size: int, *, whole: bool = False) -> None:
        self.size = size
        self._starts: list[int] = []
        self._pieces: list[bytes | memoryview] = []
        self._position = 0
        self._wanted: list[tuple[int, int]] | None = None
        self._spool: IO[bytes] | None = None
        if whole:
            self._keep_whole()

    def feed(self, piece: bytes | memoryview) -> None:
        """The next bytes of the file. Pieces are kept by reference: hand over memory that will not change."""
        start, end = self._position, self._position + len(piece)
        self._position = end
        if self._spool is not None:
            self._spool.write(piece)
            return
        if self._wanted is None or start < _HEAD_BYTES or any(a < end and start < b for a, b in self._wanted):
            self._starts.append(start)
            self._pieces.append(piece)
        if self._wanted is None and (end >= _HEAD_BYTES or end >= self.size):
            self._plan(self.read(0, min(end, _HEAD_BYTES)))

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        if self._spool is not None:
            self._spool.seek(offset)
            return self._spool.read(length)
        parts: list[bytes] = []
        end = offset + length
        while offset < end:
            index = bisect_right(self._starts, offset) - 1
            piece = self._pieces[index] if index >= 0 else b""
            inside = offset - self._starts[index] if index >= 0 else 0
            part = bytes(piece[inside : inside + end - offset])
            if not part:
                raise OutOfWindowError(f"{length} bytes at {offset}")
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Give a temporary file back at once."""
        if self._spool is not None:
            self._spool.close()

    def _keep_whole(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(max_size=_WHOLE_IN_MEMORY_BYTES)  # noqa: SIM115  (closed by close)
        for piece in self._pieces:
            self._spool.write(piece)
        self._starts, self._pieces = [], []

    def _plan(self, head: bytes) -> None:
        """Decide from the program headers which ranges to keep."""
        self._wanted = []
        layout = _segment_layout(head)
        if layout is None:
            return
        offset, count, entry_size, is_64 = layout
        if offset + count * entry_size > len(head) < self.size:
            self._keep_whole()
            return
        is_first = is_first_data = True
        order = "<" if head[5] == 1 else ">"
        for index in range(count):
            at = offset + index * entry_size
            if at + entry_size > len(head):
                break
            if is_64:
                kind, flags, start, _, _, length = struct.unpack_from(order + "IIQQQQ", head, at)
            else:
                kind, start, _, _, length, _, flags = struct.unpack_from(order + "IIIIIII", head, at)
            if kind == _PT_LOAD:
                is_data = not flags & 1
                if is_first or (is_data and is_first_data):
                    self._wanted.append((start, start + min(length, _FIRST_SEGMENT_BYTES)))
                elif is_data and length <= _OTHER_SEGMENT_BYTES:
                    self._wanted.append((start, start + length))
                is_first, is_first_data = False, is_first_data and not is_data
            elif kind in _SMALL_SEGMENTS:
                self._wanted.append((start, start + min(length, 1024 * 1024)))


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
