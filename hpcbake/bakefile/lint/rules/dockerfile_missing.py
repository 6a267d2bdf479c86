"""HB-LINT-014: a target whose Dockerfile is not there."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        if target.missing:
            yield Hit(
                target.spans.get("dockerfile") or target.span_of("context"),
                f"target {target.name}: {target.missing}",
                "paths of Dockerfiles start at the target's context",
                target.name,
            )


RULE = Rule(
    code="HB-LINT-014",
    name="dockerfile-missing",
    severity=Severity.ERROR,
    title="the Dockerfile of a target is not there",
    why="`dockerfile` is looked up inside `context`, which surprises when both name a folder.",
    mend="Correct the path, or the context.",
    find=_find,
)
