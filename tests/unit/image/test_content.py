"""Is a SIF's content the image's? Every byte of every file counts, and nothing may be there that nobody put there."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import pytest

from hpcbake.errors import HpcbakeError, UncheckedError
from hpcbake.image.content import Content, ContentEntry, compare_content, hash_image
from hpcbake.image.layer import ScanLimits
from hpcbake.image.squashfs import Squashfs
from hpcbake.image.tar import EntryKind
from tests.image_builder import MemoryImage, make_layer

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "squashfs"


def file(content: str) -> ContentEntry:
    return ContentEntry(EntryKind.FILE, hashlib.sha256(content.encode()).digest())


def link(target: str) -> ContentEntry:
    return ContentEntry(EntryKind.SYMLINK, b"", target)


def content_of(squashfs: bytes) -> Content:
    system = Squashfs(lambda at, length: squashfs[at : at + length] if at >= 0 else b"", "test.sqfs")
    return {path: ContentEntry(*found) for path, found in system.hash_files(ScanLimits()).items()}


@pytest.fixture(scope="module")
def folder() -> Content:
    """The folder that all the golden file systems were made from, as an image of one layer."""
    return hash_image(MemoryImage([gzip.decompress((GOLDEN / "root.tar.gz").read_bytes())]))


@pytest.mark.parametrize("compression", ["gzip", "zstd", "xz"])
def test_the_same_content_in_every_compression(folder: Content, compression: str) -> None:
    """mksquashfs's own output of the folder holds the folder: empty, large, sparse and hard-linked files too."""
    seen = content_of((GOLDEN / f"{compression}.sqfs").read_bytes())
    assert compare_content(folder, seen) == []
    assert {path for path, entry in folder.items() if entry.kind is EntryKind.FILE} == {
        path for path, entry in seen.items() if entry.kind is EntryKind.FILE
    }


def test_no_flipped_byte_goes_unseen(folder: Content) -> None:
    """A byte flipped in the data is an error or a difference, wherever it is; that the reader crashes is neither."""
    sound = (GOLDEN / "zstd.sqfs").read_bytes()
    system = Squashfs(lambda at, length: sound[at : at + length], "sound")
    end_of_data = system._super.inode_table  # what lies in front of the tables is all content
    dice = random.Random(7)
    for _ in range(40):
        at = dice.randrange(96, end_of_data)
        damaged = bytearray(sound)
        damaged[at] ^= 1 << dice.randrange(8)
        try:
            differences = compare_content(folder, content_of(bytes(damaged)))
        except HpcbakeError:
            continue
        assert differences, f"the flipped byte {at} was not seen"


def test_upper_layers_decide() -> None:
    """The last layer's bytes count, and what a whiteout removed must not be in the SIF."""
    image = hash_image(MemoryImage([make_layer({"a": "old", "gone": "x"}), make_layer({"a": "new", ".wh.gone": ""})]))
    assert compare_content(image, {"a": file("new")}) == []
    assert compare_content(image, {"a": file("old")}) == ["'a' holds other bytes"]
    assert compare_content(image, {"a": file("new"), "gone": file("x")}) == ["'gone' is not from the image"]


def test_what_a_runtime_adds_is_no_difference() -> None:
    """apptainer's own folder, its links in the root and the files that it binds over are its own affair."""
    image = {"bin/sh": file("sh"), "etc/resolv.conf": file("nameserver"), "dev/zero": ContentEntry(EntryKind.DEVICE)}
    sif = {
        "bin/sh": file("sh"),
        "etc/resolv.conf": file(""),
        "etc/hosts": file(""),
        "dev/zero": file(""),
        ".singularity.d/actions/exec": file("x"),
        "singularity": link(".singularity.d/runscript"),
        ".run": link(".singularity.d/actions/run"),
    }
    assert compare_content(image, sif) == []
    assert compare_content(image, {**sif, "etc/ld.so.preload": file("evil")}) == [
        "'etc/ld.so.preload' is not from the image"
    ]
    assert compare_content(image, {**sif, "dev/zero": file("evil")}) == [
        "'dev/zero' is a file with content, a device in the image"
    ]


def test_lost_files_and_turned_links() -> None:
    """Missing files, folders in a file's place and links that point elsewhere are told by name."""
    image = {"a": file("a"), "b": file("b"), "l": link("a"), "m": link("b")}
    sif = {"b": link("a"), "l": link("b")}
    assert compare_content(image, sif) == [
        "'a' is missing",
        "'b' is no regular file",
        "the link 'l' is missing or points elsewhere",
        "the link 'm' is missing or points elsewhere",
    ]


def test_many_differences_are_counted() -> None:
    """Twenty are told, the rest counted."""
    told = compare_content({f"f{number}": file("x") for number in range(50)}, {})
    assert (len(told), told[-1]) == (21, "and 30 more")


def test_an_image_of_another_platform_is_no_image() -> None:
    """Where an index has nothing for the site's platform there is nothing to compare with."""
    image = MemoryImage([make_layer({"a": "a"})], index=[("linux", "arm64")])
    with pytest.raises(UncheckedError, match="linux/arm64"):
        hash_image(image)


def test_an_index_inside_an_index() -> None:
    """What is compared is the image that a site would run, however many indexes lie above it."""
    image = MemoryImage([make_layer({"a": "a"})], index=[("linux", "arm64"), ("linux", "amd64")])
    plain = hash_image(image)
    image.wrap()
    assert hash_image(image) == plain
    assert list(plain) == ["a"]
