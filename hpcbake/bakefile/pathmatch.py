"""Go's `path.Match`: the wildcards that names are matched with (`*`, `?`, `[a-c]`, `[^x]`, and `\\` to escape)."""

from __future__ import annotations

import re
from functools import lru_cache


def has_wildcards(text: str) -> bool:
    """Whether buildx treats `text` as a pattern rather than as a name."""
    return any(c in text for c in "*?[]")


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """`pattern` as a regular expression to `fullmatch` with, or None when the pattern is malformed."""
    segments: list[list[str]] = [[]]
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            segments.append([])
        elif character == "?":
            segments[-1].append("[^/]")
        elif character == "[":
            character_class = _class(pattern, at)
            if character_class is None:
                return None
            text, at = character_class
            segments[-1].append(text)
        elif character == "\\":
            if at == len(pattern):
                return None
            segments[-1].append(re.escape(pattern[at]))
            at += 1
        else:
            segments[-1].append(re.escape(character))
    return re.compile(_expression(["".join(segment) for segment in segments]), re.DOTALL)


def _expression(segments: list[str]) -> str:
    """What stands between the stars, put together.

    All pieces have one length, so the first place where a segment fits is as good as any: it is taken for good (a
    look-ahead never goes back), or a name could keep a pattern of many stars busy for years.
    """
    first, *rest = segments
    if not rest:
        return first
    *middle, last = [segment for segment in rest[:-1] if segment] + rest[-1:]
    fixed = "".join(f"(?=([^/]*?{segment}))\\{number}" for number, segment in enumerate(middle, 1))
    return f"{first}{fixed}[^/]*{last}"


def _class(pattern: str, at: int) -> tuple[str, int] | None:
    """The character class that starts after `[`, and where it ends; None when it is malformed."""
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    while True:
        if at >= len(pattern):
            return None
        if pattern[at] == "]" and ranges:
            return f"[{'^' if negated else ''}{''.join(ranges)}]", at + 1
        low = _class_character(pattern, at)
        if low is None:
            return None
        first, at = low
        last = first
        if pattern[at : at + 1] == "-":
            high = _class_character(pattern, at + 1)
            if high is None:
                return None
            last, at = high
        # A range that runs backwards matches nothing in Go; Python would call it an error.
        ranges.append(f"{re.escape(first)}-{re.escape(last)}" if first <= last else r"[^\s\S]"[1:-1])


def _class_character(pattern: str, at: int) -> tuple[str, int] | None:
    """One character of a class, un-escaped, and where the next starts."""
    character = pattern[at : at + 1]
    if character in ("", "-", "]"):
        return None
    if character == "\\":
        character = pattern[at + 1 : at + 2]
        return (character, at + 2) if character else None
    return character, at + 1
