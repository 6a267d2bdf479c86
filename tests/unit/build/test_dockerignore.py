"""`.dockerignore` is read as BuildKit reads it: last match wins, folders take their files along, `!` takes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.build.dockerignore import parse_ignores


@pytest.mark.parametrize(
    ("rules", "path", "excluded"),
    [
        ("", "a", False),
        ("# a\n\n  \n", "a", False),
        ("a", "a", True),
        ("/a/", "a/b/c", True),
        ("a", "b/a", False),
        ("**/a", "b/c/a", True),
        ("**/a", "a", True),
        ("*.log", "x.log", True),
        ("*.log", "d/x.log", False),
        ("**/*.log", "d/e/x.log", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a[0-9]", "a5", True),
        ("a[^0-9]", "a5", False),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("*\n!src", "src/main.c", False),
        ("*\n!src", "README", True),
        ("*\n!src\nsrc/*.o", "src/main.o", True),
        ("!a\na", "a", True),
        ("./a/../b", "b", True),
        (".", "a", False),
        ("a/**", "a/b/c", True),
        ("a/**/z", "a/z", True),
        ("ä b", "ä b", True),
        ("(a", "(a", True),
        ("\ufeffa", "a", True),
    ],
)
def test_what_stays_behind(rules: str, path: str, excluded: bool) -> None:
    """One rule of the format each."""
    assert parse_ignores(rules).excludes(path) is excluded


def test_a_folder_is_not_entered_unless_something_may_be_taken_back() -> None:
    """Large folders that stay behind cost nothing."""
    assert parse_ignores("data\n").excludes_all_below("data")
    assert not parse_ignores("data\n!data/keep\n").excludes_all_below("data")


@given(st.text(max_size=40), st.text(min_size=1, max_size=20))
def test_any_text_is_read(rules: str, path: str) -> None:
    """No text makes the reader fail, and a lone `!` line never excludes anything."""
    assert parse_ignores(rules).excludes(path) in (True, False)
    assert not parse_ignores("!" + rules.replace("\n", "").replace("\r", "")[:5]).excludes("x\nnever")
