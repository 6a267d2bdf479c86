"""HB-LINT-019: an ignore comment that does not do what its author thinks.

Its findings come from applying the comments (`findings_of`), after all other rules have spoken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.ignores import Ignore
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.model.verdict import Severity


def _find(_case: LintCase) -> Iterator[Hit]:
    return iter(())


def findings_of(ignores: Iterable[Ignore], unused: Collection[Ignore], known: Collection[str]) -> Iterator[Hit]:
    """What is odd about `ignores`: no reason, an unknown rule, nothing to ignore."""
    for ignore in ignores:
        strange = [rule for rule in ignore.rules if rule not in known]
        if strange:
            yield Hit(ignore.span, f"there is no rule {strange[0]}", did_you_mean(strange[0], known, what="rule"))
        elif not ignore.reason:
            yield Hit(ignore.span, "this ignores a finding without saying why", "write the reason behind the code")
        elif ignore in unused:
            yield Hit(ignore.span, f"there is nothing here for {', '.join(ignore.rules)} to find", "remove the comment")


RULE = Rule(
    code="HB-LINT-019",
    name="ignore-comment",
    severity=Severity.WARNING,
    title="an ignore comment without a reason, a rule, or anything to ignore",
    why="A comment that outlives what it was for hides the next mistake in the same place.",
    mend="`# hpcbake: ignore=base-floating the mirror keeps every version` above the line.",
    find=_find,
)
