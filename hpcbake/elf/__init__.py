"""What one ELF file needs and offers, read from its program headers. Pure: bytes in, facts out."""

from __future__ import annotations

from hpcbake.elf.facts import ElfFacts, FileKind, LoaderFacts, Machine, VersionNeed
from hpcbake.elf.reader import READER_VERSION, find_elf_facts
from hpcbake.elf.window import ELF_MAGIC, BytesWindow, FileWindow, OutOfWindowError, Room, StreamWindow, Window

__all__ = [
    "ELF_MAGIC",
    "READER_VERSION",
    "BytesWindow",
    "ElfFacts",
    "FileKind",
    "FileWindow",
    "LoaderFacts",
    "Machine",
    "OutOfWindowError",
    "Room",
    "StreamWindow",
    "VersionNeed",
    "Window",
    "find_elf_facts",
]
