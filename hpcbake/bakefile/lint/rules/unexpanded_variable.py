"""HB-LINT-025: `$NAME` where `${NAME}` was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity

_DOLLAR = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        for key, text in _texts(target):
            if found := _DOLLAR.search(text):
                yield Hit(
                    target.span_of(key),
                    f"target {target.name}: `${found[1]}` in {key} stays as it is written",
                    f'write ${{{found[1]}}}, and declare it: variable "{found[1]}" {{ default = … }}',
                    target.name,
                )


def _texts(target: TargetCase) -> Iterator[tuple[str, str]]:
    """Values in which a dollar sign is never meant."""
    for tag in target.target.tags:
        yield "tags", tag
    for key in ("dockerfile", "context", "target"):
        yield key, str(target.target.attributes.get(key) or "")
    for key in ("cache-from", "cache-to"):
        entries = target.target.attributes.get(key)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield key, str(entry.get("ref") or "")


RULE = Rule(
    code="HB-LINT-025",
    name="unexpanded-variable",
    severity=Severity.ERROR,
    title="a shell's `$NAME` in a bake file",
    why="In HCL only `${NAME}` is replaced; `$NAME` reaches the registry as it stands, which refuses it.",
    mend='`tags = ["${REGISTRY}/app:${TAG}"]`',
    find=_find,
)
