"""A lint finding: which rule, where, what, and what to do about it."""

from __future__ import annotations

from hpcbake.bakefile.source import Span
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import Severity


@dataclass(frozen=True)
class Hit:
    """What a rule's search gives: a place, one sentence, a way out, and the target it was met in."""

    span: Span | None
    message: str
    help: str
    target: str = ""


@dataclass(frozen=True)
class LintFinding:
    """A hit with its rule's code, name and severity."""

    code: str
    name: str
    severity: Severity
    message: str
    help: str
    span: Span | None = None
    target: str = ""

    @property
    def path(self) -> str:
        return self.span.path if self.span else ""

    @property
    def line(self) -> int:
        return self.span.line if self.span else 0

    @property
    def column(self) -> int:
        return self.span.column if self.span else 0

    @property
    def last_line(self) -> int:
        """The last line that the finding is about."""
        return self.span.source.line_number(max(self.span.start, self.span.end - 1)) if self.span else 0
