"""The tar walker: every header form that layers come in, and hostile ones."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.errors import IntegrityError
from hpcbake.image.stream import ByteStream
from hpcbake.image.tar import EntryKind, TarEntry, TarWalker
from tests.image_builder import File, Files, Link, make_layer


def walker_of(content: bytes, size: int = 4096) -> TarWalker:
    return TarWalker(ByteStream(iter([content[at : at + size] for at in range(0, len(content), size)])), "a layer")


def entries_of(content: bytes) -> list[tuple[TarEntry, bytes]]:
    walker = walker_of(content)
    return [(entry, b"".join(bytes(piece) for piece in walker.pieces(entry))) for entry in walker]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_the_standard_library(format: int) -> None:
    """Files, folders, links and long names in ustar, GNU and pax form."""
    long_name = "a/" * 60 + "name" if format == tarfile.USTAR_FORMAT else "d" * 180 + "/" + "n" * 200
    files: Files = {
        "dir": None,
        "dir/file": b"content",
        long_name: b"x" * 1500,
        "dir/link": Link("../elsewhere"),
        "program": File(b"#!/bin/sh", 0o4755),
        "empty": b"",
    }
    seen = entries_of(make_layer(files, compress=False, format=format))
    assert [entry.name.rstrip("/") for entry, _ in seen] == list(files)
    assert [content for _, content in seen] == [b"", b"content", b"x" * 1500, b"", b"#!/bin/sh", b""]
    assert seen[0][0].kind is EntryKind.FOLDER
    assert (seen[3][0].kind, seen[3][0].target) == (EntryKind.SYMLINK, "../elsewhere")
    assert seen[4][0].mode == 0o4755


def test_unread_content_is_skipped() -> None:
    """Entries whose content nobody asked for do not disturb the next."""
    content = make_layer({"a": b"x" * 5000, "b": b"y"}, compress=False)
    assert [entry.name for entry in walker_of(content, 100)] == ["a", "b"]


def test_names_that_are_no_utf_8() -> None:
    """Any bytes survive as surrogate escapes."""
    info = tarfile.TarInfo("caf\udce9")
    content = make_layer({"x": info}, compress=False, format=tarfile.GNU_FORMAT)
    assert entries_of(content)[0][0].name == "caf\udce9"


def test_file_capability_in_a_pax_header() -> None:
    """The mark that setcap leaves."""
    info = tarfile.TarInfo("ping")
    info.pax_headers = {"SCHILY.xattr.security.capability": "x"}
    assert entries_of(make_layer({"ping": info}, compress=False))[0][0].has_capability


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=pax"], ["--format=pax", "--sparse-version=0.1"]])
def test_sparse_files_of_gnu_tar(tmp_path: Path, options: list[str]) -> None:
    """A file with holes comes out as if it had none."""
    place = tmp_path / "sparse"
    with place.open("wb") as file:
        for at in (0, 1 << 16, 1 << 18, 1 << 19, 1 << 20):
            file.seek(at)
            file.write(b"data at %d" % at)
        file.truncate(2 << 20)
    made = subprocess.run(
        ["tar", "-C", tmp_path, "--sparse", *options, "-cf", "-", "sparse"], capture_output=True, check=True
    )
    [(entry, content)] = entries_of(made.stdout)
    assert (entry.name, entry.size) == ("sparse", 2 << 20)
    assert content == place.read_bytes()
    if place.stat().st_blocks * 512 < 1 << 20:
        assert len(made.stdout) < 1 << 20, "tar did not make it sparse, so nothing was tested"


def test_large_numbers_in_base_256() -> None:
    """Sizes beyond octal's reach (GNU) are understood."""
    info = tarfile.TarInfo("big")
    info.size = 9 * 1024**3
    header = info.tobuf(tarfile.GNU_FORMAT)
    walker = walker_of(header)
    assert next(iter(walker)).size == 9 * 1024**3


@pytest.mark.parametrize("cut", [100, 600, 1500])
def test_truncated_archive_is_damage(cut: int) -> None:
    """An archive that ends inside an entry."""
    content = make_layer({"a": b"x" * 3000}, compress=False)[:cut]
    with pytest.raises(IntegrityError, match="a layer"):
        entries_of(content)


def test_archive_without_end_marker_is_whole() -> None:
    """Some tools leave the zero blocks out; container runtimes take it."""
    content = make_layer({"a": b"x" * 512}, compress=False)[:1024]
    assert [entry.name for entry, _ in entries_of(content)] == ["a"]


def _with(position: int, value: bytes) -> bytes:
    info = tarfile.TarInfo("x")
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[position : position + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


@pytest.mark.parametrize(
    "content",
    [
        b"not a tar archive at all".ljust(1024, b"."),
        _with(124, b"zzzzzzzzzzz"),
        _with(124, b"\xff" * 12),
        _with(124, b"00000001000\0" + b" " * 20 + b"x")[:512] + b"99999999999999999999 path=x\n".ljust(512, b"\0"),
        bytes(512) + b"x" * 512,
    ],
)
def test_nonsense_is_damage(content: bytes) -> None:
    """Wrong checksums, numbers and records are refused, not guessed at."""
    with pytest.raises(IntegrityError):
        entries_of(content)


def test_extended_header_without_end_is_refused() -> None:
    """A pax header that claims a gigabyte is not read."""
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 1 << 30
    with pytest.raises(IntegrityError, match="extended header"):
        entries_of(info.tobuf(tarfile.USTAR_FORMAT) + bytes(4096))


_NAMES = st.text(alphabet="abc/.é ", min_size=1, max_size=120).filter(lambda name: name.strip("/. ") != "")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_NAMES, st.binary(max_size=1200)), max_size=6), st.integers(1, 2000))
def test_agrees_with_the_standard_library(members: list[tuple[str, bytes]], size: int) -> None:
    """Any names and contents: the same members as tarfile reads."""
    content = _archive(members)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        expected = [(member.name, member.size) for member in archive.getmembers()]
    seen = [(entry.name.rstrip("/"), entry.size) for entry in walker_of(content, size)]
    assert seen == expected


def _archive(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_archives_end(data: st.DataObject) -> None:
    """Whatever bytes change, walking ends: with entries or with damage."""
    content = bytearray(make_layer({"a/b": b"x" * 700, "n" * 150: b"y", "l": Link("a")}, compress=False))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        list(_names(walker_of(bytes(content))))
    except IntegrityError:
        return


def _names(walker: TarWalker) -> Iterator[str]:
    for entry in walker:
        yield entry.name
