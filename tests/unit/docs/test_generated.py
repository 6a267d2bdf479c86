"""The freshness check of the reference pages (`make lint` runs it) can fail, and no link of any page leads nowhere."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from hpcbake.errors import ExitCode

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "docs"))
generate: Any = importlib.import_module("generate")
links: Any = importlib.import_module("links")


def test_no_relative_link_is_broken() -> None:
    """Every relative link of every Markdown file leads to a file, and to a heading where it names one."""
    assert links.broken_links(ROOT) == []


def test_a_stale_a_missing_and_an_orphaned_page_are_named(tmp_path: Path) -> None:
    """The freshness check can fail: each way of being out of date is told apart."""
    verbs = tmp_path / "docs/reference/verbs"
    verbs.mkdir(parents=True)
    (verbs / "ship.md").write_text("old")
    (verbs / "teleport.md").write_text("a verb that is gone")
    stale = generate.stale_files(tmp_path, {"docs/reference/verbs/ship.md": "new", "docs/index.md": "new"})
    assert stale == [
        "docs/reference/verbs/ship.md: stale",
        "docs/index.md: missing",
        "docs/reference/verbs/teleport.md: no such verb",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b.md)", []),
        ("[a](b.md#the-heading-here)", []),
        ("# Here\n[a](#here)", []),
        ("[a](https://example.org/missing)", []),
        ("```\n[a](missing.md)\n```\nand `[a](missing.md)`", []),
        ("[a](missing.md)", ["a.md: missing.md: no such file"]),
        ("[a](b.md#gone)", ["a.md: b.md#gone: no such heading"]),
        ("[a](#gone)", ["a.md: #gone: no such heading"]),
        ('[![alt](missing.png)](b.md "title")', ["a.md: missing.png: no such file"]),
    ],
)
def test_links_are_followed(tmp_path: Path, text: str, expected: list[str]) -> None:
    """Relative links in prose are checked with their anchors; code and web addresses are left alone."""
    (tmp_path / "a.md").write_text(text)
    (tmp_path / "b.md").write_text("## The heading, here\n")
    assert links.broken_links(tmp_path) == expected


def test_every_exit_code_has_its_section() -> None:
    """`when-it-fails.md` has a section for every exit code of a failure."""
    anchors = links.heading_anchors((ROOT / "docs/how-to/when-it-fails.md").read_text(encoding="utf-8"))
    missing = [
        code.name for code in ExitCode if code is not ExitCode.OK and not any(_is_about(a, code) for a in anchors)
    ]
    assert missing == []


def _is_about(anchor: str, code: ExitCode) -> bool:
    return str(int(code)) in anchor.split("-")


def test_the_glossary_is_alphabetical_and_knows_every_noun() -> None:
    """Every public class of the model and of the report's records is in the glossary; its entries are in order."""
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    words = [word.casefold() for word in re.findall(r"^- \*\*(.+?)\*\*", text, re.MULTILINE)]
    assert words == sorted(words)
    files = [*sorted((ROOT / "hpcbake/model").glob("*.py")), ROOT / "hpcbake/report/records.py"]
    nouns = {name for file in files for name in re.findall(r"^class ([A-Z]\w+)", file.read_text(), re.MULTILINE)}
    assert [noun for noun in sorted(nouns) if f"`{noun}`" not in text] == []
