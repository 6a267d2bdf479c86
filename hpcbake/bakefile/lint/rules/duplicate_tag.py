"""HB-LINT-018: two targets that push the same tag."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase, find_reference
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    owner: dict[str, str] = {}
    for target in case.targets:
        for tag in target.target.tags:
            reference = find_reference(tag)
            key = str(reference.with_tag(reference.tag or "latest")) if reference else tag
            other = owner.setdefault(key, target.name)
            if other != target.name:
                yield Hit(
                    target.span_of("tags"),
                    f"targets {other} and {target.name} both push {tag}: the last to finish wins",
                    "give each target a tag of its own, for example with the matrix variable in it",
                    target.name,
                )


RULE = Rule(
    code="HB-LINT-018",
    name="duplicate-tag",
    severity=Severity.ERROR,
    title="two targets push the same tag",
    why="They are built at the same time, and which of the two images the tag ends up at is a matter of luck. "
    "`tags` is replaced by `inherits`, not added to, so a child without tags of its own has its parent's.",
    mend="Set tags in each target.",
    find=_find,
)
