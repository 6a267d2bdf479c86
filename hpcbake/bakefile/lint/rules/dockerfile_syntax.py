"""HB-LINT-015: a Dockerfile that BuildKit will not read."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        dockerfile = target.dockerfile
        if dockerfile is None:
            continue
        for problem in dockerfile.problems:
            yield Hit(problem.span, problem.message, problem.help, target.name)
        if not dockerfile.stages and not dockerfile.problems:
            yield Hit(
                target.span_of("dockerfile"),
                f"{dockerfile.source.name} has no FROM",
                "start it with FROM IMAGE",
                target.name,
            )


RULE = Rule(
    code="HB-LINT-015",
    name="dockerfile-syntax",
    severity=Severity.ERROR,
    title="the Dockerfile cannot be read",
    why="An unknown instruction is most often a continued line that lost its backslash.",
    mend="See the message.",
    find=_find,
)
