"""HB-LINT-017: a build argument that no ARG takes."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import arguments_of
from hpcbake.bakefile.lint.case import LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.model.verdict import Severity

#: What BuildKit takes without a declaration.
_PREDECLARED = frozenset(
    {
        "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH", "TARGETPLATFORM",
        "TARGETOS", "TARGETARCH", "TARGETVARIANT", "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT",
        "TARGETSTAGE",
    }
)  # fmt: skip


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        if target.dockerfile is None or not target.stages:
            continue
        declared = _declared(target)
        for name in sorted(target.build_args):
            if name in declared or name.upper() in _PREDECLARED or name.startswith("BUILDKIT_"):
                continue
            yield Hit(
                target.span_of("args"),
                f"target {target.name} passes {name}, which no ARG of {target.dockerfile.source.name} takes",
                did_you_mean(name, declared, what="ARG"),
                target.name,
            )


def _declared(target: TargetCase) -> set[str]:
    assert target.dockerfile is not None
    instructions = [*target.dockerfile.global_args, *(i for stage in target.stages for i in stage.instructions)]
    return {name for i in instructions if i.name == "ARG" for name, _ in arguments_of(i)}


RULE = Rule(
    code="HB-LINT-017",
    name="unused-argument",
    severity=Severity.WARNING,
    title="a build argument that the Dockerfile does not take",
    why="Docker drops it in silence, and the default in the Dockerfile is built: often it is a misspelt name.",
    mend="Add `ARG NAME` to the stage that uses it, or correct the name.",
    find=_find,
)
