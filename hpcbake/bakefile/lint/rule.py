"""What a lint rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import Severity


@dataclass(frozen=True)
class Rule:
    """A rule's stable code and name, how much it weighs, why it is there, what mends it, and its search."""

    code: str
    name: str
    severity: Severity
    title: str
    why: str
    mend: str
    find: Callable[[LintCase], Iterator[Hit]]
