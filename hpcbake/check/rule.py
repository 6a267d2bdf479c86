"""What a rule is, and how it gathers many files under one cause."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import field

from hpcbake.check.case import Case
from hpcbake.check.roles import Role
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import Finding, Severity

#: Paths listed per finding; the count is always complete.
_MAX_PATHS = 1000


@dataclass(frozen=True)
class Rule:
    """A rule's stable id, its one-line title, why it matters, and the function that looks for its findings."""

    id: str
    title: str
    about: str
    find: Callable[[Case], Iterator[Finding]]


@dataclass
class Cause:
    """Files that one and the same thing is wrong with. `best` is the file to name: the hottest, then the first."""

    severity: Severity
    origin: str
    paths: list[str] = field(default_factory=list)
    details: dict[str, set[str]] = field(default_factory=dict)
    best: str = ""
    _weight: int = -1

    def add(self, path: str, role: Role | None = None, **details: str) -> None:
        """One more file, and what was seen of it; details of one name are gathered in a set."""
        weight = _WEIGHTS.get(role, 0) if role else 0
        if weight > self._weight or (weight == self._weight and path < self.best):
            self.best, self._weight = path, weight
        if path not in self.paths:
            self.paths.append(path)
        for name, value in details.items():
            self.details.setdefault(name, set()).add(value)

    @property
    def others(self) -> str:
        """` and 37 more files`, or nothing."""
        count = len(self.paths) - 1
        return f" and {count} more file{'s' if count > 1 else ''}" if count else ""

    @property
    def need(self) -> str:
        """The verb that agrees with one or many files."""
        return "need" if len(self.paths) > 1 else "needs"

    def sorted_paths(self) -> tuple[str, ...]:
        return tuple(sorted(self.paths)[:_MAX_PATHS])


class Causes:
    """Causes by whatever makes two files the same case, in the order they were met."""

    def __init__(self) -> None:
        self._causes: dict[Hashable, Cause] = {}

    def cause(self, severity: Severity, origin: str, *key: Hashable) -> Cause:
        return self._causes.setdefault((severity, origin, *key), Cause(severity, origin))

    def cause_of_worst(self, severity: Severity, origin: str, *key: Hashable) -> Cause:
        """The same, but one cause for all severities: it weighs what the worst of its files does."""
        cause = self._causes.setdefault((origin, *key), Cause(severity, origin))
        cause.severity = min(cause.severity, severity, key=_WORST_FIRST.index)
        return cause

    def __iter__(self) -> Iterator[Cause]:
        return iter(self._causes.values())


_WORST_FIRST = (Severity.ERROR, Severity.UNKNOWN, Severity.WARNING, Severity.INFO)
_WEIGHTS = {role: weight for weight, role in enumerate(reversed(Role))}
