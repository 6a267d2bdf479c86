"""squashfs as mksquashfs and apptainer write it: the same files and facts as in the folder it was made from."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path

import pytest

from hpcbake.adapters.localimage import scan_local_image
from hpcbake.adapters.sif import is_sif, scan_sif
from hpcbake.check.judge import judge
from hpcbake.errors import HpcbakeError, IntegrityError, UncheckedError
from hpcbake.image.layer import LayerEntry, ScanLimits, read_layer
from hpcbake.image.squashfs import Squashfs
from hpcbake.image.tar import EntryKind
from hpcbake.model.verdict import Verdict
from tests.unit.check.bases import site

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "squashfs"


def open_squashfs(content: bytes) -> Squashfs:
    return Squashfs(lambda at, length: content[at : at + length] if at >= 0 else b"", "test.sqfs")


def entries_of(content: bytes) -> dict[str, LayerEntry]:
    return {entry.path: entry for entry in open_squashfs(content).walk(ScanLimits())}


def expected() -> dict[str, LayerEntry]:
    """The folder's own entries; a second name of a file has the facts of the first."""
    raw = gzip.decompress((GOLDEN / "root.tar.gz").read_bytes())
    entries: dict[str, LayerEntry] = {}
    for entry in read_layer(iter([raw]), "root", ScanLimits()).entries:
        if entry.kind == EntryKind.HARDLINK:
            entry = entries[entry.target.removeprefix("./")]._replace(path=entry.path)
        if entry.path:
            entries[entry.path] = entry
    return entries


@pytest.mark.parametrize("compression", ["gzip", "zstd", "xz"])
def test_same_as_the_folder(compression: str) -> None:
    """Names, kinds, modes, targets, ELF facts and small files agree, for 420 entries of all kinds."""
    seen, wanted = entries_of((GOLDEN / f"{compression}.sqfs").read_bytes()), expected()
    assert set(seen) == set(wanted)
    for path, entry in wanted.items():
        # Links have no mode of their own.
        mode = 0 if entry.kind == EntryKind.SYMLINK else entry.mode
        seen_mode = 0 if entry.kind == EntryKind.SYMLINK else seen[path].mode
        assert seen[path]._replace(mode=seen_mode) == entry._replace(mode=mode), path
    assert seen["usr/local/bin/app"].elf is not None
    assert seen["usr/local/bin/second"].elf == seen["usr/local/bin/app"].elf


def test_only_what_is_needed_is_read() -> None:
    """Of half a megabyte of ELF file, three blocks."""
    content = (GOLDEN / "gzip.sqfs").read_bytes()
    read = [0]

    def read_at(at: int, length: int) -> bytes:
        read[0] += length
        return content[at : at + length]

    list(Squashfs(read_at, "x").walk(ScanLimits()))
    assert read[0] < 2 * len(content)


def test_compression_that_is_not_understood() -> None:
    """lz4 is told, never passed over."""
    with pytest.raises(UncheckedError, match="lz4"):
        entries_of((GOLDEN / "lz4.sqfs").read_bytes())


def test_sif_of_apptainer() -> None:
    """A SIF is recognised, its partition read, its architecture known; it can be judged."""
    path = GOLDEN / "small.sif"
    assert is_sif(path)
    image = scan_sif(path)
    assert image.config.architecture == "amd64"
    assert {path for path, _ in image.tree.walk()} >= {"/usr/local/bin/app", "/usr/bin/bash"}
    assert scan_local_image(str(path)) is not None
    report = judge(image, site())
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].rule == "glibc-too-new"


@pytest.mark.parametrize("cut", [10, 60, 5000, 40000])
def test_truncated_sif(tmp_path: Path, cut: int) -> None:
    """A SIF that lost its end is an integrity error, whatever part is missing."""
    path = tmp_path / "x.sif"
    path.write_bytes((GOLDEN / "small.sif").read_bytes()[:cut])
    with pytest.raises(IntegrityError):
        scan_sif(path)


def test_encrypted_sif(tmp_path: Path) -> None:
    """An encrypted partition is unchecked, not empty."""
    content = bytearray((GOLDEN / "small.sif").read_bytes())
    at = content.index(struct.pack("<ii", 1, 2) + b"02\0")
    struct.pack_into("<i", content, at, 4)
    path = tmp_path / "x.sif"
    path.write_bytes(content)
    with pytest.raises(UncheckedError, match="encrypted"):
        scan_sif(path)


def test_damage_never_passes_in_silence() -> None:
    """Whatever bytes change: the same entries, or an error; no crash, no hang, no endless folder."""
    content = (GOLDEN / "zstd.sqfs").read_bytes()
    random_bytes = random.Random(7)
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(random_bytes.randint(1, 3)):
            changed[random_bytes.randrange(len(changed))] = random_bytes.randrange(256)
        try:
            entries_of(bytes(changed))
        except HpcbakeError:
            continue


def test_limit_on_entries() -> None:
    """A file system with more entries than allowed ends there."""
    with pytest.raises(UncheckedError, match="limit entries"):
        list(open_squashfs((GOLDEN / "gzip.sqfs").read_bytes()).walk(ScanLimits(entries=100)))
