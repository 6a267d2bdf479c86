"""The library that every script is sent with: files whole or not at all, facts read from where they were written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hpcbake.deliver.provenance import render_provenance
from hpcbake.model.ports import Outcome
from tests.site_stand import SiteStand, built_image


def with_library(stand: SiteStand, what: str) -> Outcome:
    """Run shell lines after the library."""
    script = stand.script("survey", wanted="")
    library = script[: script.index("# What is on the site for each wanted image")]
    return stand.node.run_script(f"{library}\n{what}\n", timeout_s=30)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_is_written_with_its_mode(stand: SiteStand, tmp_path: Path) -> None:
    """What was given is what lies there, and nothing beside it."""
    with_library(stand, f"printf 'a\\nb\\n' | write_file '{tmp_path}/new file' 0640")
    assert (tmp_path / "new file").read_text() == "a\nb\n"
    assert (tmp_path / "new file").stat().st_mode & 0o7777 == 0o640
    assert list(tmp_path.glob(".*tmp*")) == []


def test_an_unchanged_file_stays_untouched(stand: SiteStand, tmp_path: Path) -> None:
    """The same bytes again change neither the file nor its time."""
    path = tmp_path / "file"
    path.write_text("same\n")
    before = path.stat()
    with_library(stand, f"echo same | write_file '{path}' 0644")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_cannot_be_written_leaves_the_old_one(stand: SiteStand, tmp_path: Path) -> None:
    """What is in the way stays, nothing is left beside it, and the script ends."""
    in_the_way = tmp_path / "folder"
    in_the_way.mkdir()
    outcome = with_library(stand, f"echo new | write_file '{in_the_way}' 0644 || exit 9; say after yes")
    assert outcome.exit_code == 9
    assert outcome.stdout.startswith("error permission")
    assert in_the_way.is_dir()
    assert list(tmp_path.glob(".*tmp*")) == []


def test_readers_never_see_half_a_file(stand: SiteStand, tmp_path: Path) -> None:
    """While a file is being written its name holds the old content."""
    path = tmp_path / "file"
    path.write_text("old\n")
    show = f"cat '{path}' >&2"
    outcome = with_library(stand, f"{{ echo new; {show}; echo part; }} | write_file '{path}' 0644")
    assert (outcome.stderr, path.read_text()) == ("old\n", "new\npart\n")


# ---- facts ----------------------------------------------------------------------------------------------------------


def test_provenance_is_read_as_it_was_written(stand: SiteStand, tmp_path: Path) -> None:
    """What Python writes the shell reads, also when a nested entry has a key of the same name."""
    image = built_image()
    facts = {"sif_sha256": "ab" * 32, "size_bytes": 12}
    text = render_provenance(image, run="r", created="c", tool_version="0", check=None, facts=facts)
    path = tmp_path / "p.json"
    path.write_text(text.replace('"smoke": []', '"smoke": [\n    {\n      "size_bytes": 99\n    }\n  ]'))
    keys = ["sif_sha256", "size_bytes", "digest", "tag", "nothing"]
    outcome = with_library(stand, "\n".join(f'say {key} "$(recorded {path} {key})"' for key in keys))
    assert outcome.stdout.splitlines() == [
        f"sif_sha256 {'ab' * 32}",
        "size_bytes 12",
        f"digest {image.digest}",
        "tag 1.0",
        "nothing ",
    ]


@pytest.mark.parametrize("text", ["", "{}", "not json", '  "size_bytes": 3,\n  "mtime": 1,\n'])
def test_a_sif_whose_provenance_says_nothing_is_absent(stand: SiteStand, tmp_path: Path, text: str) -> None:
    """Size and time vouch for nothing without the sha256 that was verified."""
    (tmp_path / "x.sif").write_bytes(b"sif")
    subprocess.run(["touch", "-d", "@1", tmp_path / "x.sif"], check=True)
    (tmp_path / "x.json").write_text(text)
    assert with_library(stand, f"sif_state '{tmp_path}/x.sif' '{tmp_path}/x.json'").stdout.strip() == "absent"


@pytest.mark.parametrize(
    ("df", "room"),
    [
        ("/dev/sda 1000 900 100 90% /", "100"),
        ("btrfs 0 0 0 - /", ""),
        ("lustre - - - - /", ""),
        ("", ""),
    ],
)
def test_a_file_system_that_counts_nothing_is_not_full(stand: SiteStand, df: str, room: str) -> None:
    """btrfs tells of no inodes at all; that is no lack of them."""
    outcome = with_library(stand, f"df() {{ printf '%s\\n' 'Filesystem x' '{df}'; }}\nsay room \"$(room_in /x i)\"")
    assert outcome.stdout.strip() == f"room {room}".strip()


@pytest.mark.parametrize("message", ["one line", "two\nlines", "  spaces  ", "$(id) `id` %s \\n", "-n"])
def test_what_is_said_is_one_line(stand: SiteStand, message: str) -> None:
    """A message of any text is one answer line, as it is."""
    outcome = with_library(stand, f"fail space '{message}'")
    assert outcome.stdout == f"error space {message.replace(chr(10), ' ')}\n"
