"""The ELF reader: equal to an independent one on real files, bounded and calm on damaged ones."""

from __future__ import annotations

import os
import re
import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcbake.elf import (
    BytesWindow,
    ElfFacts,
    FileKind,
    FileWindow,
    OutOfWindowError,
    Room,
    StreamWindow,
    VersionNeed,
    find_elf_facts,
)
from hpcbake.elf.facts import facts_from_json
from tests.elf_builder import AARCH64, I386, Elf, glibc, library, program
from tests.elf_oracle import oracle_facts

TYPES = {"ET_REL": 1, "ET_EXEC": 2, "ET_DYN": 3, "ET_CORE": 4}
MACHINES = {"EM_X86_64": 62, "EM_386": 3, "EM_AARCH64": 183, "EM_ARM": 40, "EM_BPF": 247, "EM_PPC64": 21}


def read(content: bytes) -> ElfFacts:
    facts = find_elf_facts(BytesWindow(content))
    assert facts is not None
    return facts


def some_real_files(count: int = 60) -> list[Path]:
    """A spread over the ELF files of this machine's library and program folders."""
    found = []
    for folder in ("/usr/bin", "/usr/lib", "/usr/lib64"):
        for place, _, names in os.walk(folder):
            for name in names[:40]:
                path = Path(place) / name
                if (".so" in name or "bin" in place) and path.is_file() and not path.is_symlink():
                    found.append(path)
        if len(found) > 4000:
            break
    step = max(1, len(found) // (count * 3))
    chosen = []
    for path in found[::step]:
        with path.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                chosen.append(path)
    return chosen[:count]


@pytest.mark.stand
def test_equal_to_pyelftools_on_real_files() -> None:
    """Every fact of a sample of this machine's ELF files, by whole file and by stream."""
    files = some_real_files()
    assert files, "this machine has no ELF files to compare with"
    for path in files:
        expected = oracle_facts(path)
        with path.open("rb") as file:
            facts = find_elf_facts(FileWindow(file, path.stat().st_size))
        assert facts is not None
        seen = {name: getattr(facts, name) for name in expected}
        expected["type"] = TYPES.get(expected["type"])
        expected["machine"] = MACHINES.get(expected["machine"], expected["machine"])
        if "needs" in expected:
            seen["needs"] = tuple((need.library, need.version, need.weak) for need in facts.needs)
        assert seen == expected, path
        assert find_elf_facts(streamed(path.read_bytes(), 100_000)) == facts, path


def streamed(content: bytes, piece: int, *, whole: bool = False) -> StreamWindow:
    window = StreamWindow(len(content), whole=whole)
    for at in range(0, len(content), piece):
        window.feed(memoryview(content)[at : at + piece])
    return window


def test_every_fact_of_a_program() -> None:
    """A program with everything that the reader knows."""
    content = program(
        needed=("libfoo.so.1", "libc.so.6"),
        needs={"libc.so.6": ("GLIBC_2.34", "GLIBC_2.36?"), "libfoo.so.1": ("FOO_1",)},
        runpath="$ORIGIN/../lib",
        rpath="/old",
        kernel=(3, 2, 0),
        isa_needed=0b111,
        build_id=b"\xab\xcd",
        exec_stack=True,
        relr=True,
    )
    assert read(content) == ElfFacts(
        bits=64,
        little_endian=True,
        type=3,
        machine=62,
        interpreter="/lib64/ld-linux-x86-64.so.2",
        dynamic=True,
        needed=("libfoo.so.1", "libc.so.6"),
        rpath="/old",
        runpath="$ORIGIN/../lib",
        needs=(
            VersionNeed("libc.so.6", "GLIBC_2.34"),
            VersionNeed("libc.so.6", "GLIBC_2.36", weak=True),
            VersionNeed("libfoo.so.1", "FOO_1"),
        ),
        pie=True,
        relr=True,
        exec_stack=True,
        kernel=(3, 2, 0),
        isa_needed=0b111,
        build_id="abcd",
    )
    assert read(content).cpu_level == 3


@pytest.mark.parametrize(
    ("bits", "order", "machine"), [(64, "<", AARCH64), (32, "<", I386), (64, ">", 22), (32, ">", 8)]
)
def test_every_class_and_byte_order(bits: int, order: str, machine: int) -> None:
    """32 and 64 bits, little and big endian give the same facts."""
    content = library("libx.so.1", bits=bits, order=order, machine=machine, offers=["X_1"], kernel=(2, 6, 32))
    facts = read(content)
    assert (facts.bits, facts.little_endian, facts.machine) == (bits, order == "<", machine)
    assert (facts.soname, facts.offers, facts.kernel, facts.problems) == ("libx.so.1", ("X_1",), (2, 6, 32), ())
    assert facts.needs == (VersionNeed("libc.so.6", "GLIBC_2.2.5"),)


def test_kinds() -> None:
    """Programs, libraries (also those one can run, as libc.so.6), static programs, objects."""
    assert read(program()).kind is FileKind.PROGRAM
    assert read(library("libx.so")).kind is FileKind.LIBRARY
    assert read(glibc()["libc.so.6"]).kind is FileKind.LIBRARY
    static = read(Elf(type=2, static=True).build())
    assert (static.kind, static.is_static) == (FileKind.PROGRAM, True)
    assert read(Elf(type=1, static=True).build()).kind is FileKind.OTHER


def test_loader_says_where_it_looks() -> None:
    """Default folders, cache and release come out of the files' own strings."""
    pieces = glibc("2.36", folders=("/lib/x86_64-linux-gnu/", "/usr/lib/"))
    loader = read(pieces["ld-linux-x86-64.so.2"]).loader
    assert loader is not None
    assert (loader.folders, loader.cache) == (("/lib/x86_64-linux-gnu", "/usr/lib"), "/etc/ld.so.cache")
    assert read(pieces["libc.so.6"]).release == "2.36"


def test_private_symbols_of_glibc() -> None:
    """What libc.so.6 wants of its loader at GLIBC_PRIVATE, and what the loader has."""
    pieces = glibc("2.28")
    assert read(pieces["libc.so.6"]).private_needs == (("ld-linux-x86-64.so.2", "_dl_private_of_28"),)
    assert read(pieces["ld-linux-x86-64.so.2"]).private_offers == ("_dl_private_of_28",)


def test_facts_survive_json() -> None:
    """What the cache keeps is what was read."""
    for content in (program(kernel=(1, 2, 3), isa_needed=3), *glibc("2.36").values(), Elf(type=2, static=True).build()):
        facts = read(content)
        assert facts_from_json(facts.as_json()) == facts


def test_names_of_any_bytes_survive() -> None:
    """A soname that is no UTF-8 comes out as it went in."""
    name = b"lib\xff\xfe.so".decode("utf-8", "surrogateescape")
    assert read(library(name)).soname == name


@pytest.mark.parametrize("length", [0, 3, 4, 5, 16, 40, 63, 64, 100, 300, 500])
def test_truncated_files(length: int) -> None:
    """A file that ends early is not ELF at all, or has a problem that says so."""
    facts = find_elf_facts(BytesWindow(program(kernel=(3, 2, 0))[:length]))
    assert (facts is None) if length < 4 else (facts is not None and facts.problems)


def test_more_program_headers_than_anybody_has() -> None:
    """phnum 65535 is refused without reading them."""
    content = bytearray(program())
    struct.pack_into("<H", content, 56, 0xFFFF)
    assert read(bytes(content)).problems


def test_version_table_that_points_to_itself() -> None:
    """Chains only go forward: a zero step ends one although the count goes on."""
    content = bytearray(program(needs={"libc.so.6": ("GLIBC_2.34",)}))
    entry = re.search(rb"\x01\0\x01\0....\x10\0\0\0\0\0\0\0", bytes(content), re.DOTALL)
    assert entry is not None
    struct.pack_into("<H", content, entry.start() + 2, 0xFFFF)
    started = time.perf_counter()
    facts = read(bytes(content))
    assert time.perf_counter() - started < 1
    assert facts.needs == (VersionNeed("libc.so.6", "GLIBC_2.34"),)


def test_program_headers_at_the_end_of_a_stream() -> None:
    """patchelf moves them there: the file is then kept whole."""
    content = program()
    count = struct.unpack_from("<H", content, 56)[0]
    moved = bytearray(content) + bytes(200_000 - len(content))
    struct.pack_into("<Q", moved, 32, len(moved))
    moved += content[64 : 64 + 56 * count]
    assert find_elf_facts(streamed(bytes(moved), 10_000)) == read(content)


def test_out_of_window_is_told() -> None:
    """A stream that did not keep the tables says so; kept whole, the file can be read."""
    content = program(constants=bytes(17 * 1024 * 1024), gap=100_000)
    with pytest.raises(OutOfWindowError):
        find_elf_facts(streamed(content, 10_000))
    facts = find_elf_facts(streamed(content, 10_000, whole=True))
    assert facts == read(content)
    assert facts.needed == ("libc.so.6",) and not facts.problems


def test_windows_share_room_in_turn() -> None:
    """Files of one stream are read one after the other in the same memory, out of one buffer that is written over."""
    room = Room()
    for content in (program(gap=300_000), library("libx.so", needs={"libc.so.6": ("GLIBC_2.4",)}), program(gap=10)):
        window, buffer = StreamWindow(len(content), room=room), bytearray(70_000)
        for at in range(0, len(content), len(buffer)):
            piece = content[at : at + len(buffer)]
            buffer[: len(piece)] = piece
            window.feed(memoryview(buffer)[: len(piece)])
        buffer[:] = bytes(len(buffer))
        assert find_elf_facts(window) == read(content)


def test_a_stream_keeps_little_of_a_large_file() -> None:
    """Code and data of a large library pass by."""
    content = program(gap=60 * 1024 * 1024)
    window = streamed(content, 1 << 20)
    assert find_elf_facts(window) == read(content)
    assert window.kept < 20 * 1024 * 1024


_SEEDS = (program(kernel=(3, 2, 0), isa_needed=1), *glibc("2.28").values(), library("libx.so", bits=32, machine=I386))


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutations_neither_crash_nor_hang(data: st.DataObject) -> None:
    """Whatever bytes change, the reader answers: facts or problems, never an exception."""
    content = bytearray(data.draw(st.sampled_from(_SEEDS)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        width = data.draw(st.sampled_from([1, 2, 4, 8]))
        value = data.draw(st.sampled_from([0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1]))
        content[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    cut = data.draw(st.integers(0, len(content)))
    for candidate in (bytes(content), bytes(content[:cut])):
        facts = find_elf_facts(BytesWindow(candidate))
        assert facts is None or isinstance(facts, ElfFacts)
        assert find_elf_facts(streamed(candidate, 97)) == facts


@given(st.binary(max_size=400))
def test_random_bytes_behind_the_magic(tail: bytes) -> None:
    """Bytes that merely start like ELF."""
    assert isinstance(find_elf_facts(BytesWindow(b"\x7fELF" + tail)), ElfFacts)
