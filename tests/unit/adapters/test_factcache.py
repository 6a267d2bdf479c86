"""The cache of layer facts: what comes out is what went in, or nothing."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hpcbake.adapters.factcache import FolderFactCache
from hpcbake.image.layer import LayerEntry, LayerFacts
from hpcbake.image.scan import scan_image
from tests.elf_builder import glibc, program
from tests.image_builder import Files, Link, MemoryImage, make_layer


def some_facts(count: int = 3) -> LayerFacts:
    """Facts with everything in them that an entry can have."""
    entries = [LayerEntry(f"f{number}", 0, 0o644) for number in range(count)]
    entries.append(LayerEntry("caf\udce9", 2, 0o777, "target\udcff"))
    entries.append(LayerEntry("script", 0, 0o755, content=b"#!\xff\x00", has_capability=True))
    return LayerFacts(entries, 12345, ["a problem"])


def test_facts_of_a_real_layer_come_back_equal(tmp_path: Path) -> None:
    """A second scan from the cache sees the same tree."""
    cache = FolderFactCache(tmp_path)
    files: Files = {"bin/sh": program(kernel=(3, 2, 0)), "lib": Link("usr/lib"), **glibc("2.36")}
    image = MemoryImage([make_layer(files)])
    first, second = scan_image(image, cache=cache), scan_image(image, cache=cache)
    assert len(image.opened) == 3, "config twice, layer once"
    assert dict(first.tree.walk()) == dict(second.tree.walk())


def test_roundtrip(tmp_path: Path) -> None:
    """Any bytes in names and contents survive."""
    cache = FolderFactCache(tmp_path)
    cache.store("k", some_facts())
    assert cache.load("k") == some_facts()
    assert cache.load("other") is None


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "swap"])
def test_damaged_files_are_thrown_away(tmp_path: Path, damage: str) -> None:
    """A damaged file counts as none and is removed; so does one under another's name."""
    cache = FolderFactCache(tmp_path)
    cache.store("k", some_facts())
    [path] = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "swap":
        path = path.rename(tmp_path / "other.json.zst")
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:middle], "flip": flipped, "empty": b""}[damage])
    assert cache.load("other" if damage == "swap" else "k") is None
    assert not path.exists()


def test_folder_is_bounded(tmp_path: Path) -> None:
    """The files unused for longest go first; what was just used stays."""
    size = 0
    for number in range(12):
        cache = FolderFactCache(tmp_path, max_bytes=size * 5 or 1 << 20)
        cache.store(f"k{number}", some_facts(200))
        size = (tmp_path / f"k{number}.json.zst").stat().st_size
        os.utime(tmp_path / f"k{number}.json.zst", (number, number))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= size * 5
    assert "k11.json.zst" in kept and "k0.json.zst" not in kept


def test_many_writers_and_readers(tmp_path: Path) -> None:
    """Whoever reads sees whole facts or none."""
    cache = FolderFactCache(tmp_path)

    def work(number: int) -> bool:
        cache.store(f"k{number % 3}", some_facts())
        found = cache.load(f"k{number % 3}")
        return found is None or found == some_facts()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))
    assert not list(tmp_path.glob(".part-*"))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """No cache is no failure."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    cache = FolderFactCache(blocked / "layers")
    cache.store("k", some_facts())
    assert cache.load("k") is None


def test_where_it_lies(tmp_path: Path) -> None:
    """$HPCBAKE_CACHE_DIR wins over the user's cache folder."""
    cache = FolderFactCache.of_user({"HPCBAKE_CACHE_DIR": str(tmp_path)})
    cache.store("k", some_facts())
    assert (tmp_path / "layers" / "k.json.zst").is_file()
