"""HB-LINT-012: setuid bits and file capabilities, which a cluster does not honour."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import final_instructions
from hpcbake.model.verdict import Severity

_SETUID = re.compile(r"\bchmod\s+(?:-\S+\s+)*(?:[2467][0-7]{3}|[ugoa]*[+=][rwxX]*s[rwxX]*)\s|\bsetcap\s")
_MODE = re.compile(r"0?[2467][0-7]{3}|[ugoa]*[+=][rwxX]*s[rwxX]*")


def _find(case: LintCase) -> Iterator[Hit]:
    for target, _, instruction in final_instructions(case):
        flag = instruction.flag("chmod") or ""
        in_run = instruction.name == "RUN" and _SETUID.search(instruction.script)
        if in_run or (instruction.name in ("COPY", "ADD") and _MODE.fullmatch(flag)):
            yield Hit(
                instruction.span,
                "setuid bits and file capabilities have no effect in a container on a cluster",
                "let the program work without more rights, or leave it out",
                target.name,
            )


RULE = Rule(
    code="HB-LINT-012",
    name="setuid-lost",
    severity=Severity.WARNING,
    title="setuid bits or file capabilities",
    why="Containers are mounted nosuid on clusters; a program that counts on these bits fails there and only there.",
    mend="Run without: most such programs (ping, mount helpers, su) have no place in a job.",
    find=_find,
)
