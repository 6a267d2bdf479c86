"""A stream of bytes that passes once: exact reads, skips, and pieces without copying; and what unpacks it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

from hpcbake.errors import IntegrityError

_GzipFile: Any
_isal: Any
try:
    from isal import isal_zlib as _isal
    from isal.igzip import IGzipFile as _GzipFile
except ImportError:  # no wheel for this machine: the same interface, half the speed
    _GzipFile, _isal = gzip.GzipFile, zlib

_DAMAGE: tuple[type[Exception], ...] = (
    zlib.error,
    _isal.error,
    zstandard.ZstdError,
    lzma.LZMAError,
    OSError,
    ValueError,
    EOFError,
)

#: Unpacked bytes handed on at a time: bounds memory also for input that expands a thousandfold. A piece and what it was
#: made of stay in a processor's own cache, which is worth a tenth of the time.
PIECE_BYTES = 256 * 1024
#: Compressed bytes given to an engine at a time: what it did not use it copies.
_STEP_BYTES = 64 * 1024


class EndOfStreamError(Exception):
    """The stream ended before what was announced."""


class ByteStream:
    """Reads exact amounts from an iterator of chunks, each of which may be gone when the next one is asked for."""

    def __init__(self, chunks: Iterator[bytes | memoryview]) -> None:
        self._chunks = chunks
        self._view = memoryview(b"")
        self._at = self._end = 0
        self._passed = 0

    @property
    def position(self) -> int:
        """Bytes consumed so far."""
        return self._passed + self._at

    def take(self, length: int) -> bytes:
        """Exactly `length` bytes. Raises EndOfStreamError when there are fewer."""
        end = self._at + length
        if end <= self._end:
            content = bytes(self._view[self._at : end])
            self._at = end
            return content
        return b"".join([bytes(piece) for piece in self.pieces(length)])

    def peek(self, length: int) -> bytes:
        """The next bytes without passing over them: at most `length`, and only as far as the current chunk reaches."""
        return bytes(self._view[self._at : self._at + length])

    def pieces(self, length: int) -> Iterator[memoryview]:
        """`length` bytes as views, each valid until the next is asked for. Raises EndOfStreamError for fewer.

        Only what was handed out counts as consumed.
        """
        while length:
            if self._at == self._end:
                self._next()
                continue
            at = self._at
            self._at = min(self._end, at + length)
            length -= self._at - at
            yield self._view[at : self._at]

    def skip(self, length: int) -> None:
        """Pass over `length` bytes."""
        end = self._at + length
        while end > self._end:
            end -= self._end
            self._next()
        self._at = end

    def drain(self) -> None:
        """Pass over the rest."""
        try:
            while True:
                self.skip(PIECE_BYTES)
        except EndOfStreamError:
            return

    def is_at_end(self) -> bool:
        """Whether nothing more will come."""
        try:
            while self._at == self._end:
                self._next()
        except EndOfStreamError:
            return True
        return False

    def _next(self) -> None:
        self._passed += self._end
        self._at = self._end = 0
        chunk = next(self._chunks, None)
        if chunk is None:
            raise EndOfStreamError
        self._view, self._end = memoryview(chunk), len(chunk)


def unpack(chunks: Iterator[bytes], what: str) -> Iterator[bytes | memoryview]:
    """Decompress by magic number, not by the media type that a manifest claims: gzip, zstd, bzip2, xz, or plain.

    A piece is valid until the next is asked for; none of compressed input is larger than PIECE_BYTES. Raises
    IntegrityError when the compressed data is damaged or ends early.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 6:
            break
    rest = _prepended(head, chunks)
    try:
        if head.startswith(b"\x1f\x8b"):
            yield from _read_in_place(_GzipFile(fileobj=_ChunkFile(rest), mode="rb"))
        elif head.startswith(b"\x28\xb5\x2f\xfd") or head[1:4] == b"\x2a\x4d\x18":
            yield from _unpack_zstd(rest)
        elif head.startswith(b"BZh"):
            yield from _unpack_members(rest, bz2.BZ2Decompressor)
        elif head.startswith(b"\xfd7zXZ\0"):
            yield from _unpack_members(rest, lambda: lzma.LZMADecompressor(memlimit=256 * 1024 * 1024))
        else:
            yield from rest
    except _DAMAGE as cause:
        raise IntegrityError(
            f"{what} cannot be unpacked: {cause}",
            remedy="push the image again; if it stays, build it anew",
            kind="image.damaged-layer",
        ) from cause


def _prepended(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from chunks


def _unpack_members(chunks: Iterator[bytes], new: Callable[[], Any]) -> Iterator[bytes]:
    """One or many members in a row, each with output of bounded size."""
    engine, is_fresh = new(), True
    for step in _steps(chunks):
        buffer: bytes | memoryview = step
        while buffer or not getattr(engine, "needs_input", True):
            if is_fresh and not bytes(buffer).strip(b"\0"):
                break  # padding after the last member
            piece = engine.decompress(buffer, PIECE_BYTES)
            is_fresh = False
            buffer = getattr(engine, "unconsumed_tail", b"")
            if piece:
                yield piece
            if engine.eof:
                buffer = engine.unused_data
                engine, is_fresh = new(), True
    while not is_fresh:
        # Output that the bound held back.
        piece = engine.decompress(b"", PIECE_BYTES)
        if piece:
            yield piece
        if engine.eof:
            return
        if not piece:
            raise EOFError("the compressed data ends early")


def _steps(chunks: Iterator[bytes]) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk)
        for at in range(0, len(view), _STEP_BYTES):
            yield view[at : at + _STEP_BYTES]


class _ZstdFrames:
    """Passes compressed zstd data through and knows where its frames end: the library takes a cut one for the end.

    Frame and block headers as in RFC 8878, sections 3.1.1 and 3.1.2.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._pending = b""
        self._skip = 0
        self._in_frame = False
        self._checksum_bytes = 0

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002  (the interface of a file; whole chunks are handed out)
        chunk = next(self._chunks, b"")
        self._follow(chunk)
        return chunk

    def check_end(self) -> None:
        """Raise EOFError unless the last frame was complete."""
        if self._in_frame or self._skip or self._pending:
            raise EOFError("the compressed data ends early")

    def _follow(self, chunk: bytes) -> None:
        at, end = 0, len(chunk)
        while True:
            at += self._skip
            if at >= end:
                self._skip = at - end
                return
            self._skip = 0
            if self._in_frame and not self._pending:
                at = self._pass_blocks(chunk, at, end)
                if self._skip or at == end:
                    continue
            header = self._pending + chunk[at : at + 18 - len(self._pending)]
            used = self._read_header(header)
            if not used:
                self._pending = header
                return
            at += used - len(self._pending)
            self._pending = b""

    def _pass_blocks(self, chunk: bytes, at: int, end: int) -> int:
        """Step over the blocks in the middle of a frame, of which an image has ten thousand: what `_read_header` does.

        Returns where it stopped: at the frame's last block, in front of a cut header, or beyond the chunk's end.
        """
        while at + 3 <= end:
            block = chunk[at] | chunk[at + 1] << 8 | chunk[at + 2] << 16
            if block & 1:
                break
            at += 4 if block & 6 == 2 else 3 + (block >> 3)
        if at > end:
            self._skip = at - end
            return end
        return at

    def _read_header(self, header: bytes) -> int:
        """Bytes used by the frame or block header at the start of `header`; 0 when it is not all there."""
        if self._in_frame:
            if len(header) < 3:
                return 0
            block = int.from_bytes(header[:3], "little")
            is_last, is_repeated, size = block & 1, block >> 1 & 3 == 1, block >> 3
            self._skip = 1 if is_repeated else size
            if is_last:
                self._skip += self._checksum_bytes
                self._in_frame = False
            return 3
        if len(header) < 8:
            return 0
        if header[1:4] == b"\x2a\x4d\x18":
            self._skip = int.from_bytes(header[4:8], "little")
            return 8
        descriptor = header[4]
        is_single = descriptor >> 5 & 1
        length = 5 + (1 - is_single) + (0, 1, 2, 4)[descriptor & 3] + (is_single, 2, 4, 8)[descriptor >> 6]
        if len(header) < length:
            return 0
        self._in_frame, self._checksum_bytes = True, 4 * (descriptor >> 2 & 1)
        return length


class _ChunkFile(io.RawIOBase):
    """Chunks as a file that is read from once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._view = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._view:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._view = memoryview(chunk)
        count = min(len(buffer), len(self._view))
        buffer[:count] = self._view[:count]
        self._view = self._view[count:]
        return count


def _unpack_zstd(chunks: Iterator[bytes]) -> Iterator[memoryview]:
    frames = _ZstdFrames(chunks)
    source: Any = frames
    yield from _read_in_place(zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True))
    frames.check_end()


def _read_in_place(reader: Any) -> Iterator[memoryview]:
    """One buffer for all: fresh memory for every piece costs more than the copies of what is kept."""
    buffer = bytearray(PIECE_BYTES)
    view = memoryview(buffer)
    while count := reader.readinto(buffer):
        yield view[:count]
