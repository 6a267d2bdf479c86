"""Wildcards are Go's path.Match."""

from __future__ import annotations

import pytest

from hpcbake.bakefile.pathmatch import compile_pattern, has_wildcards


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a*", "abc", True), ("*", "a", True), ("**", "abc", True), ("a?c", "abc", True), ("a?c", "ac", False),
        ("[a-c]x", "bx", True), ("[^a-c]x", "bx", False), ("[^a]x", "bx", True), ("a\\*", "a*", True),
        ("a\\*", "ab", False), ("a.c", "abc", False), ("[\\]]", "]", True), ("[b-a]", "a", False), ("*b*", "abc", True),
        ("a", "a\n", False),
    ],
)  # fmt: skip
def test_patterns_match_whole_names(pattern: str, name: str, matches: bool) -> None:
    """A pattern matches all of a name or nothing."""
    expression = compile_pattern(pattern)
    assert expression is not None
    assert bool(expression.fullmatch(name)) is matches


@pytest.mark.parametrize("pattern", ["[", "[a", "a\\", "[a-", "[]a", "[-a]", "[^]"])
def test_malformed_patterns_are_none(pattern: str) -> None:
    """The caller says what is wrong with them."""
    assert compile_pattern(pattern) is None


def test_only_patterns_have_wildcards() -> None:
    """`]` alone makes a pattern, as in buildx."""
    assert has_wildcards("a]")
    assert not has_wildcards("a.b-c_d")
