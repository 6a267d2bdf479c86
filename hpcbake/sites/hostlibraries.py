"""What host libraries need and offer, read over a connection: the ELF reader says which bytes it wants next.

Of a library of 30 MB some 100 kB are read. All libraries are asked for together, so a handful of round trips is enough
however many there are.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from hpcbake.elf import ElfFacts, OutOfWindowError, find_elf_facts
from hpcbake.model.late import dataclass
from hpcbake.model.site import Injection
from hpcbake.model.version import symbol_version_key
from hpcbake.sites.facts import Library
from hpcbake.sites.scripts import Answer

#: Asked for first: headers and, usually, the loader's tables of a small library.
_HEAD_BYTES = 16 * 1024
_BLOCK_BYTES = 32 * 1024
_MAX_PIECE_BYTES = 1024 * 1024
_MAX_ROUND_BYTES = 8 * 1024 * 1024
_MAX_TOTAL_BYTES = 32 * 1024 * 1024
_MAX_ROUNDS = 12

#: What is put into containers, by the names of its files. The first that fits counts.
_KINDS: tuple[tuple[str, str], ...] = (
    ("nvidia", r"lib(cuda|cudadebugger|nvidia|nvcuvid|nvoptix|EGL|GLX|GLES|GLdispatch|OpenGL|vdpau_nvidia).*"),
    ("rocm", r"lib(hsa-runtime64|amdhip64|drm_amdgpu|amd_comgr|rocm_smi64)\..*"),
    ("pmix", r"lib(pmix|pmi2?)\..*"),
    ("slurm", r"lib(slurm\w*|munge)\..*"),
    ("ucx", r"libuc[pstm]\..*"),
    ("libfabric", r"lib(fabric|ibverbs|rdmacm|psm2)\..*"),
    ("mpi", r"lib(mpi\w*|open-rte|open-pal|prrte|mpich\w*)\..*"),
)

Piece = tuple[int, int, str]  # offset, length, path
Fetch = Callable[[Sequence[Piece]], Sequence[bytes]]


class SparseWindow:
    """The parts of a remote file that have come so far. Knows what was asked for in vain."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.missing: tuple[int, int] | None = (0, min(size, _HEAD_BYTES))
        self._blocks: list[tuple[int, bytes]] = []

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        for start, content in self._blocks:
            if start <= offset and offset + length <= start + len(content):
                return content[offset - start : offset - start + length]
        first = offset - offset % _BLOCK_BYTES
        last = offset + length
        self.missing = (first, min(self.size, last + -last % _BLOCK_BYTES) - first)
        raise OutOfWindowError(f"{length} bytes at {offset}")

    def add(self, offset: int, content: bytes) -> None:
        self._blocks.append((offset, content))
        self.missing = None


@dataclass(frozen=True)
class LibraryFacts:
    """One host library as it was read; `elf` is None when it could not be."""

    library: Library
    kind: str
    elf: ElfFacts | None

    @property
    def name(self) -> str:
        return self.library.path.rpartition("/")[2]


def kind_of(path: str, nv_names: Iterable[str] = ()) -> str:
    """What a library is a part of: `nvidia`, `pmix`, …; `host` for libc and libstdc++, empty for any other."""
    name = path.rpartition("/")[2]
    if name in ("libc.so.6", "libstdc++.so.6"):
        return "host"
    if any(name.startswith(f"{listed.removesuffix('.so')}.so") for listed in nv_names if listed.startswith("lib")):
        return "nvidia"
    return next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, name)), "")


def read_libraries(libraries: Sequence[Library], fetch: Fetch, nv_names: Iterable[str] = ()) -> list[LibraryFacts]:
    """The facts of each library, one per file, fetched piece by piece within the limits of this module."""
    by_file = {library.real_path: library for library in reversed(libraries)}
    windows = {path: SparseWindow(library.size) for path, library in by_file.items() if "\n" not in path}
    found: dict[str, ElfFacts | None] = {}
    total = 0
    for _ in range(_MAX_ROUNDS):
        pieces = _pieces(windows, found)
        total += sum(length for _, length, _ in pieces)
        if not pieces or total > _MAX_TOTAL_BYTES:
            break
        for (offset, length, path), content in zip(pieces, fetch(pieces), strict=False):
            if len(content) != length:  # not readable, or changed while it was read
                found[path] = None
                continue
            windows[path].add(offset, content)
            try:
                found[path] = find_elf_facts(windows[path])
            except OutOfWindowError:
                continue
    names = tuple(nv_names)
    return [
        LibraryFacts(library, kind_of(library.path, names), found.get(path))
        for path, library in sorted(by_file.items(), key=lambda item: item[1].path)
    ]


def _pieces(windows: Mapping[str, SparseWindow], found: Mapping[str, ElfFacts | None]) -> list[Piece]:
    """What to ask for in the next round: one piece per library that is not read yet."""
    pieces: list[Piece] = []
    length_of_round = 0
    for path, window in windows.items():
        if path in found or window.missing is None:
            continue
        offset, length = window.missing
        if length > _MAX_PIECE_BYTES:
            continue
        length_of_round += length
        if length_of_round > _MAX_ROUND_BYTES:
            break
        pieces.append((offset, length, path))
    return pieces


def parse_pieces(answer: Answer) -> list[bytes]:
    """The bytes that the script `pieces` sent, in order; empty for what could not be read."""
    pieces = []
    for text in answer.all("piece"):
        try:
            pieces.append(base64.b64decode(text, validate=True))
        except binascii.Error:
            pieces.append(b"")
    return pieces


def injections(read: Iterable[LibraryFacts]) -> dict[str, Injection]:
    """By kind, what the libraries of that kind need of a container, in the form in which the check reads it."""
    needs: dict[str, set[str]] = {}
    execstack: set[str] = set()
    for item in read:
        if item.kind in ("", "host") or item.elf is None:
            continue
        wanted = needs.setdefault(item.kind, set())
        wanted |= {need.version for need in item.elf.needs if _counts(need.version)}
        if item.elf.exec_stack:
            execstack.add(item.kind)
    return {
        kind: Injection(kind, tuple(sorted(wanted, key=symbol_version_key)), kind in execstack)
        for kind, wanted in sorted(needs.items())
    }


def offers(read: Iterable[LibraryFacts]) -> tuple[str, ...]:
    """The version names that the host's own libc and libstdc++ define."""
    names = {name for item in read if item.kind == "host" and item.elf for name in item.elf.offers if _counts(name)}
    return tuple(sorted(names, key=symbol_version_key))


def _counts(version: str) -> bool:
    return bool(re.fullmatch(r"(GLIBC|GLIBCXX|CXXABI)_[A-Za-z0-9_.]+", version)) and version != "GLIBC_PRIVATE"
