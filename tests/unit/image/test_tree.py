"""Layers merged into one file system: whiteouts, links, and the rules that runtimes follow."""

from __future__ import annotations

import pytest

from hpcbake.image.layer import clean_path
from hpcbake.image.scan import ScannedImage
from hpcbake.image.tree import Tree
from tests.elf_builder import program
from tests.image_builder import FOLDER, File, Files, HardLink, Link, scanned


def tree(*layers: Files) -> Tree:
    return scanned(*layers).tree


def paths(image_tree: Tree) -> set[str]:
    return {path for path, _ in image_tree.walk()}


def test_upper_layers_win() -> None:
    """A file of a higher layer replaces one of a lower."""
    merged = tree({"a": File(b"1", 0o600)}, {"a": File(b"22", 0o644)})
    found = merged.find_file("/a")
    assert found is not None and (found[1].mode, found[1].layer) == (0o644, 1)


def test_whiteout_removes_from_below_only() -> None:
    """A whiteout hides lower files; a file of its own layer stays, wherever the whiteout stands."""
    assert paths(tree({"d/a": b"1", "d/b": b"1"}, {"d/.wh.a": b""})) == {"/d/b"}
    assert paths(tree({"a": b"1"}, {"a": b"2", ".wh.a": b""})) == {"/a"}
    assert paths(tree({"d/x/y": b"1"}, {".wh.d": b"", "d/z": b"2"})) == {"/d/z"}


def test_opaque_folder_hides_all_below() -> None:
    """What the opaque layer itself adds stays."""
    assert paths(tree({"d/a": b"1", "d/e/f": b"1"}, {"d/new": b"2", "d/.wh..wh..opq": b""})) == {"/d/new"}


def test_whiteout_through_a_link() -> None:
    """/lib is a link to usr/lib: removing lib/x removes usr/lib/x."""
    assert paths(tree({"lib": Link("usr/lib"), "usr/lib/x": b"1"}, {"lib/.wh.x": b""})) == {"/lib"}


def test_names_with_wh_inside_are_files() -> None:
    """Only the prefix counts."""
    assert paths(tree({"a.wh.b": b"1", "x.wh.d/c": b"1"})) == {"/a.wh.b", "/x.wh.d/c"}


def test_files_go_through_links_to_folders() -> None:
    """A layer that writes lib/x where lib is a link writes usr/lib/x."""
    merged = tree({"lib": Link("usr/lib"), "usr/lib": FOLDER}, {"lib/x": b"1"})
    found = merged.find("/usr/lib/x")
    assert found is not None and found.path == "/usr/lib/x"
    assert merged.find("/lib/x") == found


def test_folder_over_link_and_file_over_folder() -> None:
    """A folder entry replaces a link; a file replaces a folder with all in it."""
    merged = tree({"l": Link("d"), "d/x": b"1"}, {"l": FOLDER, "l/y": b"2", "d": b"file"})
    assert paths(merged) == {"/l/y", "/d"}


def test_folder_over_folder_keeps_what_is_in_it() -> None:
    """A folder entry of a higher layer changes its mode only."""
    assert paths(tree({"d/x": b"1"}, {"d": FOLDER})) == {"/d/x"}


def test_folders_that_no_entry_lists_are_made() -> None:
    """Each once, with those above it, through links on the way; a file in the way gives way, and is told."""
    merged = tree({"a/b/c/x": b"1", "a/b/d/y": b"2"}, {"a/b/c/z": b"3"})
    assert paths(merged) == {"/a/b/c/x", "/a/b/d/y", "/a/b/c/z"}
    assert (merged.root.children["a"].layer, merged.problems) == (0, [])
    linked = tree({"usr/lib": FOLDER, "lib": Link("usr/lib")}, {"lib/p/q/x": b"1", "lib/p/r/y": b"2"})
    assert paths(linked) == {"/lib", "/usr/lib/p/q/x", "/usr/lib/p/r/y"}
    for first in (b"file", Link("nowhere"), Link("l/k")):
        blocked = tree({"l": first}, {"l/k/x": b"1"})
        assert paths(blocked) == {"/l/k/x"}
        assert blocked.problems == ["l: what was there is in the way of a folder"]


def test_a_path_as_deep_as_linux_takes() -> None:
    """Two thousand folders, one in another."""
    deep = "/".join(["d"] * 2000)
    assert paths(tree({f"{deep}/x": b"1"})) == {f"/{deep}/x"}


def test_links_are_resolved_inside_the_root() -> None:
    """Absolute and relative links, through folders, and never above the root."""
    merged = tree(
        {
            "real/file": b"1",
            "abs": Link("/real"),
            "rel": Link("real/../real"),
            "up": Link("../../../../real"),
            "chain": Link("abs"),
            "real/inner": Link("file"),
        }
    )
    for path in ("/abs/file", "/rel/file", "/up/file", "/chain/inner", "/real/../abs/./file", "//abs//file"):
        found = merged.find(path)
        assert found is not None and found.path == "/real/file", path
    for path in ("/real/file/x", "/none", "/abs/none", "/real/file/.."):
        assert merged.find(path) is None, path


def test_link_itself_when_not_followed() -> None:
    """follow=False gives the link."""
    found = tree({"a": Link("b"), "b": b""}).find("/a", follow=False)
    assert found is not None and found.path == "/a"


@pytest.mark.parametrize("files", [{"a": Link("a")}, {"a": Link("b"), "b": Link("a")}, {"a": Link("a/x")}])
def test_circular_links_lead_nowhere(files: Files) -> None:
    """No hang, no answer."""
    assert tree(files).find("/a/b") is None
    assert tree(files).find("/a") is None


def test_exponential_links_end() -> None:
    """Each link twice the one before."""
    files: Files = {f"l{number}": Link(f"l{number + 1}/l{number + 1}") for number in range(60)}
    assert tree(files).find("/l0") is None


def test_hard_link_survives_its_first_name() -> None:
    """Facts are copied, as the inode would stay."""
    merged = tree({"a": program(), "b": HardLink("a")}, {".wh.a": b""})
    found = merged.find_file("/b")
    assert found is not None and found[1].elf is not None


def test_hard_link_to_nothing_is_a_problem() -> None:
    """It is told, since a runtime could not unpack it."""
    image = scanned({"b": HardLink("gone")})
    assert image.tree.find("/b") is None
    assert any("gone" in problem for problem in image.problems)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("usr/bin/x", "usr/bin/x"),
        ("./usr//bin/./x", "usr/bin/x"),
        ("/usr/bin/", "usr/bin"),
        ("../../etc/passwd", "etc/passwd"),
        ("a/../../b", "b"),
        ("a/..", ""),
        ("./", ""),
        (".", ""),
        ("..data/x..", "..data/x.."),
        ("a.b/.c", "a.b/.c"),
    ],
)
def test_names_never_leave_the_root(name: str, path: str) -> None:
    """Traversal is only ever data."""
    assert clean_path(name) == path


def test_layer_of_every_file_is_known() -> None:
    """Provenance: the history line of the layer that brought a file."""
    image: ScannedImage = scanned(
        {"a": b"1"}, {"b": b"2"}, history=["RUN /bin/sh -c one # buildkit", "COPY b / # buildkit"]
    )
    found = image.tree.find_file("/b")
    assert found is not None
    assert image.origin(found[1].layer) == "layer 2: COPY b /"
    assert image.origin(0) == "layer 1: RUN one"
