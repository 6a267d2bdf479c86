"""Reads /etc/ld.so.cache, the binary list that the glibc loader looks libraries up in.

What `ldconfig` wrote counts, not what ld.so.conf says: a folder added to ld.so.conf.d without running ldconfig is not
searched. Formats as in glibc's dl-cache.h: the old list, the new one (`glibc-ld.so.cache1.1`), and both in one file.
"""

from __future__ import annotations

import struct

from hpcbake.model.late import dataclass

_NEW_MAGIC = b"glibc-ld.so.cache1.1"
_OLD_MAGIC = b"ld.so-1.7.0"
_MAX_ENTRIES = 200_000
_FLAG_KIND = 0xFF
_FLAG_MACHINE = 0xFF00
_HWCAP_EXTENSION = 1 << 62
_EXTENSION_MAGIC = 0xEAA42174
_TAG_HWCAPS = 1


@dataclass(frozen=True)
class CachedLibrary:
    """One line of `ldconfig -p`. `flags` name the ABI (0x303 is x86-64 glibc); `subfolder` is a glibc-hwcaps name."""

    path: str
    flags: int
    hwcap: int = 0
    subfolder: str = ""


class LoaderCache:
    """Libraries by the name they are looked up under, in the order of the file."""

    def __init__(self, libraries: dict[str, list[CachedLibrary]]) -> None:
        self._libraries = libraries

    def find(self, name: str) -> list[CachedLibrary]:
        return self._libraries.get(name, [])

    def __len__(self) -> int:
        return len(self._libraries)


#: Cache flags by (machine, bits); a machine that is not listed takes any entry of its file's class.
CACHE_FLAGS = {
    (62, 64): 0x0303,
    (3, 32): 0x0003,
    (62, 32): 0x0803,
    (183, 64): 0x0A03,
    (21, 64): 0x0503,
    (22, 64): 0x0403,
}


def parse_loader_cache(content: bytes) -> LoaderCache | None:
    """The cache, or None for a file that is none. Damaged entries are left out."""
    start = content.find(_NEW_MAGIC) if content.startswith((_OLD_MAGIC, _NEW_MAGIC)) else -1
    try:
        if start >= 0:
            return _parse_new(content[start:])
        if content.startswith(_OLD_MAGIC):
            return _parse_old(content)
    except struct.error:
        return None
    return None


def _parse_new(content: bytes) -> LoaderCache:
    count, _, flags, _, extension = struct.unpack_from("<IIB3sI", content, 20)
    # Byte 28 says the order of the numbers: 2 little, 3 big, 0 not said (older glibc).
    order = ">" if flags & 3 == 3 else "<"
    if order == ">":
        count, _, _, _, extension = struct.unpack_from(">IIB3sI", content, 20)
    subfolders = _hwcap_subfolders(content, order, extension)
    libraries: dict[str, list[CachedLibrary]] = {}
    for index in range(min(count, _MAX_ENTRIES, max(0, len(content) - 48) // 24)):
        kind, key, value, _, hwcap = struct.unpack_from(order + "iIIIQ", content, 48 + 24 * index)
        name, path = _text(content, key), _text(content, value)
        if not name or not path:
            continue
        subfolder = ""
        # Bit 62 of the field marks an index into the list of glibc-hwcaps names.
        if hwcap >> 32 == _HWCAP_EXTENSION >> 32:
            number = hwcap & 0xFFFFFFFF
            subfolder, hwcap = (subfolders[number] if number < len(subfolders) else "?"), 0
        libraries.setdefault(name, []).append(
            CachedLibrary(path, kind & (_FLAG_KIND | _FLAG_MACHINE), hwcap, subfolder)
        )
    return LoaderCache(libraries)


def _hwcap_subfolders(content: bytes, order: str, at: int) -> list[str]:
    if not at or at + 8 > len(content):
        return []
    magic, count = struct.unpack_from(order + "II", content, at)
    if magic != _EXTENSION_MAGIC:
        return []
    for index in range(min(count, 16)):
        tag, _, offset, size = struct.unpack_from(order + "IIII", content, at + 8 + 16 * index)
        if tag == _TAG_HWCAPS:
            return [
                _text(content, struct.unpack_from(order + "I", content, offset + 4 * number)[0])
                for number in range(min(size // 4, 64))
            ]
    return []


def _parse_old(content: bytes) -> LoaderCache:
    (count,) = struct.unpack_from("<I", content, 12)
    strings = 16 + 12 * count
    libraries: dict[str, list[CachedLibrary]] = {}
    for index in range(min(count, _MAX_ENTRIES, max(0, len(content) - 16) // 12)):
        kind, key, value = struct.unpack_from("<iII", content, 16 + 12 * index)
        name, path = _text(content, strings + key), _text(content, strings + value)
        if name and path:
            libraries.setdefault(name, []).append(CachedLibrary(path, kind & (_FLAG_KIND | _FLAG_MACHINE)))
    return LoaderCache(libraries)


def _text(content: bytes, at: int) -> str:
    end = content.find(b"\0", at, at + 4096)
    return content[at:end].decode("utf-8", "surrogateescape") if 0 <= at < end else ""
