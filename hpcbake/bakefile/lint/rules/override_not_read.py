"""HB-LINT-024: a file that looks like an override and that nobody reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity

_LOOKS_LIKE = re.compile(
    r"(?:.*bake.*)?overrides?\.(?:hcl|json)|.*[._-]overrides?\.(?:hcl|json)|.*overrides?.*\.hcl", re.I
)
_READ_BY_ITSELF = ("docker-bake.override.hcl", "docker-bake.override.json")


def _find(case: LintCase) -> Iterator[Hit]:
    read = {PurePath(name).name for name in case.plan.files}
    # Who names files names all of them: only a look-up by name leaves one out unseen.
    if not read & {"docker-bake.hcl", "docker-bake.json"}:
        return
    try:
        names = sorted(path.name for path in case.folder.iterdir() if path.is_file())
    except OSError:
        return
    first = case.plan.files[0]
    for name in names:
        if name not in read and name not in _READ_BY_ITSELF and _LOOKS_LIKE.fullmatch(name):
            span = case.targets[0].span if case.targets else None
            yield Hit(
                span,
                f"{name} is not read: only {_READ_BY_ITSELF[0]} is, by its name",
                f"rename it, or name both files: -f {first} -f {name}",
            )


RULE = Rule(
    code="HB-LINT-024",
    name="override-not-read",
    severity=Severity.WARNING,
    title="a file that looks like an override and is not read",
    why="Beside the bake file `docker-bake.override.hcl` and `docker-bake.override.json` are read, and no other name.",
    mend="Rename it to `docker-bake.override.hcl`, or name every file with `-f`.",
    find=_find,
)
