"""HB-LINT-005: a target that is not built for linux/amd64."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import expand
from hpcbake.bakefile.lint.case import LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity

_AMD64 = frozenset({"linux/amd64", "linux/x86_64", "linux/x86-64", "amd64", "x86_64", "x86-64", "linux"})


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        platforms = [part for text in target.target.platforms for part in text.split(",")]
        if platforms and not any(_is_amd64(platform) for platform in platforms) and target.target.tags:
            yield Hit(
                target.span_of("platforms"),
                f"target {target.name} is built for {', '.join(platforms)} and not for linux/amd64",
                "add linux/amd64: the sites' nodes run nothing else",
                target.name,
            )
        yield from _wrong_stages(target)


def _wrong_stages(target: TargetCase) -> Iterator[Hit]:
    for stage in target.final_chain:
        platform = expand(stage.platform or "", target.variables)
        if platform and not _is_amd64(platform) and "$" not in (stage.platform or ""):
            yield Hit(
                stage.span,
                f"the image's own stage is fixed to {platform}",
                "remove --platform: the target's platforms decide",
                target.name,
            )


def _is_amd64(platform: str) -> bool:
    return platform.lower() in _AMD64 or platform.lower().startswith("linux/amd64/")


RULE = Rule(
    code="HB-LINT-005",
    name="platform-not-amd64",
    severity=Severity.ERROR,
    title="a target that ships is not built for linux/amd64",
    why="Compute nodes are x86-64. An image for another platform ends in `exec format error` there, which is what an "
    "unqualified build on an Apple laptop gives.",
    mend='Set `platforms = ["linux/amd64"]`, or leave platforms out: hpcbake then asks for it.',
    find=_find,
)
