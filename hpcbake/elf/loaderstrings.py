"""What a program loader has compiled in: the folders it always searches, and the cache file it reads.

They differ between distributions (`/lib64` on Rocky, `/lib/x86_64-linux-gnu` on Debian, a store path on Nix), and the
loader itself is the only source that cannot be wrong about it.
"""

from __future__ import annotations

import re

from hpcbake.elf.facts import LoaderFacts
from hpcbake.elf.layout import PT_LOAD, Layout, MalformedError

_GLIBC_LOADER = re.compile(r"ld(?:-linux[^/]*|64|-[0-9.]+)?\.so(?:\.[0-9]+)*")
_MUSL_LOADER = re.compile(r"(?:libc\.musl-[^/]+\.so\.1|ld-musl-[^/]+\.so\.1|libc\.so)")
# glibc joins its default folders as zero-terminated names that end with a slash.
_FOLDERS = re.compile(rb"(?<=\0)(?:/[!-~]*?lib[!-~]*?/\0)+")
_CACHE = re.compile(rb"/[!-~]*/ld\.so\.cache(?=\0)")
_MUSL_FOLDERS = re.compile(rb"(?<=\0)(?:/[!-9;-~]*lib[!-9;-~]*)(?::/[!-9;-~]+)+(?=\0)")
_MUSL_CACHE = re.compile(rb"/[!-~]*/?ld-musl-[!-~]+\.path(?=\0)")
_BANNER = re.compile(rb"GNU C Library [^\n\0]{0,200}?version ([0-9]+(?:\.[0-9]+)+)")
_MAX_BYTES = 4 * 1024 * 1024


def find_loader_facts(layout: Layout, soname: str | None) -> LoaderFacts | None:
    """The folders and the cache of a loader; None for any other library."""
    if soname is None:
        return None
    if _GLIBC_LOADER.fullmatch(soname):
        content = _constants(layout)
        folders, cache = _FOLDERS.search(content), _CACHE.search(content)
        names = folders.group().split(b"\0")[:-1] if folders else []
        return LoaderFacts(
            tuple(_text(name.rstrip(b"/") or b"/") for name in names), _text(cache.group()) if cache else ""
        )
    if _MUSL_LOADER.fullmatch(soname):
        content = _constants(layout)
        folders, cache = _MUSL_FOLDERS.search(content), _MUSL_CACHE.search(content)
        if folders or cache:
            names = folders.group().split(b":") if folders else []
            return LoaderFacts(tuple(map(_text, names)), _text(cache.group()) if cache else "")
    return None


def find_libc_release(layout: Layout, soname: str | None) -> str:
    """The release in the banner that `libc.so.6` prints when it is run; empty for anything else."""
    if soname != "libc.so.6":
        return ""
    banner = _BANNER.search(_constants(layout))
    return banner.group(1).decode("ascii") if banner else ""


def _constants(layout: Layout) -> bytes:
    """The read-only data: segments that are not executable, or all of an old-style single segment."""
    loads = [segment for segment in layout.segments if segment.kind == PT_LOAD and not segment.flags & 2]
    plain = [segment for segment in loads if not segment.flags & 1] or loads
    try:
        return b"\0".join(layout.read(load.offset, min(load.size, _MAX_BYTES), "the constants") for load in plain)
    except MalformedError:
        return b""


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
