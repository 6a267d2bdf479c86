"""HB-LINT-003: a base image without a tag, or with `latest`."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import base_images
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target, stage, reference in base_images(case):
        if reference.digest is None and reference.tag in (None, "latest"):
            shown = target.image_named(target.base_of(stage))
            yield Hit(
                stage.span,
                f"{shown} is whatever is newest on the day of the build"
                if reference.tag
                else f"{shown} has no tag, which means latest: whatever is newest on the day of the build",
                "name the release that you tested",
                target.name,
            )


RULE = Rule(
    code="HB-LINT-003",
    name="base-latest",
    severity=Severity.WARNING,
    title="the base image is `latest`",
    why="A new major release of the base changes glibc, Python and compilers overnight, and nobody sees when.",
    mend="Name the release: `rockylinux/rockylinux:8.10`, better with its digest.",
    find=_find,
)
