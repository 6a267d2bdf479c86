"""HB-LINT-021: the extra package repository by the name of another release."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.bases import find_base
from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import used_instructions
from hpcbake.model.verdict import Severity

_ENABLE = re.compile(r"(?:--set-enabled|--enable(?:repo)?)[= ]\s*([A-Za-z0-9_,-]+)")


def _find(case: LintCase) -> Iterator[Hit]:
    for target, stage, instruction in used_instructions(case):
        if instruction.name != "RUN":
            continue
        reference = target.reference_of(stage)
        base = find_base(reference) if reference else None
        major = base.distribution.rpartition(" ")[2] if base else ""
        for match in _ENABLE.finditer(instruction.script):
            for name in match.group(1).split(","):
                wrong = (name == "crb" and major == "8") or (name.lower() == "powertools" and major in ("9", "10"))
                if wrong and base is not None:
                    right = "powertools" if major == "8" else "crb"
                    yield Hit(
                        instruction.span,
                        f"{base.distribution} has no repository {name}",
                        f"there it is called {right}",
                        target.name,
                    )


RULE = Rule(
    code="HB-LINT-021",
    name="wrong-repository",
    severity=Severity.ERROR,
    title="crb on Enterprise Linux 8, or powertools on 9",
    why="The repository of extra packages changed its name with release 9; dnf says only `No matching repo to modify`.",
    mend="`powertools` on 8, `crb` on 9 and 10; `/usr/bin/crb enable` of epel-release knows both.",
    find=_find,
)
