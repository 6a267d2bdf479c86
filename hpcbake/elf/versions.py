"""The GNU version tables: which version of which library a file needs, and which versions it defines."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from hpcbake.elf.layout import Layout, MalformedError

T = TypeVar("T")

_MAX_VERSIONS = 32 * 1024
_MAX_NAME = 4096
_USUAL_BYTES = 4 * 1024
_MOST_BYTES = 2 * 1024 * 1024
_VER_FLG_BASE, _VER_FLG_WEAK = 1, 2


class NeededVersion(NamedTuple):
    """One entry of `.gnu.version_r`; `number` is what the symbol table refers to."""

    library: str
    version: str
    weak: bool
    number: int


class DefinedVersion(NamedTuple):
    """One entry of `.gnu.version_d`."""

    version: str
    number: int


class Names:
    """The table of names of a dynamic section. Read by blocks: of the megabytes that a C++ library has, few matter."""

    def __init__(self, layout: Layout, address: int, size: int) -> None:
        self._layout = layout
        self._address = address
        self._size = size
        self._blocks: dict[int, bytes] = {}

    def at(self, offset: int) -> str:
        """The zero-terminated name at `offset`. Raises MalformedError beyond the end of the table."""
        if offset >= self._size:
            raise MalformedError("a name lies beyond the table of names")
        start = offset & -_MAX_NAME
        block = self._blocks.get(start)
        if block is None:
            # Twice the longest name, so that every name that starts in the block also ends in it.
            length = min(2 * _MAX_NAME, self._size - start)
            block = self._layout.read_at_address(self._address + start, length, "the table of names")
            self._blocks[start] = block
        end = block.find(b"\0", offset - start, offset - start + _MAX_NAME)
        if end < 0:
            raise MalformedError("a name does not end")
        return block[offset - start : end].decode("utf-8", "surrogateescape")


def read_needed_versions(layout: Layout, address: int, count: int, names: Names) -> list[NeededVersion]:
    """A chain of libraries, each with a chain of versions."""
    return _with_table(layout, address, lambda table: list(_needed(table, layout.order, count, names)))


def read_defined_versions(layout: Layout, address: int, count: int, names: Names) -> list[DefinedVersion]:
    """The first name of every definition but the base one, which is the library's own name."""
    return _with_table(layout, address, lambda table: list(_defined(table, layout.order, count, names)))


def _with_table(layout: Layout, address: int, parse: Callable[[bytes], T]) -> T:
    """Tables do not say how long they are: read what nearly all fit into, and more only when that was too little."""
    table = layout.read_at_address(address, _USUAL_BYTES, "a version table")
    try:
        return parse(table)
    except struct.error:
        if len(table) < _USUAL_BYTES:
            raise
        return parse(layout.read_at_address(address, _MOST_BYTES, "a version table"))


def _needed(table: bytes, order: str, count: int, names: Names) -> Iterator[NeededVersion]:
    # Steps are unsigned, so a chain only goes forward; a step of 0 ends it. That and the bound make loops impossible.
    at, left = 0, _MAX_VERSIONS
    read_library, read_version = struct.Struct(order + "HHIII").unpack_from, struct.Struct(order + "IHHII").unpack_from
    for _ in range(min(count, _MAX_VERSIONS)):
        _, versions, library, first, following = read_library(table, at)
        library_name, inner = names.at(library), at + first
        for _ in range(versions):
            _, flags, index, version, step = read_version(table, inner)
            yield NeededVersion(library_name, names.at(version), bool(flags & _VER_FLG_WEAK), index & 0x7FFF)
            left -= 1
            if left <= 0:
                raise MalformedError("the table of needed versions does not end")
            if not step:
                break
            inner += step
        if not following:
            return
        at += following


def _defined(table: bytes, order: str, count: int, names: Names) -> Iterator[DefinedVersion]:
    at = 0
    for _ in range(min(count, _MAX_VERSIONS)):
        _, flags, index, aliases, _, first, following = struct.unpack_from(order + "HHHHIII", table, at)
        if aliases and not flags & _VER_FLG_BASE:
            (name,) = struct.unpack_from(order + "I", table, at + first)
            yield DefinedVersion(names.at(name), index & 0x7FFF)
        if not following:
            return
        at += following
