"""Host libraries read over a connection: the same facts as from the whole file, from a few of its bytes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hpcbake.elf import BytesWindow, find_elf_facts
from hpcbake.model.site import Injection
from hpcbake.model.version import symbol_version_key
from hpcbake.sites.facts import Library
from hpcbake.sites.hostlibraries import (
    LibraryFacts,
    Piece,
    injections,
    kind_of,
    offers,
    parse_pieces,
    read_libraries,
)
from hpcbake.sites.scripts import parse_answer_lines

#: Real ones of this machine, small and large.
FILES = sorted(
    {
        str(path.resolve())
        for pattern in ("libc.so.6", "libstdc++.so.6", "libz.so.1", "libcrypto.so.3", "libm.so.6", "libgcc_s.so.1")
        for folder in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64")
        if (path := Path(folder) / pattern).is_file()
    }
    | {str(Path(shutil.which("sh") or sys.executable).resolve())}
)


class Disk:
    """Answers like the script `pieces`, and counts."""

    def __init__(self) -> None:
        self.rounds = 0
        self.sent = 0

    def __call__(self, pieces: Sequence[Piece]) -> list[bytes]:
        self.rounds += 1
        found = [Path(path).read_bytes()[offset : offset + length] for offset, length, path in pieces]
        self.sent += sum(map(len, found))
        return found


def _library(path: str, size: int | None = None) -> Library:
    return Library(path, path, Path(path).stat().st_size if size is None else size)


def test_the_facts_are_those_of_the_whole_file() -> None:
    """All of them in a few rounds, and only a part of their bytes."""
    disk = Disk()
    found = read_libraries([_library(path) for path in FILES], disk)
    assert [item.elf for item in found] == [find_elf_facts(BytesWindow(Path(path).read_bytes())) for path in FILES]
    assert disk.rounds <= 12


def test_a_file_that_cannot_be_read_is_not_seen(tmp_path: Path) -> None:
    """Neither is one that is no ELF file, or that became shorter; the others are."""
    for name, content in (("empty", b""), ("text", b"hello" * 10), ("cut", Path(FILES[0]).read_bytes()[:100])):
        (tmp_path / name).write_bytes(content)
    libraries = [
        _library(str(tmp_path / "text")),
        _library(str(tmp_path / "cut"), size=5000),
        _library(str(tmp_path / "empty"), size=70000),
        _library(FILES[-1]),
    ]
    found = {item.library.path: item.elf for item in read_libraries(libraries, Disk())}
    assert [found[library.path] is None for library in libraries] == [True, True, True, False]


def test_a_huge_library_is_bounded(tmp_path: Path) -> None:
    """One that claims tables of gigabytes is given up, not fetched."""
    content = bytearray(Path(FILES[0]).read_bytes()[:4096])
    content[54:58] = (0xFF).to_bytes(2, "little") * 2
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(1 << 33)

    def fetch(pieces: Sequence[Piece]) -> list[bytes]:
        assert sum(length for _, length, _ in pieces) <= 8 << 20
        return [b"\0" * length if offset else bytes(content).ljust(length, b"\0") for offset, length, _ in pieces]

    read_libraries([_library(str(path))], fetch)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("libcuda.so.1", "nvidia"),
        ("libGLX.so.0", "nvidia"),
        ("libpmix.so.2", "pmix"),
        ("libpmi2.so.0", "pmix"),
        ("libslurmfull.so", "slurm"),
        ("libmpi.so.40", "mpi"),
        ("libmpi_gnu_123.so.12", "mpi"),
        ("libfabric.so.1", "libfabric"),
        ("libucp.so.0", "ucx"),
        ("libc.so.6", "host"),
        ("libz.so.1", ""),
        ("libnvoptix.so.1", "nvidia"),
    ],
)
def test_a_library_is_known_by_its_name(name: str, kind: str) -> None:
    """What it is a part of decides whether a container gets it."""
    assert kind_of(f"/usr/lib64/{name}") == kind


def test_the_site_s_own_list_counts() -> None:
    """nvliblist.conf may name any library."""
    assert kind_of("/usr/lib64/libodd.so.3", ["libodd.so", "nvidia-smi"]) == "nvidia"
    assert kind_of("/usr/lib64/libodder.so.3", ["libodd.so"]) == ""


def _facts(path: str, kind: str) -> LibraryFacts:
    return LibraryFacts(_library(path), kind, find_elf_facts(BytesWindow(Path(path).read_bytes())))


def test_needs_are_put_together_by_kind() -> None:
    """Names of glibc and libstdc++, each once, in order of version, and nothing private."""
    found = injections([_facts(FILES[0], "slurm"), _facts(FILES[-1], "slurm"), _facts(FILES[0], "host")])
    assert set(found) == {"slurm"}
    needs = found["slurm"].needs
    assert needs == tuple(sorted(set(needs), key=symbol_version_key))
    assert "GLIBC_PRIVATE" not in needs
    assert isinstance(found["slurm"], Injection)


def test_offers_are_those_of_the_host_s_own() -> None:
    """libc's and libstdc++'s, not those of what is injected."""
    libc = next(path for path in FILES if "libc" in path and "crypto" not in path)
    assert "GLIBC_2.2.5" in offers([_facts(libc, "host")])
    assert offers([_facts(libc, "slurm")]) == ()


def test_versions_sort_by_number() -> None:
    """2.4 comes before 2.34."""
    names = ["GLIBC_2.34", "GLIBC_2.4", "GLIBCXX_3.4", "GLIBC_2.2.5", "GLIBC_ABI_DT_RELR"]
    ordered = sorted(names, key=symbol_version_key)
    assert ordered.index("GLIBC_2.4") < ordered.index("GLIBC_2.34")


def test_what_cannot_be_decoded_is_nothing() -> None:
    """A piece that was cut off on its way is no piece."""
    assert parse_pieces(parse_answer_lines("piece aGVsbG8=\npiece aGVsbG\npiece \nnoise\n")) == [b"hello", b"", b""]
