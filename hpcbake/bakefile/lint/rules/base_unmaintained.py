"""HB-LINT-002: a base image that no longer gets security fixes."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.bases import find_base, is_official
from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import base_images
from hpcbake.model.reference import ImageReference
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target, stage, reference in base_images(case):
        if _is_stale_rocky(reference):
            yield Hit(
                stage.span,
                f"Docker Hub's official {reference.repository.removeprefix('library/')}:{reference.tag} has not been "
                "rebuilt since November 2023",
                f"use docker.io/rockylinux/rockylinux:{reference.tag}, which is",
                target.name,
            )
            continue
        base = find_base(reference)
        if base is not None and base.end is not None and base.end < case.today:
            yield Hit(
                stage.span,
                f"{base.distribution} has had no security fixes since {base.end}",
                "move to a release that is maintained",
                target.name,
            )


def _is_stale_rocky(reference: ImageReference) -> bool:
    if not is_official(reference) or reference.repository != "library/rockylinux":
        return False
    # Later releases are not stale but missing: another rule says that.
    return (reference.tag or "").split("-")[0] in {
        "8",
        "8.4",
        "8.5",
        "8.6",
        "8.7",
        "8.8",
        "8.9",
        "9",
        "9.0",
        "9.1",
        "9.2",
        "9.3",
    }


RULE = Rule(
    code="HB-LINT-002",
    name="base-unmaintained",
    severity=Severity.WARNING,
    title="the base image gets no security fixes any more",
    why="Images are pulled by many and kept for years on a cluster; what is in them when they are built stays in them.",
    mend="Move to a maintained release. For Rocky 8 that is `rockylinux/rockylinux:8.10`; `rockylinux:8` is of 2023.",
    find=_find,
)
