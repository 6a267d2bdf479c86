"""Kept SIFs: summed up before every use, bounded, one worker per digest, nothing half done left."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from hpcbake.adapters.sifcache import SifFolder
from hpcbake.errors import CantWriteError


def keep(folder: SifFolder, name: str, content: bytes) -> Path:
    with folder.work_on(name) as work:
        partial = work / "image.sif"
        partial.write_bytes(content)
        return folder.adopt(partial, name).path


def test_kept_and_found(tmp_path: Path) -> None:
    """What is adopted is found with its sum; what is unknown is None."""
    folder = SifFolder(tmp_path)
    keep(folder, "a", b"bytes")
    found = folder.find("a")
    assert found is not None
    assert (found.sha256, found.size_bytes) == (hashlib.sha256(b"bytes").hexdigest(), 5)
    assert folder.find("b") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "note", "no note"])
def test_what_was_damaged_is_thrown_away(damage: str, tmp_path: Path) -> None:
    """Another byte, fewer bytes, a damaged or missing note: the SIF counts as none and its file goes."""
    folder = SifFolder(tmp_path)
    path = keep(folder, "a", b"bytes")
    if damage == "flip":
        path.write_bytes(b"bytez")
    elif damage == "cut":
        path.write_bytes(b"byte")
    elif damage == "note":
        path.with_suffix(".json").write_text("{")
    else:
        path.with_suffix(".json").unlink()
    assert folder.find("a") is None
    assert damage == "no note" or not path.exists()
    keep(folder, "a", b"again")
    assert folder.find("a") is not None


def test_bounded(tmp_path: Path) -> None:
    """The SIF not used for longest goes; the one that is being kept stays."""
    folder = SifFolder(tmp_path, max_bytes=25)
    for number, name in enumerate(("a", "b")):
        os.utime(keep(folder, name, b"x" * 10), (number, number))
    folder.find("a")
    keep(folder, "c", b"x" * 10)
    assert [name for name in "abc" if folder.find(name)] == ["a", "c"]


def test_left_overs_of_a_dead_run_go(tmp_path: Path) -> None:
    """A folder that a killed conversion left, with files that nobody may write, is cleared away by the next."""
    stale = tmp_path / ".work-a" / "rootfs"
    stale.mkdir(parents=True)
    (stale / "file").write_text("x")
    stale.chmod(0o500)
    with SifFolder(tmp_path).work_on("a") as work:
        assert list(work.iterdir()) == []
    assert not (tmp_path / ".work-a").exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    """Two threads that want the same digest work one after the other."""
    folder = SifFolder(tmp_path)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with folder.work_on("a"):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file where the folder should be: named, with the way out."""
    (tmp_path / "sif").write_text("in the way")
    with pytest.raises(CantWriteError) as caught, SifFolder(tmp_path / "sif").work_on("a"):
        pass
    assert "HPCBAKE_CACHE_DIR" in caught.value.remedy
