"""Which files of a build context stay behind: the rules of `.dockerignore`, as BuildKit reads them. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from hpcbake.model.late import dataclass


@dataclass(frozen=True)
class IgnoreRule:
    """One line: what it matches, and whether it takes files back (`!`)."""

    expression: re.Pattern[str]
    takes_back: bool


@dataclass(frozen=True)
class Ignores:
    """All lines of one file, in order; the last that fits a path or a folder above it decides."""

    rules: tuple[IgnoreRule, ...] = ()

    def excludes(self, path: str) -> bool:
        """Does this file (relative, with `/`) stay behind?"""
        places = [path, *_folders_above(path)]
        excluded = False
        for rule in self.rules:
            if rule.takes_back == excluded and any(rule.expression.fullmatch(place) for place in places):
                excluded = not rule.takes_back
        return excluded

    def excludes_all_below(self, folder: str) -> bool:
        """Does everything below stay behind, so that nobody needs to look? Never with a line that takes back."""
        return not any(rule.takes_back for rule in self.rules) and self.excludes(folder)


def parse_ignores(text: str) -> Ignores:
    """Read a `.dockerignore`. A pattern that cannot be read matches nothing."""
    rules = (_rule(line) for line in text.removeprefix("\ufeff").splitlines() if not line.startswith("#"))
    return Ignores(tuple(rule for rule in rules if rule is not None))


def _rule(line: str) -> IgnoreRule | None:
    pattern = line.strip()
    takes_back = pattern.startswith("!")
    pattern = pattern.removeprefix("!").strip()
    if not pattern:
        return None
    pattern = posixpath.normpath(pattern).lstrip("/")
    if pattern in ("", "."):  # the root itself is never left out
        return None
    try:
        return IgnoreRule(re.compile(_expression(pattern), re.DOTALL), takes_back)
    except re.error:
        return None


def _expression(pattern: str) -> str:
    """`*` stays within a folder, `**` does not; `?`, classes and `\\` as in shells."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
                parts.append("(?:.*/)?")
            else:
                parts.append(".*")
        elif character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "\\" and at < len(pattern):
            parts.append(re.escape(pattern[at]))
            at += 1
        elif character == "[" and (end := pattern.find("]", at + 1)) > 0:
            parts.append(_class(pattern[at:end]))
            at = end + 1
        else:
            parts.append(re.escape(character))
    return "".join(parts)


def _class(inside: str) -> str:
    negated = inside.startswith("^")
    escaped = inside.removeprefix("^").replace("[", "\\[").replace("&", "\\&").replace("~", "\\~").replace("|", "\\|")
    return f"[{'^' if negated else ''}{escaped}]"


def _folders_above(path: str) -> Sequence[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
