"""Reads a squashfs file system (the content of a SIF) without mounting or unpacking it.

Only what is asked for is decompressed: the inodes and names of all files, and of a library the few blocks in which its
tables lie. The format is version 4.0 as the Linux kernel documents and reads it.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator

import zstandard

from hpcbake.elf import ELF_MAGIC, find_elf_facts
from hpcbake.errors import IntegrityError, UncheckedError
from hpcbake.image.layer import LayerEntry, ScanLimits, first_line, wanted_text_bytes
from hpcbake.image.tar import EntryKind
from hpcbake.model.late import dataclass

#: Exactly `length` bytes at `offset` of the file system, fewer at its end.
ReadAt = Callable[[int, int], bytes]

_MAGIC = 0x73717368
_METADATA_BYTES = 8192
_MAX_BLOCK_BYTES = 1024 * 1024
_MAX_NAME_BYTES = 256
_MAX_TARGET_BYTES = 65536
_NO_FRAGMENT = 0xFFFFFFFF
_UNCOMPRESSED = 1 << 24
_KEPT_BLOCKS = 32
_KEPT_METADATA = 4096
_COMPRESSORS = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_KINDS = {
    1: EntryKind.FOLDER,
    2: EntryKind.FILE,
    3: EntryKind.SYMLINK,
    4: EntryKind.DEVICE,
    5: EntryKind.DEVICE,
    6: EntryKind.FIFO,
    7: EntryKind.FIFO,
}


@dataclass(frozen=True)
class _Super:
    """The superblock's facts that reading needs."""

    inodes: int
    block_bytes: int
    fragments: int
    compressor: int
    root: int
    inode_table: int
    directory_table: int
    fragment_table: int
    size: int


@dataclass(frozen=True)
class _Inode:
    """One inode: for a folder where its listing lies, for a file where its blocks lie, for a link its target."""

    kind: EntryKind
    mode: int
    number: int
    size: int = 0
    start: int = 0
    offset: int = 0
    fragment: int = _NO_FRAGMENT
    blocks: tuple[int, ...] = ()
    target: str = ""
    has_xattr: bool = False


class Squashfs:
    """One file system, read through `read_at`. Raises IntegrityError for anything that contradicts itself."""

    def __init__(self, read_at: ReadAt, name: str) -> None:
        self._read_at = read_at
        self._name = name
        self._metadata: dict[int, tuple[bytes, int]] = {}
        self._blocks: dict[tuple[int, int], bytes] = {}
        self._super = self._read_super()
        self._unpack = self._unpacker()

    def walk(self, limits: ScanLimits) -> Iterator[LayerEntry]:
        """Every path of the file system with its ELF facts, folders before what they hold."""
        facts: dict[int, LayerEntry] = {}
        for path, inode in self._walk_inodes(limits):
            if inode.kind is EntryKind.FOLDER:
                yield LayerEntry(path, EntryKind.FOLDER, inode.mode)
                continue
            if inode.number not in facts or wanted_text_bytes(path):
                facts[inode.number] = self._entry(path, inode)
            yield facts[inode.number]._replace(path=path)

    def _walk_inodes(self, limits: ScanLimits) -> Iterator[tuple[str, _Inode]]:
        """Every path with its inode, folders before what they hold."""
        seen_folders: set[int] = set()
        pending = [("", self._super.root)]
        count = 0
        while pending:
            prefix, reference = pending.pop()
            folder = self._inode(reference)
            if folder.number in seen_folders:
                raise self._damaged(f"folder {prefix or '/'} holds itself")
            seen_folders.add(folder.number)
            for name, child_reference in self._listing(folder):
                path = f"{prefix}/{name}" if prefix else name
                count += 1
                if count > limits.entries:
                    raise UncheckedError(
                        f"limit entries reached: more than {limits.entries} files",
                        remedy="look for what filled the image; caches of conda, npm and pip are the usual reason",
                        kind="image.limit",
                    )
                inode = self._inode(child_reference)
                yield path, inode
                if inode.kind is EntryKind.FOLDER:
                    pending.append((path, child_reference))

    def hash_files(self, limits: ScanLimits) -> dict[str, tuple[EntryKind, bytes, str]]:
        """Every path that is no folder: its kind, the SHA-256 of a regular file, the target of a link.

        Files are read in the order in which they lie, so that no block is unpacked twice.
        """
        names: dict[str, int] = {}
        inodes: dict[int, _Inode] = {}
        for path, inode in self._walk_inodes(limits):
            if inode.kind is not EntryKind.FOLDER:
                names[path] = inode.number
                inodes[inode.number] = inode
        digests = {
            inode.number: self._hash(inode)
            for inode in sorted(inodes.values(), key=lambda one: (one.fragment, one.start))
            if inode.kind is EntryKind.FILE
        }
        return {
            path: (inodes[number].kind, digests.get(number, b""), inodes[number].target)
            for path, number in names.items()
        }

    def _hash(self, inode: _Inode) -> bytes:
        checksum = hashlib.sha256()
        at, left = inode.start, inode.size
        for stated in inode.blocks:
            expected = min(self._super.block_bytes, left)
            content = self._unpacked(at, stated) if stated else bytes(expected)
            if len(content) != expected:
                raise self._damaged(f"a block of {len(content)} bytes where {expected} belong")
            checksum.update(content)
            at += stated & ~_UNCOMPRESSED
            left -= expected
        if left:
            tail = self.read_block(inode, len(inode.blocks))
            if len(tail) != left:
                raise self._damaged(f"a file's end of {len(tail)} bytes where {left} belong")
            checksum.update(tail)
        return checksum.digest()

    def _entry(self, path: str, inode: _Inode) -> LayerEntry:
        if inode.kind is not EntryKind.FILE:
            return LayerEntry(path, inode.kind, inode.mode, inode.target)
        window = _FileWindow(self, inode)
        wanted = wanted_text_bytes(path)
        head = window.read(0, 256)
        elf = content = None
        if wanted:
            content = window.read(0, wanted)
        elif head[:4] == ELF_MAGIC:
            elf = find_elf_facts(window)
        elif inode.mode & 0o111:
            content = first_line(head)
        return LayerEntry(path, EntryKind.FILE, inode.mode, "", elf, content)

    def _read_super(self) -> _Super:
        content = self._read_at(0, 96)
        if len(content) < 96 or struct.unpack_from("<I", content)[0] != _MAGIC:
            raise self._damaged("it does not start as one")
        inodes, _, block_bytes, fragments = struct.unpack_from("<IIII", content, 4)
        compressor, _, _, _, major, minor = struct.unpack_from("<HHHHHH", content, 20)
        root, size, _, _, inode_table, directory_table, fragment_table, _ = struct.unpack_from("<8Q", content, 32)
        if (major, minor) != (4, 0) or not 4096 <= block_bytes <= _MAX_BLOCK_BYTES:
            raise self._damaged(f"version {major}.{minor} with blocks of {block_bytes} bytes")
        return _Super(
            inodes, block_bytes, fragments, compressor, root, inode_table, directory_table, fragment_table, size
        )

    def _unpacker(self) -> Callable[[bytes, int], bytes]:
        name = _COMPRESSORS.get(self._super.compressor, f"number {self._super.compressor}")
        if name == "gzip":
            return lambda content, limit: zlib.decompressobj().decompress(content, limit)
        if name == "zstd":
            engine = zstandard.ZstdDecompressor()
            return lambda content, limit: engine.decompress(content, max_output_size=limit)
        if name in ("xz", "lzma"):
            return lambda content, limit: lzma.LZMADecompressor(memlimit=1 << 27).decompress(content, limit)
        raise UncheckedError(
            f"{self._name}: its squashfs is compressed with {name}, which hpcbake cannot read",
            remedy="check the image it was made from, or build the SIF with gzip or zstd",
            kind="image.compression",
        )

    def _decompress(self, content: bytes, limit: int) -> bytes:
        try:
            return self._unpack(content, limit)
        except (zlib.error, zstandard.ZstdError, lzma.LZMAError, ValueError) as cause:
            raise self._damaged(f"a block cannot be unpacked: {cause}") from cause

    def _metadata_block(self, at: int) -> tuple[bytes, int]:
        """One unpacked metadata block, and where the next one starts."""
        if at not in self._metadata:
            header = self._exactly(at, 2)
            (stated,) = struct.unpack("<H", header)
            size = stated & 0x7FFF
            content = self._exactly(at + 2, size)
            if not stated & 0x8000:
                content = self._decompress(content, _METADATA_BYTES)
            if len(self._metadata) >= _KEPT_METADATA:
                self._metadata.clear()
            self._metadata[at] = (content, at + 2 + size)
        return self._metadata[at]

    def _metadata_bytes(self, at: int, offset: int, length: int) -> bytes:
        """`length` bytes of a chain of metadata blocks from `offset` in the block at `at`."""
        parts: list[bytes] = []
        while length > 0:
            content, following = self._metadata_block(at)
            part = content[offset : offset + length]
            if not part:
                raise self._damaged("a table ends early")
            parts.append(part)
            length -= len(part)
            at, offset = following, 0
        return b"".join(parts)

    def _inode(self, reference: int) -> _Inode:
        at, offset = self._super.inode_table + (reference >> 16), reference & 0xFFFF
        kind, mode, _, _, _, number = struct.unpack("<HHHHII", self._metadata_bytes(at, offset, 16))
        basic = kind - 7 if kind > 7 else kind
        if basic not in _KINDS:
            raise self._damaged(f"an inode of type {kind}")
        mode &= 0o7777

        def body(form: str) -> tuple[int, ...]:
            return struct.unpack(form, self._metadata_bytes(at, offset, 16 + struct.calcsize(form))[16:])

        if kind == 1:
            start, _, size, inside, _ = body("<IIHHI")
            return _Inode(EntryKind.FOLDER, mode, number, size, start, inside)
        if kind == 8:
            _, size, start, _, _, inside, _ = body("<IIIIHHI")
            return _Inode(EntryKind.FOLDER, mode, number, size, start, inside)
        if kind == 2:
            start, fragment, inside, size = body("<IIII")
            return self._file(_Inode(EntryKind.FILE, mode, number, size, start, inside, fragment), at, offset + 32)
        if kind == 9:
            start, size, _, _, fragment, inside, _ = body("<QQQIIII")
            return self._file(_Inode(EntryKind.FILE, mode, number, size, start, inside, fragment), at, offset + 56)
        if basic == 3:
            _, length = body("<II")
            if length > _MAX_TARGET_BYTES:
                raise self._damaged(f"a link of {length} bytes")
            target = self._metadata_bytes(at, offset, 24 + length)[24:]
            return _Inode(EntryKind.SYMLINK, mode, number, target=target.decode("utf-8", "surrogateescape"))
        return _Inode(_KINDS[basic], mode, number)

    def _file(self, inode: _Inode, at: int, offset: int) -> _Inode:
        count, rest = divmod(inode.size, self._super.block_bytes)
        if inode.fragment == _NO_FRAGMENT and rest:
            count += 1
        if count > self._super.size or count > 1 << 24:
            raise self._damaged(f"a file of {inode.size} bytes")
        # The list of block sizes follows the inode; `offset` may lie beyond its first metadata block.
        sizes = self._metadata_bytes(at, 0, offset + 4 * count)[offset:] if count else b""
        blocks = struct.unpack(f"<{count}I", sizes)
        return _Inode(
            inode.kind, inode.mode, inode.number, inode.size, inode.start, inode.offset, inode.fragment, blocks
        )

    def _listing(self, folder: _Inode) -> Iterator[tuple[str, int]]:
        """The names of a folder and the references of their inodes."""
        left = folder.size - 3
        if left <= 0:
            return
        content = self._metadata_bytes(self._super.directory_table + folder.start, folder.offset, left)
        at = 0
        while at + 12 <= left:
            count, start, _ = struct.unpack_from("<III", content, at)
            at += 12
            for _ in range(min(count + 1, 257)):
                if at + 8 > left:
                    raise self._damaged("a folder's list ends early")
                offset, _, _, length = struct.unpack_from("<HhHH", content, at)
                name = content[at + 8 : at + 9 + length]
                if length + 1 > _MAX_NAME_BYTES or b"/" in name or name in (b".", b"..") or not name:
                    raise self._damaged("a name that cannot be")
                yield name.decode("utf-8", "surrogateescape"), (start << 16) | offset
                at += 9 + length

    def read_block(self, inode: _Inode, number: int) -> bytes:
        """One unpacked block of a file; its tail may lie in a fragment shared with other files."""
        block_bytes = self._super.block_bytes
        expected = min(block_bytes, inode.size - number * block_bytes)
        if number < len(inode.blocks):
            stated = inode.blocks[number]
            if not stated:
                return bytes(expected)
            start = inode.start + sum(size & ~_UNCOMPRESSED for size in inode.blocks[:number])
            return self._data(start, stated)[:expected]
        start, stated = self._fragment(inode.fragment)
        return self._data(start, stated)[inode.offset : inode.offset + expected]

    def _fragment(self, number: int) -> tuple[int, int]:
        if number >= self._super.fragments:
            raise self._damaged("a fragment that is not there")
        (block,) = struct.unpack("<Q", self._exactly(self._super.fragment_table + 8 * (number // 512), 8))
        start, stated, _ = struct.unpack("<QII", self._metadata_bytes(block, 16 * (number % 512), 16))
        return start, stated

    def _data(self, start: int, stated: int) -> bytes:
        key = (start, stated)
        if key not in self._blocks:
            content = self._unpacked(start, stated)
            if len(self._blocks) >= _KEPT_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[key] = content
        return self._blocks[key]

    def _unpacked(self, start: int, stated: int) -> bytes:
        size = stated & ~_UNCOMPRESSED
        if size > self._super.block_bytes:
            raise self._damaged(f"a block of {size} bytes")
        content = self._exactly(start, size)
        return content if stated & _UNCOMPRESSED else self._decompress(content, self._super.block_bytes)

    def _exactly(self, at: int, length: int) -> bytes:
        content = self._read_at(at, length)
        if len(content) < length:
            raise self._damaged(f"it ends at {at + len(content)}, {length} bytes are wanted at {at}")
        return content

    def _damaged(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"{self._name}: its squashfs is damaged: {why}",
            remedy="build or pull it again",
            kind="image.damaged-layer",
        )

    @property
    def block_bytes(self) -> int:
        return self._super.block_bytes


class _FileWindow:
    """A file of the file system, for the ELF reader."""

    def __init__(self, system: Squashfs, inode: _Inode) -> None:
        self._system = system
        self._inode = inode
        self.size = inode.size

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        block_bytes = self._system.block_bytes
        parts = []
        while offset < end:
            number, inside = divmod(offset, block_bytes)
            part = self._system.read_block(self._inode, number)[inside : inside + end - offset]
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return b"".join(parts)
