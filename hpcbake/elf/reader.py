"""Reads one ELF file's facts through a window, by program headers alone: stripped files have no sections.

The source of every rule is the System V ABI with the GNU extensions, and what glibc's loader does with it. Input is
hostile: every count, offset and string is bounded, and what does not add up becomes a `problem`, never an exception.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from hpcbake.elf.facts import ElfFacts, VersionNeed
from hpcbake.elf.layout import (
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_GNU_STACK,
    PT_INTERP,
    PT_NOTE,
    Layout,
    MalformedError,
    Segment,
    aligned,
    read_layout,
)
from hpcbake.elf.loaderstrings import find_libc_release, find_loader_facts
from hpcbake.elf.symbols import find_private_symbols
from hpcbake.elf.versions import DefinedVersion, Names, NeededVersion, read_defined_versions, read_needed_versions
from hpcbake.elf.window import ELF_MAGIC, Window

#: Part of every cache key: raise it whenever the same file would give other facts.
READER_VERSION = 2

_MAX_DYNAMIC = 16 * 1024
_MAX_NAME = 4096
_MAX_NOTES_BYTES = 256 * 1024


DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 14, 15, 29
DT_RELR, DT_FLAGS_1 = 36, 0x6FFFFFFB
DT_VERSYM = 0x6FFFFFF0
DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
DF_1_NODEFLIB, DF_1_PIE = 0x800, 0x08000000


def find_elf_facts(window: Window) -> ElfFacts | None:
    """The facts of an ELF file, or None for anything without its magic number.

    Raises OutOfWindowError (and nothing else) when a stream did not keep the bytes that are needed.
    """
    if window.read(0, 4) != ELF_MAGIC:
        return None
    try:
        layout, problem = read_layout(window)
    except (MalformedError, struct.error) as cause:
        return ElfFacts(0, True, 0, 0, problems=(str(cause),))
    facts: dict[str, Any] = {}
    problems = [problem] if problem else []
    for read in (_read_interpreter, _read_notes, _read_stack, _read_dynamic):
        try:
            facts.update(read(layout))
        except (MalformedError, struct.error) as cause:
            problems.append(str(cause))
    little = layout.order == "<"
    return ElfFacts(layout.bits, little, layout.type, layout.machine, problems=tuple(problems), **facts)


def _read_interpreter(layout: Layout) -> dict[str, Any]:
    for segment in layout.segments:
        if segment.kind == PT_INTERP:
            content = layout.read(segment.offset, min(segment.size, _MAX_NAME), "the interpreter's name")
            return {"interpreter": _text(content.partition(b"\0")[0])}
    return {}


def _read_stack(layout: Layout) -> dict[str, Any]:
    for segment in layout.segments:
        if segment.kind == PT_GNU_STACK:
            return {"exec_stack": bool(segment.flags & 1)}
    return {}


def _read_notes(layout: Layout) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if layout.type == 4:
        return facts
    for segment in layout.segments:
        if segment.kind not in (PT_NOTE, PT_GNU_PROPERTY):
            continue
        content = layout.read(segment.offset, min(segment.size, _MAX_NOTES_BYTES), "a note")
        align = 8 if segment.align == 8 else 4
        for name, kind, body in _notes(content, layout.order, align):
            if name != b"GNU":
                continue
            if kind == 1 and len(body) >= 16:
                system, *kernel = struct.unpack_from(layout.order + "IIII", body)
                if system == 0:
                    facts["kernel"] = tuple(kernel)
            elif kind == 3:
                facts["build_id"] = body[:64].hex()
            elif kind == 5:
                facts["isa_needed"] = _isa_needed(body, layout.order, 8 if layout.bits == 64 else 4)
    return facts


def _notes(content: bytes, order: str, align: int) -> Iterator[tuple[bytes, int, bytes]]:
    at = 0
    while at + 12 <= len(content):
        name_size, size, kind = struct.unpack_from(order + "III", content, at)
        body = at + 12 + aligned(name_size, 4)
        body = aligned(body, align)
        if body + size > len(content):
            return
        yield content[at + 12 : at + 12 + name_size].rstrip(b"\0"), kind, content[body : body + size]
        at = aligned(body + size, align)


def _isa_needed(body: bytes, order: str, align: int) -> int:
    """X86_ISA_1_NEEDED of a property note (x86 psABI, `GNU_PROPERTY_X86_ISA_1_NEEDED`)."""
    at = 0
    while at + 8 <= len(body):
        kind, size = struct.unpack_from(order + "II", body, at)
        if kind == 0xC0008002 and size == 4 and at + 12 <= len(body):
            return int(struct.unpack_from(order + "I", body, at + 8)[0])
        at = aligned(at + 8 + size, align)
    return 0


def _read_dynamic(layout: Layout) -> dict[str, Any]:
    segment = next((segment for segment in layout.segments if segment.kind == PT_DYNAMIC), None)
    if segment is None:
        return {}
    entries = _dynamic_entries(layout, segment)
    values = dict(reversed(entries))
    facts: dict[str, Any] = {
        "dynamic": True,
        "pie": bool(values.get(DT_FLAGS_1, 0) & DF_1_PIE),
        "no_default_folders": bool(values.get(DT_FLAGS_1, 0) & DF_1_NODEFLIB),
        "relr": DT_RELR in values,
        "versioned": DT_VERSYM in values,
    }
    if DT_STRTAB not in values:
        return facts
    names = Names(layout, values[DT_STRTAB], values.get(DT_STRSZ, 0))
    for name, tag in (("soname", DT_SONAME), ("rpath", DT_RPATH), ("runpath", DT_RUNPATH)):
        if tag in values:
            facts[name] = names.at(values[tag])
    facts["needed"] = tuple(names.at(value) for tag, value in entries if tag == DT_NEEDED)
    needs, offers = _read_versions(layout, values, names)
    facts["needs"] = tuple(VersionNeed(need.library, need.version, need.weak) for need in needs)
    facts["offers"] = tuple(offer.version for offer in offers)
    facts.update(find_private_symbols(layout, values, names, needs, offers))
    facts["loader"] = find_loader_facts(layout, facts.get("soname"))
    facts["release"] = find_libc_release(layout, facts.get("soname"))
    return facts


def _read_versions(
    layout: Layout, values: dict[int, int], names: Names
) -> tuple[list[NeededVersion], list[DefinedVersion]]:
    needs: list[NeededVersion] = []
    offers: list[DefinedVersion] = []
    if DT_VERNEED in values:
        needs = read_needed_versions(layout, values[DT_VERNEED], values.get(DT_VERNEEDNUM, 0), names)
    if DT_VERDEF in values:
        offers = read_defined_versions(layout, values[DT_VERDEF], values.get(DT_VERDEFNUM, 0), names)
    return needs, offers


def _dynamic_entries(layout: Layout, segment: Segment) -> list[tuple[int, int]]:
    width = 16 if layout.bits == 64 else 8
    # A damaged size must not hide the entries that are there: read what the file has.
    length = min(segment.size, _MAX_DYNAMIC * width, max(0, layout.window.size - segment.offset))
    content = layout.read(segment.offset, length - length % width, "the dynamic section")
    if not content:
        raise MalformedError("the dynamic section lies beyond the end of the file")
    pairs: list[tuple[int, int]] = list(
        struct.iter_unpack(layout.order + ("QQ" if layout.bits == 64 else "II"), content)
    )
    return pairs[: next((number for number, (tag, _) in enumerate(pairs) if tag == DT_NULL), len(pairs))]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
