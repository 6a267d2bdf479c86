"""One layer as the facts that matter: every path it adds or removes, and the ELF facts of every binary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any, NamedTuple

from hpcbake.elf import ELF_MAGIC, ElfFacts, OutOfWindowError, Room, StreamWindow, find_elf_facts
from hpcbake.elf.facts import facts_from_json
from hpcbake.image.stream import ByteStream
from hpcbake.image.tar import EntryKind, TarEntry, TarWalker
from hpcbake.model.late import dataclass

#: Longest path that Linux can open.
MAX_PATH = 4096
_SHEBANG_BYTES = 256
#: What C libraries and their loaders are called: the folders that they search are read from their constants.
_LIBC_NAMES = ("libc.", "libc-", "ld-", "ld.", "ld64")
_MAX_CACHE_BYTES = 8 * 1024 * 1024
_MAX_TEXT_BYTES = 64 * 1024
# A file with holes may claim any size; beyond this one its content is not looked at.
_MAX_SPARSE_BYTES = 1024 * 1024 * 1024

_FILE = EntryKind.FILE

# Small files that decide how the loader searches, or which Python reads a folder.
_WANTED_TEXT = re.compile(
    r"etc/os-release|usr/lib/os-release|etc/ld\.so\.conf|etc/ld\.so\.conf\.d/[^/]+\.conf|etc/ld\.so\.preload"
    r"|.*/?ld-musl-[^/]+\.path|(?:.*/)?pyvenv\.cfg|\.singularity\.d/(?:runscript|env/10-docker2singularity\.sh)"
)
_WANTED_ENDS = (
    "ld.so.cache",
    "os-release",
    ".conf",
    "ld.so.preload",
    ".path",
    "pyvenv.cfg",
    "runscript",
    "10-docker2singularity.sh",
)


class LayerEntry(NamedTuple):
    """One path of a layer. `path` has no leading slash, no `.` and no `..`; `target` is a link's, as written."""

    path: str
    kind: int
    mode: int
    target: str = ""
    elf: ElfFacts | None = None
    #: The content (or its first line) of the few small files that are read.
    content: bytes | None = None
    has_capability: bool = False


@dataclass
class LayerFacts:
    """What one layer holds; independent of the layers below, so it can be kept per layer digest."""

    entries: list[LayerEntry] = field(default_factory=list)
    #: Bytes of all its files, unpacked.
    size: int = 0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        rows = []
        for entry in self.entries:
            row: list[Any] = [entry.path, entry.kind, entry.mode]
            extras: dict[str, Any] = {}
            if entry.target:
                extras["t"] = entry.target
            if entry.elf:
                extras["e"] = entry.elf.as_json()
            if entry.content is not None:
                extras["c"] = entry.content.decode("latin-1")
            if entry.has_capability:
                extras["x"] = True
            rows.append([*row, extras] if extras else row)
        return {"entries": rows, "size": self.size, "problems": self.problems}


def layer_from_json(document: dict[str, Any]) -> LayerFacts:
    """The inverse of `as_json`. Raises KeyError, TypeError or ValueError for anything else."""
    entries = []
    for row in document["entries"]:
        path, kind, mode = row[:3]
        extras = row[3] if len(row) > 3 else {}
        entries.append(
            LayerEntry(
                path,
                kind,
                mode,
                extras.get("t", ""),
                facts_from_json(extras["e"]) if "e" in extras else None,
                extras["c"].encode("latin-1") if "c" in extras else None,
                "x" in extras,
            )
        )
    return LayerFacts(entries, document["size"], list(document["problems"]))


class TooMuchError(Exception):
    """A limit was reached: the layer was not read to its end."""


@dataclass(frozen=True)
class ScanLimits:
    """What one image may cost."""

    entries: int = 2_000_000
    #: Unpacked bytes of one layer.
    layer_bytes: int = 256 * 1024**3


class MissedFilesError(Exception):
    """Some ELF files keep their tables where the window did not look: read the layer again with these whole."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(f"{len(names)} files")
        self.names = names


def read_layer(
    chunks: Iterator[bytes | memoryview], what: str, limits: ScanLimits, whole: frozenset[str] = frozenset()
) -> LayerFacts:
    """Walk an unpacked layer to its end.

    Raises IntegrityError for a damaged archive, TooMuchError at a limit, MissedFilesError when files of `names` must be
    kept whole (a second pass).
    """
    facts = LayerFacts()
    stream = ByteStream(chunks)
    walker, room = TarWalker(stream, what), Room()
    missed: set[str] = set()
    overlong = escaping = 0
    for entry in walker:
        if stream.position + (0 if entry.sparse else entry.size) > limits.layer_bytes:
            raise TooMuchError(f"limit layer_bytes reached: more than {limits.layer_bytes} unpacked bytes in {what}")
        path = clean_path(entry.name)
        if len(path) > MAX_PATH // 4 and len(path.encode("utf-8", "surrogateescape")) >= MAX_PATH:
            overlong += 1
            continue
        escaping += has_parent_steps(entry.name)
        if entry.kind is _FILE:
            facts.size += entry.size
        try:
            facts.entries.append(_read_entry(walker, entry, path, entry.name in whole, room))
        except OutOfWindowError:
            missed.add(entry.name)
        if len(facts.entries) > limits.entries:
            raise TooMuchError(f"limit entries reached: more than {limits.entries} files in {what}")
    stream.drain()
    if missed:
        raise MissedFilesError(frozenset(missed))
    if overlong:
        facts.problems.append(f"{overlong} names longer than a path can be")
    if escaping:
        facts.problems.append(f"{escaping} names with `..`, taken as inside the image")
    return facts


def clean_path(name: str) -> str:
    """`./usr//lib/../bin/` → `usr/bin`: never leaves the root, as container runtimes unpack it."""
    if "//" not in name and "./" not in name and not name.endswith("."):
        return name.strip("/")
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def has_parent_steps(name: str) -> bool:
    """Whether a name holds a `..` component."""
    return ".." in name and ".." in name.split("/")


def wanted_text_bytes(path: str) -> int:
    """How much of a file's content is kept because the loader model reads it."""
    if not path.endswith(_WANTED_ENDS):
        return 0
    if path.endswith("/ld.so.cache"):
        return _MAX_CACHE_BYTES
    return _MAX_TEXT_BYTES if _WANTED_TEXT.fullmatch(path) else 0


def first_line(head: bytes) -> bytes | None:
    """The `#!` line of a script, or None."""
    return head[:_SHEBANG_BYTES].partition(b"\n")[0] if head[:2] == b"#!" else None


def _read_entry(walker: TarWalker, entry: TarEntry, path: str, whole: bool, room: Room) -> LayerEntry:
    if entry.kind is not _FILE:
        return LayerEntry(path, entry.kind, entry.mode, entry.target)
    elf = content = None
    wanted = wanted_text_bytes(path)
    if not wanted and _is_plain(walker.peek(entry, 4), entry.mode):
        return LayerEntry(path, _FILE, entry.mode, "", None, None, entry.has_capability)
    if entry.size and not (entry.sparse is not None and entry.size > _MAX_SPARSE_BYTES):
        pieces = walker.pieces(entry)
        head = next(pieces, memoryview(b""))
        start = bytes(head[:4])
        if wanted:
            content = _gather(head, pieces, wanted)
        elif start == ELF_MAGIC or len(start) < min(4, entry.size):
            elf = _read_elf(path, entry.size, head, pieces, whole, room)
        elif start[:2] == b"#!" and entry.mode & 0o111:
            content = first_line(_gather(head, pieces, _SHEBANG_BYTES))
    return LayerEntry(path, entry.kind, entry.mode, "", elf, content, entry.has_capability)


def _is_plain(start: bytes | None, mode: int) -> bool:
    """Whether the first bytes (None: not at hand) rule out everything that would be read further."""
    if start is None:
        return False
    return start != ELF_MAGIC and not (start[:2] == b"#!" and mode & 0o111)


def _read_elf(
    name: str, size: int, head: memoryview, pieces: Iterator[memoryview], whole: bool, room: Room
) -> ElfFacts | None:
    is_libc = name.rpartition("/")[2].startswith(_LIBC_NAMES)
    window = StreamWindow(size, whole=whole, constants=is_libc, room=room)
    try:
        window.feed(head)
        while not window.is_complete and (piece := next(pieces, None)) is not None:
            window.feed(piece)
        return find_elf_facts(window)
    finally:
        window.close()


def _gather(head: memoryview, pieces: Iterator[memoryview], limit: int) -> bytes:
    gathered = bytearray(head[:limit])
    while len(gathered) < limit:
        piece = next(pieces, None)
        if piece is None:
            break
        gathered += piece[: limit - len(gathered)]
    return bytes(gathered)
