"""HB-LINT-004: a base image named by a tag that can move."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.bases import find_rocky_instead
from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import base_images, digest_of
from hpcbake.model.reference import ImageReference
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target, stage, reference in base_images(case):
        if reference.digest is None and reference.tag not in (None, "latest") and not find_rocky_instead(reference):
            shown = target.image_named(target.base_of(stage))
            yield Hit(stage.span, f"{shown} can be another image tomorrow", _pin(case, reference, shown), target.name)


def _pin(case: LintCase, reference: ImageReference, shown: str) -> str:
    digest = digest_of(case, reference) if case.catalogue is not None else None
    if digest is not None:
        return f"pin it: FROM {shown}@{digest}"
    return f"pin it: FROM {shown}@sha256:…; `hpcbake lint --online` looks the digest up"


RULE = Rule(
    code="HB-LINT-004",
    name="base-floating",
    severity=Severity.INFO,
    title="the base image is named by a tag that can move",
    why="The same Dockerfile then builds different images on different days, and yesterday's cannot be built again.",
    mend="Write the digest behind the tag: `FROM rockylinux/rockylinux:8.10@sha256:…`. With --online lint gives it.",
    find=_find,
)
