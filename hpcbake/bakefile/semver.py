"""Versions against constraints, as `semvercmp` compares them (the rules of Go's Masterminds/semver 3)."""

from __future__ import annotations

import re

from hpcbake.model.late import dataclass

_VERSION = re.compile(
    r"v?(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?:\.(0|[1-9][0-9]*))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
_WILD = r"(?:0|[1-9][0-9]*|[xX*])"
_CLAUSE = re.compile(
    rf"\s*(=|!=|>=|=>|<=|=<|>|<|~>|~|\^|)\s*v?({_WILD})(?:\.({_WILD}))?(?:\.({_WILD}))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?\s*,?"
)
_HYPHEN = re.compile(r"\s*(v?[0-9][^\s]*)\s+-\s+(v?[0-9][^\s]*)\s*")


class SemverError(ValueError):
    """The text is no version, or no constraint."""


@dataclass(frozen=True)
class Version:
    """`major.minor.patch-prerelease`; build metadata does not count."""

    numbers: tuple[int, int, int]
    prerelease: str = ""

    def compare(self, other: Version) -> int:
        """-1, 0 or 1. A prerelease comes before its release."""
        if self.numbers != other.numbers:
            return -1 if self.numbers < other.numbers else 1
        if self.prerelease == other.prerelease:
            return 0
        if not self.prerelease or not other.prerelease:
            return 1 if not self.prerelease else -1
        mine, theirs = _identifiers(self.prerelease), _identifiers(other.prerelease)
        return -1 if mine < theirs else 1


def _identifiers(prerelease: str) -> list[tuple[int, int, str]]:
    """Numeric identifiers compare as numbers and come before words."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in prerelease.split(".")]


def parse_version(text: str) -> Version:
    """Read `1.2.3-rc.1`, `v1.2` or `3`. Raises SemverError."""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise SemverError(f'"{text}" is not a semantic version')
    major, minor, patch, prerelease = match.groups()
    return Version((int(major), int(minor or 0), int(patch or 0)), prerelease or "")


def satisfies(version_text: str, constraint: str) -> bool:
    """Does the version meet the constraint (`>= 3.20, < 4`, `~1.2`, `1.x || 2.x`)? Raises SemverError."""
    version = parse_version(version_text)
    alternatives = [_clauses(part, constraint) for part in constraint.split("||")]
    return any(all(clause.holds(version) for clause in clauses) for clauses in alternatives)


def _clauses(text: str, whole: str) -> list[_Clause]:
    text = _HYPHEN.sub(r" >=\1 <=\2 ", text)
    clauses: list[_Clause] = []
    at = 0
    while at < len(text):
        match = _CLAUSE.match(text, at)
        if match is None:
            if not text[at:].strip():
                break
            raise SemverError(f'"{whole}" is not a version constraint')
        clauses.append(_clause(*match.groups()))
        at = match.end()
    if not clauses:
        raise SemverError(f'"{whole}" is not a version constraint')
    return clauses


def _clause(operator: str, major: str, minor: str | None, patch: str | None, prerelease: str | None) -> _Clause:
    parts = [major, minor, patch]
    given = next((n for n, part in enumerate(parts) if part is None or part in "xX*"), 3)
    numbers = [int(str(part)) if n < given else 0 for n, part in enumerate(parts)]
    base = Version((numbers[0], numbers[1], numbers[2]), prerelease or "")
    return _Clause({"=>": ">=", "=<": "<=", "~>": "~", "": "="}.get(operator, operator), base, given)


@dataclass(frozen=True)
class _Clause:
    """One comparison; `given` numbers of the version were written, the rest is free."""

    operator: str
    base: Version
    given: int

    def holds(self, version: Version) -> bool:
        if version.prerelease and not self.base.prerelease:
            return False
        if self.operator == "!=":
            return not self._same(version)
        if self.operator == "=":
            return self._same(version)
        if self.operator == "~":
            return version.compare(self.base) >= 0 and self._shares(version, min(self.given, 2))
        if self.operator == "^":
            return self._caret(version)
        order = version.compare(self.base)
        if self.operator == ">":
            return order > 0 and (self.given == 3 or not self._shares(version, self.given))
        if self.operator == ">=":
            return order >= 0
        if self.operator == "<":
            return order < 0
        return order <= 0 or (self.given < 3 and self._shares(version, self.given))

    def _same(self, version: Version) -> bool:
        if self.given < 3:
            return version.compare(self.base) >= 0 and self._shares(version, self.given)
        return version.compare(self.base) == 0

    def _shares(self, version: Version, count: int) -> bool:
        return version.numbers[:count] == self.base.numbers[:count]

    def _caret(self, version: Version) -> bool:
        """No change of the leftmost number that is not zero."""
        if version.compare(self.base) < 0:
            return False
        leading = next((n for n in range(self.given) if self.base.numbers[n]), self.given - 1)
        return self._shares(version, max(leading + 1, 0))
