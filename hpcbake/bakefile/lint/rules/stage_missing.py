"""HB-LINT-016: a stage that the Dockerfile does not have."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import expand
from hpcbake.bakefile.lint.case import LintCase, TargetCase, from_names
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.suggestion import did_you_mean, nearest
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        wanted = str(target.target.attributes.get("target") or "")
        if wanted and target.stages and target.final_stage is None:
            yield Hit(
                target.span_of("target"),
                f"target {target.name} wants stage {wanted}, which the Dockerfile does not have",
                did_you_mean(wanted, [stage.name for stage in target.stages if stage.name], what="named stage"),
                target.name,
            )
        yield from _misspelt(target)


def _misspelt(target: TargetCase) -> Iterator[Hit]:
    """`--from=bulder`: no stage and no context of that name, but one that is nearly the same."""
    assert target.dockerfile is not None or not target.stages
    for stage in target.stages:
        for instruction in stage.instructions:
            for name in from_names(instruction):
                name = expand(name, target.variables)
                names = [s.name for s in target.stages[: stage.index] if s.name]
                if not name or name.lower() in names or name.lower() in target.contexts or name.isdecimal():
                    continue
                near = nearest(name, names)
                if near is not None and not any(c in name for c in "/:@"):
                    yield Hit(
                        instruction.span,
                        f"there is no stage {name}; BuildKit will look for an image of that name",
                        f"did you mean --from={near}?",
                        target.name,
                    )


RULE = Rule(
    code="HB-LINT-016",
    name="stage-missing",
    severity=Severity.ERROR,
    title="a stage that the Dockerfile does not have",
    why="A misspelt `--from` is taken for an image on Docker Hub: at best the build fails, at worst there is one.",
    mend="Correct the name.",
    find=_find,
)
