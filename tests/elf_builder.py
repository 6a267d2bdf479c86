"""Makes small ELF files byte by byte: a dynamic section, version tables and notes, without any compiler."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

X86_64, I386, AARCH64 = 62, 3, 183
_BASE = 0x1000


@dataclass
class Elf:
    """What the file shall say. `needs` is library → versions; a version that ends with `?` is weak."""

    type: int = 3
    machine: int = X86_64
    bits: int = 64
    order: str = "<"
    interpreter: str | None = None
    soname: str | None = None
    needed: Sequence[str] = ()
    rpath: str | None = None
    runpath: str | None = None
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    offers: Sequence[str] = ()
    flags_1: int = 0
    relr: bool = False
    exec_stack: bool | None = False
    kernel: tuple[int, int, int] | None = None
    isa_needed: int = 0
    build_id: bytes = b""
    static: bool = False
    #: (symbol, version, is defined): a dynamic symbol table with versions.
    symbols: Sequence[tuple[str, str, bool]] = ()
    #: Read-only bytes somewhere in the file, as a loader's strings.
    constants: bytes = b""
    #: Unused bytes between the tables and the dynamic section.
    gap: int = 0

    def build(self) -> bytes:
        return _Builder(self).build()


def program(**facts: object) -> bytes:
    """A program for x86-64 glibc that needs libc.so.6 unless told otherwise."""
    return Elf(**_with_libc({"interpreter": "/lib64/ld-linux-x86-64.so.2", "flags_1": 0x08000000, **facts})).build()


def library(soname: str | None = None, **facts: object) -> bytes:
    """A shared library for x86-64 that needs libc.so.6 unless told otherwise."""
    return Elf(**_with_libc({"soname": soname, **facts})).build()


def _with_libc(facts: dict[str, Any]) -> dict[str, Any]:
    """Needs libc.so.6 and a version of it, unless `needed` or `needs` say otherwise."""
    needed = facts.get("needed", ("libc.so.6",))
    needs = {"libc.so.6": ("GLIBC_2.2.5",)} if "libc.so.6" in needed else {}
    return {"needed": needed, "needs": needs, **facts}


def glibc(release: str = "2.28", *, folders: Sequence[str] = ("/lib64/", "/usr/lib64/")) -> dict[str, bytes]:
    """libc.so.6 and its loader of one release, by file name: versions, banner and default folders."""
    minor = int(release.partition(".")[2])
    versions = ["GLIBC_2.2.5", "GLIBC_2.3", *(f"GLIBC_2.{number}" for number in range(4, minor + 1))]
    if minor >= 36:
        versions.append("GLIBC_ABI_DT_RELR")
    loader_versions = [
        "GLIBC_2.2.5",
        "GLIBC_2.3",
        "GLIBC_2.4",
        *(["GLIBC_2.35"] if minor >= 35 else []),
        "GLIBC_PRIVATE",
    ]
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in folders) + b"\0/etc/ld.so.cache\0"
    banner = f"GNU C Library (test) stable release version {release}.\n".encode()
    loader_needs = ["GLIBC_2.3", "GLIBC_PRIVATE", *(["GLIBC_2.35"] if minor >= 35 else [])]
    return {
        "ld-linux-x86-64.so.2": Elf(
            soname="ld-linux-x86-64.so.2",
            offers=loader_versions,
            constants=strings,
            symbols=[(f"_dl_private_of_{minor}", "GLIBC_PRIVATE", True)],
        ).build(),
        "libc.so.6": Elf(
            soname="libc.so.6",
            interpreter="/lib64/ld-linux-x86-64.so.2",
            needed=("ld-linux-x86-64.so.2",),
            needs={"ld-linux-x86-64.so.2": loader_needs},
            offers=[*versions, "GLIBC_PRIVATE"],
            constants=banner,
            symbols=[(f"_dl_private_of_{minor}", "GLIBC_PRIVATE", False)],
            kernel=(3, 2, 0),
        ).build(),
        **{
            name: library(name, offers=versions, needs={"libc.so.6": ("GLIBC_2.2.5", "GLIBC_PRIVATE")})
            for name in ("libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libresolv.so.2")
        },
    }


#: Segment type (None for a part without one), flags, alignment, and the bytes or what makes them from their place.
_Part = tuple[int | None, int, int, bytes | Callable[[int], bytes]]


class _Builder:
    """Lays out: header, program headers, interpreter, notes, constants, names, tables, dynamic section."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf
        self._names = bytearray(b"\0")
        self._places: dict[str, int] = {}

    def build(self) -> bytes:
        elf = self._elf
        wide = elf.bits == 64
        header_size, entry_size = (64, 56) if wide else (52, 32)
        parts = self._parts()
        kinds = [kind for kind, _, _, _ in parts if kind is not None]
        count = len(kinds) + 1 + (elf.exec_stack is not None)
        offset = header_size + entry_size * count
        body = bytearray()
        headers = []
        for kind, flags, align, make in parts:
            body += bytes(-(offset + len(body)) % 16)
            at = offset + len(body)
            content = make if isinstance(make, bytes) else make(at)
            body += content
            if kind is not None:
                headers.append((kind, flags, at, _BASE + at, len(content), align))
        size = offset + len(body)
        headers.insert(0, (1, 5, 0, _BASE, size, 4096))
        if elf.exec_stack is not None:
            headers.append((0x6474E551, 6 | int(elf.exec_stack), 0, 0, 0, 16))
        return self._header(count) + b"".join(map(self._segment, headers)) + bytes(body)

    def _header(self, count: int) -> bytes:
        elf = self._elf
        wide = elf.bits == 64
        ident = b"\x7fELF" + bytes([elf.bits // 32, 1 if elf.order == "<" else 2, 1]) + bytes(9)
        form = elf.order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
        size = 64 if wide else 52
        return ident + struct.pack(
            form, elf.type, elf.machine, 1, 0, size, 0, 0, size, 56 if wide else 32, count, 0, 0, 0
        )

    def _segment(self, header: tuple[int, int, int, int, int, int]) -> bytes:
        kind, flags, offset, address, size, align = header
        if self._elf.bits == 64:
            return struct.pack(self._elf.order + "IIQQQQQQ", kind, flags, offset, address, address, size, size, align)
        return struct.pack(self._elf.order + "IIIIIIII", kind, offset, address, address, size, size, flags, align)

    def _parts(self) -> list[_Part]:
        elf = self._elf
        parts: list[_Part] = []
        if elf.interpreter:
            parts.append((3, 4, 1, elf.interpreter.encode() + b"\0"))
        if elf.kernel or elf.build_id:
            parts.append((4, 4, 4, self._notes()))
        if elf.isa_needed:
            parts.append((0x6474E553, 4, 8, self._property()))
        if elf.constants:
            parts.append((None, 0, 1, elf.constants))
        if not elf.static:
            parts += self._dynamic_parts()
        return parts

    def _notes(self) -> bytes:
        order = self._elf.order
        notes = b""
        if self._elf.kernel:
            notes += struct.pack(order + "III", 4, 16, 1) + b"GNU\0" + struct.pack(order + "IIII", 0, *self._elf.kernel)
        if self._elf.build_id:
            padded = self._elf.build_id + bytes(-len(self._elf.build_id) % 4)
            notes += struct.pack(order + "III", 4, len(self._elf.build_id), 3) + b"GNU\0" + padded
        return notes

    def _property(self) -> bytes:
        order = self._elf.order
        # A property of another kind first: the reader must step over it.
        body = struct.pack(order + "IIII", 0xC0000002, 4, 3, 0)
        body += struct.pack(order + "IIII", 0xC0008002, 4, self._elf.isa_needed, 0)
        return struct.pack(order + "III", 4, len(body), 5) + b"GNU\0" + body

    def _name(self, text: str) -> int:
        at = len(self._names)
        self._names += text.encode("utf-8", "surrogateescape") + b"\0"
        return at

    def _dynamic_parts(self) -> list[_Part]:
        elf = self._elf
        entries: list[tuple[int, int | str]] = [(1, self._name(name)) for name in elf.needed]
        for tag, text in ((14, elf.soname), (15, elf.rpath), (29, elf.runpath)):
            if text is not None:
                entries.append((tag, self._name(text)))
        if elf.flags_1:
            entries.append((0x6FFFFFFB, elf.flags_1))
        if elf.relr:
            entries += [(36, 0), (35, 8)]
        needs, numbers = self._needs()
        offers, defined = self._offers()
        parts: list[_Part] = []
        if needs:
            parts.append((None, 0, 8, lambda at: self._placed("needs", at, needs)))
            entries += [(0x6FFFFFFE, "needs"), (0x6FFFFFFF, len(elf.needs))]
        if offers:
            parts.append((None, 0, 8, lambda at: self._placed("offers", at, offers)))
            entries += [(0x6FFFFFFC, "offers"), (0x6FFFFFFD, len(elf.offers) + 1)]
        if elf.symbols:
            symbols, versions = self._symbols(numbers, defined)
            count = len(elf.symbols) + 1
            hashes = struct.pack(elf.order + "II", 1, count) + bytes(4 + 4 * count)
            parts.append((None, 0, 8, lambda at: self._placed("symbols", at, symbols)))
            parts.append((None, 0, 8, lambda at: self._placed("versions", at, versions)))
            parts.append((None, 0, 8, lambda at: self._placed("hashes", at, hashes)))
            entries += [(6, "symbols"), (0x6FFFFFF0, "versions"), (4, "hashes")]
        names = bytes(self._names)
        parts.append((None, 0, 1, lambda at: self._placed("names", at, names)))
        entries += [(5, "names"), (10, len(names))]
        if elf.gap:
            parts.append((None, 0, 1, bytes(elf.gap)))
        parts.append((2, 6, 8, lambda at: self._dynamic(entries)))
        return parts

    def _placed(self, what: str, at: int, content: bytes) -> bytes:
        self._places[what] = _BASE + at
        return content

    def _dynamic(self, entries: Sequence[tuple[int, int | str]]) -> bytes:
        form = self._elf.order + ("QQ" if self._elf.bits == 64 else "II")
        packed = b""
        for tag, value in [*entries, (0, 0)]:
            packed += struct.pack(form, tag, self._places[value] if isinstance(value, str) else value)
        return packed

    def _needs(self) -> tuple[bytes, dict[str, int]]:
        order, table, number, numbers = self._elf.order, b"", 100, {}
        libraries = list(self._elf.needs.items())
        for position, (name, versions) in enumerate(libraries):
            size = 16 + 16 * len(versions)
            following = size if position + 1 < len(libraries) else 0
            table += struct.pack(order + "HHIII", 1, len(versions), self._name(name), 16, following)
            for index, version in enumerate(versions):
                weak, text = version.endswith("?"), version.rstrip("?")
                step = 16 if index + 1 < len(versions) else 0
                table += struct.pack(order + "IHHII", 0, 2 if weak else 0, number, self._name(text), step)
                numbers[text] = number
                number += 1
        return table, numbers

    def _offers(self) -> tuple[bytes, dict[str, int]]:
        if not self._elf.offers:
            return b"", {}
        order, table, numbers = self._elf.order, b"", {}
        versions = [self._elf.soname or "base", *self._elf.offers]
        for index, version in enumerate(versions):
            step = 28 if index + 1 < len(versions) else 0
            table += struct.pack(order + "HHHHIII", 1, 0 if index else 1, index + 1, 1, 0, 20, step)
            table += struct.pack(order + "II", self._name(version), 0)
            numbers[version] = index + 1
        return table, numbers

    def _symbols(self, needed: Mapping[str, int], defined: Mapping[str, int]) -> tuple[bytes, bytes]:
        order = self._elf.order
        wide = self._elf.bits == 64
        table, versions = bytes(24 if wide else 16), struct.pack(order + "H", 0)
        for name, version, is_defined in self._elf.symbols:
            at, section = self._name(name), 1 if is_defined else 0
            if wide:
                table += struct.pack(order + "IBBHQQ", at, 0x12, 0, section, 0, 0)
            else:
                table += struct.pack(order + "IIIBBH", at, 0, 0, 0x12, 0, section)
            versions += struct.pack(order + "H", (defined if is_defined else needed)[version])
        return table, versions
