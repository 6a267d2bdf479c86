"""The symbols at GLIBC_PRIVATE: glibc's own pieces talk through them, and they change between any two builds.

The version name never changes, so version tables cannot tell that libc.so.6 and ld.so are of different builds. Only
these symbols can. They are read for the few files that have any.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from hpcbake.elf.layout import Layout, MalformedError
from hpcbake.elf.versions import DefinedVersion, Names, NeededVersion

PRIVATE = "GLIBC_PRIVATE"
_DT_HASH, _DT_SYMTAB, _DT_GNU_HASH, _DT_VERSYM = 4, 6, 0x6FFFFEF5, 0x6FFFFFF0
_MAX_SYMBOLS = 64 * 1024
_STB_WEAK = 2


def find_private_symbols(
    layout: Layout,
    values: Mapping[int, int],
    names: Names,
    needs: Sequence[NeededVersion],
    offers: Sequence[DefinedVersion],
) -> dict[str, Any]:
    """`private_needs` and `private_offers` of a file, empty for nearly all.

    A symbol table that cannot be read gives none: the rule that uses them then stays silent about this file.
    """
    wanted = {need.number: need.library for need in needs if need.version == PRIVATE}
    defined = {offer.number for offer in offers if offer.version == PRIVATE}
    if not (wanted or defined) or _DT_SYMTAB not in values or _DT_VERSYM not in values:
        return {}
    private_needs: list[tuple[str, str]] = []
    private_offers: list[str] = []
    try:
        count = min(_symbol_count(layout, values), _MAX_SYMBOLS)
        versions = layout.read_at_address(values[_DT_VERSYM], 2 * count, "the symbol versions")
        width = 24 if layout.bits == 64 else 16
        symbols = layout.read_at_address(values[_DT_SYMTAB], width * count, "the symbols")
        form = layout.order + ("IBBHQQ" if layout.bits == 64 else "IIIBBH")
        for index, (version,) in enumerate(struct.iter_unpack(layout.order + "H", versions)):
            version &= 0x7FFF
            if version not in wanted and version not in defined:
                continue
            entry = struct.unpack_from(form, symbols, index * width)
            name, info, section = (
                (entry[0], entry[1], entry[3]) if layout.bits == 64 else (entry[0], entry[3], entry[5])
            )
            if section and version in defined:
                private_offers.append(names.at(name))
            elif not section and version in wanted and info >> 4 != _STB_WEAK:
                private_needs.append((wanted[version], names.at(name)))
    except (MalformedError, struct.error):
        return {}
    return {"private_needs": tuple(private_needs), "private_offers": tuple(private_offers)}


def _symbol_count(layout: Layout, values: Mapping[int, int]) -> int:
    """A dynamic section does not say how many symbols there are; the hash tables do."""
    if _DT_HASH in values:
        _, count = struct.unpack(layout.order + "II", layout.read_at_address(values[_DT_HASH], 8, "the hash table"))
        return int(count)
    if _DT_GNU_HASH not in values:
        return 0
    at = values[_DT_GNU_HASH]
    header = layout.read_at_address(at, 16, "the hash table")
    buckets, first, bloom_words, _ = struct.unpack(layout.order + "IIII", header)
    at += 16 + bloom_words * layout.bits // 8
    heads = layout.read_at_address(at, 4 * min(buckets, _MAX_SYMBOLS), "the hash table")
    last = max((head for (head,) in struct.iter_unpack(layout.order + "I", heads)), default=0)
    if last < first:
        return int(first)
    chains = at + 4 * buckets
    while last < _MAX_SYMBOLS:
        (value,) = struct.unpack(layout.order + "I", layout.read_at_address(chains + 4 * (last - first), 4, "a chain"))
        last += 1
        if value & 1:
            break
    return int(last)
