"""The skeleton of an ELF file: its header, its segments, and bounded ways to read what they hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from hpcbake.elf.window import Window

_MAX_SEGMENTS = 2048
_MAX_TABLE_BYTES = 64 * 1024 * 1024

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PT_GNU_STACK, PT_GNU_PROPERTY = 0x6474E551, 0x6474E553


#: From `e_type` on: type, machine, where the tables of segments and sections lie, size and number of segments.
_HEADERS = {
    (bits, order): struct.Struct(order + ("HH12xQQ6xHH" if bits == 64 else "HH8xII6xHH"))
    for bits in (32, 64)
    for order in "<>"
}


class MalformedError(Exception):
    """The file contradicts itself."""


class Segment(NamedTuple):
    """One program header."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    memory: int
    align: int


class Layout(NamedTuple):
    """The header of an ELF file and its segments, and how to read numbers from it."""

    window: Window
    order: str
    bits: int
    type: int
    machine: int
    segments: tuple[Segment, ...]

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Exactly `length` bytes, or MalformedError."""
        if length > _MAX_TABLE_BYTES:
            raise MalformedError(f"{what} claims {length} bytes")
        content = self.window.read(offset, length) if offset <= self.window.size else b""
        if len(content) < length:
            raise MalformedError(f"{what} lies beyond the end of the file")
        return content

    def read_at_address(self, address: int, length: int, what: str) -> bytes:
        """Bytes by the address they will be loaded at; fewer when the segment ends before."""
        for segment in self.segments:
            if segment.kind == PT_LOAD and segment.address <= address < segment.address + segment.size:
                into = address - segment.address
                return self.read(segment.offset + into, min(length, segment.size - into), what)
        raise MalformedError(f"{what} is in no segment")


def read_layout(window: Window) -> tuple[Layout, str]:
    """The layout, and what is wrong with it (empty when nothing is). Raises MalformedError without a usable header."""
    head = window.read(0, 64)
    if len(head) < 52 or head[4] not in (1, 2) or head[5] not in (1, 2):
        raise MalformedError("the ELF header is cut off or of no known class")
    bits, order = 32 * head[4], "<" if head[5] == 1 else ">"
    if bits == 64 and len(head) < 64:
        raise MalformedError("the ELF header is cut off")
    form = _HEADERS[bits, order]
    kind, machine, offset, section_offset, entry_size, count = form.unpack_from(head, 16)
    layout = Layout(window, order, bits, kind, machine, ())
    if count == 0xFFFF:
        # The real number then stands in section header 0. Only core files and fuzzers need so many.
        count = _extended_count(layout, section_offset)
    if not count or not offset:
        return layout, ""
    minimum = 56 if bits == 64 else 32
    if entry_size < minimum:
        return layout, f"program headers of {entry_size} bytes"
    if count > _MAX_SEGMENTS:
        return layout, f"{count} program headers"
    try:
        table = layout.read(offset, count * entry_size, "the table of program headers")
    except MalformedError as cause:
        return layout, str(cause)
    segments = tuple(_read_segments(table, entry_size, order, bits))
    return Layout(window, order, bits, kind, machine, segments), ""


def _extended_count(layout: Layout, section_offset: int) -> int:
    if layout.type == 4:
        return 0
    if not section_offset:
        return _MAX_SEGMENTS + 1
    at = section_offset + (44 if layout.bits == 64 else 28)
    try:
        (count,) = struct.unpack(layout.order + "I", layout.read(at, 4, "section header 0"))
    except MalformedError:
        return _MAX_SEGMENTS + 1
    return int(count) or _MAX_SEGMENTS + 1


def _read_segments(table: bytes, entry_size: int, order: str, bits: int) -> Iterator[Segment]:
    if bits == 64:
        # Entries may be longer than the fields we know.
        form = f"{order}IIQQQQQQ{entry_size - 56}x"
        yield from map(Segment._make, struct.iter_unpack(form, table))
        return
    for kind, offset, address, physical, size, memory, flags, align in struct.iter_unpack(
        f"{order}IIIIIIII{entry_size - 32}x", table
    ):
        yield Segment(kind, flags, offset, address, physical, size, memory, align)


def aligned(value: int, align: int) -> int:
    """`value` rounded up to a multiple of `align`, a power of two."""
    return (value + align - 1) & -align
