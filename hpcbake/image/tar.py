"""Walks a tar stream once: ustar, pax and GNU headers, long names, sparse files. Nothing is written anywhere.

Names are text with surrogate escapes. Whatever a name says (`../`, `/`, a device), it is only ever data here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from zlib import adler32

from hpcbake.errors import IntegrityError
from hpcbake.image.stream import ByteStream, EndOfStreamError

_BLOCK = 512
_ZERO_BLOCK = bytes(_BLOCK)
#: Longest extended header that is read: real ones have some hundred bytes, xattrs some thousand.
_MAX_HEADER_BYTES = 1024 * 1024
_ZEROS = memoryview(bytes(256 * 1024))
_MAX_SPARSE_MAP = 65536
_CUT = "it ends in the middle of a file"


class EntryKind(IntEnum):
    """What a tar entry makes."""

    FILE = 0
    FOLDER = 1
    SYMLINK = 2
    HARDLINK = 3
    DEVICE = 4
    FIFO = 5


@dataclass(slots=True)
class TarEntry:
    """One member. `size` is what the file will have; its content comes from `TarWalker.pieces`, at most once."""

    name: str
    kind: EntryKind
    mode: int
    size: int
    target: str = ""
    has_capability: bool = False
    #: (offset, length) of the parts that are not holes; None for an ordinary file.
    sparse: tuple[tuple[int, int], ...] | None = None


class MalformedTarError(Exception):
    """The stream is not a tar archive, or breaks its rules."""


# Looked up for every entry: an enum's member costs more than a name of the module.
_FILE = EntryKind.FILE
_KINDS = {
    b"0": EntryKind.FILE,
    b"\0": EntryKind.FILE,
    b"7": EntryKind.FILE,
    b"S": EntryKind.FILE,
    b"1": EntryKind.HARDLINK,
    b"2": EntryKind.SYMLINK,
    b"3": EntryKind.DEVICE,
    b"4": EntryKind.DEVICE,
    b"5": EntryKind.FOLDER,
    b"6": EntryKind.FIFO,
}


class TarWalker:
    """Iterates over the entries of a stream. What of an entry's content was not read is skipped."""

    def __init__(self, stream: ByteStream, what: str) -> None:
        self._stream = stream
        self._what = what
        self._left = 0
        self._padding = 0
        self._global: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[TarEntry]:
        """Raises IntegrityError when the archive is damaged or ends inside an entry."""
        try:
            while (entry := self._next()) is not None:
                yield entry
                self._finish()
        except EndOfStreamError as cause:
            raise self._damaged(_CUT) from cause
        except MalformedTarError as cause:
            raise self._damaged(str(cause)) from cause

    def peek(self, entry: TarEntry, length: int) -> bytes | None:
        """The first bytes of the entry just yielded, if they are at hand without any work; None when they are not."""
        wanted = min(length, entry.size)
        content = self._stream.peek(wanted) if entry.sparse is None else b""
        return content if len(content) == wanted else None

    def pieces(self, entry: TarEntry) -> Iterator[memoryview]:
        """The content of the entry just yielded, holes of sparse files filled with zeros.

        Raises IntegrityError when the archive ends inside it.
        """
        try:
            yield from self._pieces(entry)
        except EndOfStreamError as cause:
            raise self._damaged(_CUT) from cause

    def _pieces(self, entry: TarEntry) -> Iterator[memoryview]:
        if entry.sparse is None:
            yield from self._content(entry.size)
            return
        at = 0
        for offset, length in entry.sparse:
            yield from _zeros(offset - at)
            yield from self._content(length)
            at = offset + length
        yield from _zeros(entry.size - at)

    def _content(self, length: int) -> Iterator[memoryview]:
        length = min(length, self._left)
        for piece in self._stream.pieces(length):
            self._left -= len(piece)
            yield piece

    def _finish(self) -> None:
        if self._left or self._padding:
            self._stream.skip(self._left + self._padding)
            self._left = self._padding = 0

    def _next(self) -> TarEntry | None:
        pax: dict[str, bytes] = {}
        long_name = long_target = None
        while True:
            header = self._header()
            if header is None:
                return None
            kind, size = header[156:157], _number(header[124:136])
            what = _KINDS.get(kind)
            if what is not None:
                if self._global:
                    pax = self._global | pax
                return self._entry(header, what, size, pax, long_name, long_target)
            if kind == b"L":
                long_name = self._extension(size).rstrip(b"\0")
            elif kind == b"K":
                long_target = self._extension(size).rstrip(b"\0")
            elif kind == b"x":
                pax = _parse_pax(self._extension(size))
            elif kind == b"g":
                self._global |= _parse_pax(self._extension(size))
            else:
                # Volume labels, dump folders, vendors' inventions: nothing a container runtime would make.
                self._start(size)
                self._finish()
                pax, long_name, long_target = {}, None, None

    def _header(self) -> bytes | None:
        if self._stream.is_at_end():
            return None
        header = self._stream.take(_BLOCK)
        if header == _ZERO_BLOCK:
            if not self._stream.is_at_end() and self._stream.take(_BLOCK) != _ZERO_BLOCK:
                raise MalformedTarError("a lone zero block")
            self._stream.drain()
            return None
        if not _has_right_sum(header):
            raise MalformedTarError("a header's checksum is wrong")
        return header

    def _extension(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise MalformedTarError(f"an extended header of {size} bytes")
        self._start(size)
        content = b"".join(bytes(piece) for piece in self._content(size))
        self._finish()
        return content

    def _start(self, size: int) -> None:
        self._left, self._padding = size, -size % _BLOCK

    def _entry(
        self,
        header: bytes,
        what: EntryKind,
        size: int,
        pax: dict[str, bytes],
        long_name: bytes | None,
        long_target: bytes | None,
    ) -> TarEntry:
        name = pax.get("path") or long_name or _ustar_name(header)
        if what is _FILE and name.endswith(b"/"):
            what = EntryKind.FOLDER  # before ustar there was no other way to say it
        target = b""
        if what is not _FILE:
            size = 0
            if what is EntryKind.SYMLINK or what is EntryKind.HARDLINK:
                target = pax.get("linkpath") or long_target or header[157:257].partition(b"\0")[0]
        elif "size" in pax:
            size = _decimal(pax["size"])
        self._left, self._padding = size, -size % _BLOCK
        entry = TarEntry(
            name.decode("utf-8", "surrogateescape"),
            what,
            _number(header[100:108]) & 0o7777,
            size,
            target.decode("utf-8", "surrogateescape") if target else "",
        )
        if pax:
            entry.has_capability = "SCHILY.xattr.security.capability" in pax
        if header[156:157] == b"S":
            self._read_gnu_sparse(header, entry)
        elif pax and any(key.startswith("GNU.sparse.") for key in pax):
            self._read_pax_sparse(pax, entry)
        return entry

    def _read_gnu_sparse(self, header: bytes, entry: TarEntry) -> None:
        """The old GNU form: four parts in the header, more in blocks that follow it."""
        parts = _sparse_parts(header[386:482])
        more = header[482] != 0
        left = self._left
        while more:
            block = self._stream.take(_BLOCK)
            parts += _sparse_parts(block[:504])
            more = block[504] != 0
            if len(parts) > _MAX_SPARSE_MAP:
                raise MalformedTarError("a sparse map that does not end")
        self._left = left
        entry.size = _number(header[483:495])
        entry.sparse = _checked_map(parts, entry.size)

    def _read_pax_sparse(self, pax: dict[str, bytes], entry: TarEntry) -> None:
        """The pax forms 0.0, 0.1 (map in the header) and 1.0 (map in front of the content)."""
        if "GNU.sparse.name" in pax:
            entry.name = pax["GNU.sparse.name"].decode("utf-8", "surrogateescape")
        real = pax.get("GNU.sparse.realsize", pax.get("GNU.sparse.size"))
        if real is None:
            return
        entry.size = _decimal(real)
        if pax.get("GNU.sparse.major") == b"1":
            numbers = self._sparse_map_in_content()
        else:
            numbers = [_decimal(part) for part in pax.get("GNU.sparse.map", b"").split(b",") if part]
        if len(numbers) % 2 or len(numbers) > 2 * _MAX_SPARSE_MAP:
            raise MalformedTarError("a sparse map of odd length")
        entry.sparse = _checked_map(list(zip(numbers[::2], numbers[1::2], strict=True)), entry.size)

    def _sparse_map_in_content(self) -> list[int]:
        text = b""
        wanted = None
        while True:
            if self._left < _BLOCK or len(text) > _MAX_HEADER_BYTES:
                raise MalformedTarError("a sparse map that does not end")
            text += b"".join(bytes(piece) for piece in self._content(_BLOCK))
            lines = text.split(b"\n")
            if wanted is None and len(lines) > 1:
                wanted = 2 * _decimal(lines[0])
            if wanted is not None and len(lines) > wanted + 1:
                return [_decimal(line) for line in lines[1 : wanted + 1]]

    def _damaged(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"{self._what} is not a whole tar archive: {why}",
            remedy="push the image again; if it stays, build it anew",
            kind="image.damaged-layer",
        )


def _has_right_sum(header: bytes) -> bool:
    """Whether the bytes of a header add up to what it says, its own sum counted as eight blanks."""
    field = header[148:156]
    stated = _number(field)
    # The low half of Adler-32 is one more than the sum of all bytes, modulo 65521: the same test, at a fraction of the
    # time. Sums stay below 130561, so it passes one wrong sum at most.
    if (stated + sum(field) - 255) % 65521 == adler32(header) & 0xFFFF:
        return True
    return stated in (sum(header) - sum(field) + 256, _signed_sum(header))


@lru_cache(maxsize=4096)
def _number(field: bytes) -> int:
    """Octal text, or GNU's base 256 when the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            raise MalformedTarError("a negative number in a header")
        return value
    try:
        return int(field.rstrip(b"\0"), 8)
    except ValueError:
        pass
    text = field.partition(b"\0")[0].strip()
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise MalformedTarError(f"{field!r} in a header is no number") from None


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise MalformedTarError(f"{text[:40]!r} in an extended header is no number")
    return int(text)


def _signed_sum(header: bytes) -> int:
    """Some ancient tars added up signed bytes."""
    return sum(byte - 256 if byte > 127 else byte for byte in header[:148] + header[156:]) + 256


def _ustar_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[345] and header[257:263] == b"ustar\0":
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _parse_pax(content: bytes) -> dict[str, bytes]:
    """`LENGTH KEY=VALUE\\n` records. The pairs of sparse form 0.0 are gathered into a map as in 0.1."""
    records: dict[str, bytes] = {}
    pairs: list[bytes] = []
    at = 0
    while at < len(content) and content[at] != 0:
        space = content.find(b" ", at, at + 20)
        if space < 0:
            raise MalformedTarError("a pax record without a length")
        length = _decimal(content[at:space])
        record = content[space + 1 : at + length]
        key, equals, value = record[:-1].partition(b"=")
        if length <= space + 1 - at or at + length > len(content) or not equals:
            raise MalformedTarError("a pax record of wrong length")
        name = key.decode("utf-8", "surrogateescape")
        if name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            pairs.append(value)
        records[name] = value
        at += length
    if pairs:
        records["GNU.sparse.map"] = b",".join(pairs)
    return records


def _sparse_parts(field: bytes) -> list[tuple[int, int]]:
    parts = []
    for at in range(0, len(field) - 23, 24):
        if field[at] == 0:
            break
        parts.append((_number(field[at : at + 12]), _number(field[at + 12 : at + 24])))
    return parts


def _checked_map(parts: list[tuple[int, int]], size: int) -> tuple[tuple[int, int], ...]:
    at = 0
    for offset, length in parts:
        if offset < at or offset + length > size:
            raise MalformedTarError("a sparse map that contradicts itself")
        at = offset + length
    return tuple(parts)


def _zeros(length: int) -> Iterator[memoryview]:
    while length > 0:
        count = min(length, len(_ZEROS))
        yield _ZEROS[:count]
        length -= count
