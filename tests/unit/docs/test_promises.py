"""Pages that promise something name the tests that try to break it; those tests are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def functions_of_tests() -> set[str]:
    """Every test function of the repository."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found.update(re.findall(r"^ *def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    return found


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/security.md"])
def test_every_named_test_exists(page: str) -> None:
    """A promise whose test was renamed or removed is noticed."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named
    assert named - functions_of_tests() == set()


def test_a_named_test_is_in_the_file_behind_its_link() -> None:
    """security.md links each test to the file that holds it."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    links = re.findall(r"\[`(test_\w+)`\]\(\.\./([^)]+)\)", text)
    assert links
    for name, file in links:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), name
