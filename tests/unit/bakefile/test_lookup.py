"""Which files are read, in which order, and in what language."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.lookup import (
    DEFAULT_NAMES,
    LARGEST_FILE_BYTES,
    RawFile,
    classify,
    names_from_environment,
    read_files,
)
from hpcbake.errors import UsageError


def names(folder: Path, *asked: str, **environment: str) -> list[str]:
    return [file.name for file in read_files(asked, folder=folder, environment=environment)]


def test_all_default_files_that_exist_are_read_in_order(tmp_path: Path) -> None:
    """Eight names, compose first, overrides last; not the first that is found."""
    for name in DEFAULT_NAMES:
        (tmp_path / name).write_text("x")
    (tmp_path / "docker-bake.yml").write_text("never looked up")
    assert names(tmp_path) == list(DEFAULT_NAMES)


def test_named_files_replace_the_defaults(tmp_path: Path) -> None:
    """In the order they are named, `cwd://` in front or not, the same one twice if asked."""
    for name in ("docker-bake.hcl", "a.hcl", "b.hcl"):
        (tmp_path / name).write_text("x")
    assert names(tmp_path, "b.hcl", "cwd://a.hcl", "b.hcl") == ["b.hcl", "a.hcl", "b.hcl"]


def test_the_environment_names_files_when_nobody_else_does(tmp_path: Path) -> None:
    """BUILDX_BAKE_FILE, with blanks dropped and a separator of one's own."""
    for name in ("docker-bake.hcl", "a.hcl", "b.hcl"):
        (tmp_path / name).write_text("x")
    assert names(tmp_path, BUILDX_BAKE_FILE=" a.hcl :: b.hcl:") == ["a.hcl", "b.hcl"]
    assert names(tmp_path, "b.hcl", BUILDX_BAKE_FILE="a.hcl") == ["b.hcl"]
    assert names_from_environment({"BUILDX_BAKE_FILE": "a|b", "BUILDX_BAKE_PATH_SEPARATOR": "|"}) == ["a", "b"]
    assert names_from_environment({"BUILDX_BAKE_FILE": " "}) == []


def test_empty_files_are_passed_over(tmp_path: Path) -> None:
    """A zero-byte file is as good as none, which can leave nothing."""
    (tmp_path / "docker-bake.hcl").write_text("")
    (tmp_path / "docker-bake.json").write_text("{}")
    assert names(tmp_path) == ["docker-bake.json"]
    with pytest.raises(BakeFileError, match=r"nothing is written in docker-bake\.hcl"):
        names(tmp_path, "docker-bake.hcl")


def test_no_file_at_all_is_explained(tmp_path: Path) -> None:
    """The message says where was looked; the help says what to do."""
    with pytest.raises(BakeFileError) as caught:
        names(tmp_path)
    assert f"there is no bake file in {tmp_path}" in caught.value.message
    assert "-f" in caught.value.message


def test_standard_input_is_a_file_called_dash(tmp_path: Path) -> None:
    """It is read where there is one, and refused where there is none."""
    files = read_files(["-"], folder=tmp_path, environment={}, stdin=lambda: "x = 1")
    assert files == [RawFile("-", "x = 1")]
    with pytest.raises(UsageError, match="standard input"):
        names(tmp_path, "-")


@pytest.mark.parametrize("name", ["missing.hcl", "folder", "nul\0.hcl"])
def test_unreadable_files_are_named(tmp_path: Path, name: str) -> None:
    """Missing, a folder, a name that no file can have."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(BakeFileError, match="cannot be read"):
        names(tmp_path, name)


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    """In a file and in standard input alike."""
    (tmp_path / "a.hcl").write_bytes(b"a\nb\xff")
    with pytest.raises(BakeFileError, match=r"a\.hcl:2: byte 0xff is not UTF-8"):
        names(tmp_path, "a.hcl")
    with pytest.raises(BakeFileError, match="-:2: byte 0xff is not UTF-8"):
        read_files(["-"], folder=tmp_path, environment={}, stdin=lambda: b"a\nb\xff".decode("utf-8", "surrogateescape"))


def test_a_huge_file_meets_a_limit_that_is_named(tmp_path: Path) -> None:
    """Nobody writes 16 MiB of bake file."""
    with (tmp_path / "a.hcl").open("wb") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    with pytest.raises(BakeFileError, match="larger than 16 MiB"):
        names(tmp_path, "a.hcl")


def test_remote_definitions_are_refused(tmp_path: Path) -> None:
    """hpcbake fetches nothing; it says what to do instead."""
    with pytest.raises(UsageError, match="remote"):
        names(tmp_path, "https://git.example.org/x.git")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.yaml", "", "compose"),
        ("A.YML", "", "compose"),
        ("a.json", "services: {}", "json"),
        ("a.hcl", "{}", "hcl"),
        ("bakefile", "services", "compose"),
        ("bakefile", "x = 1", "hcl"),
        ("-", '\ufeff \n{"target": {}}', "json"),
        ("a.JSON", "x = 1", "hcl"),
    ],
)
def test_the_language_is_known_by_name_else_by_content(name: str, text: str, kind: str) -> None:
    """Only a text whose name says nothing is tried as compose first."""
    assert classify(RawFile(name, text), is_compose=lambda text: text == "services").kind == kind
