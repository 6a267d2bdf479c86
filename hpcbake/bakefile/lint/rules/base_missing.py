"""HB-LINT-001: a base image that its registry does not have."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.bases import find_rocky_instead
from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import base_images, digest_of
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target, stage, reference in base_images(case):
        instead = find_rocky_instead(reference)
        if instead:
            yield Hit(
                stage.span,
                f"{reference.repository.removeprefix('library/')}:{reference.tag} was never published on Docker Hub's "
                "official rockylinux, which ended with 8.9 and 9.3",
                f"use {instead}",
                target.name,
            )
        elif case.catalogue is not None and digest_of(case, reference) is None:
            yield Hit(
                stage.span,
                f"the registry has no image {reference}",
                "check the spelling of its name and tag, and that you may read it",
                target.name,
            )


RULE = Rule(
    code="HB-LINT-001",
    name="base-missing",
    severity=Severity.ERROR,
    title="the base image does not exist",
    why="`rockylinux:8.10` stands in many guides, but Docker Hub's official rockylinux ended with 8.9 and 9.3 in 2023. "
    "With --online every base image is looked up in its registry.",
    mend="Take `rockylinux/rockylinux:8.10`, the image that the Rocky project publishes itself.",
    find=_find,
)
