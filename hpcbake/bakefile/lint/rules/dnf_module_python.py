"""HB-LINT-007: `dnf module enable python311`, a module that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import used_instructions
from hpcbake.model.verdict import Severity

#: Up to 3.9 Python is a module on Enterprise Linux 8; from 3.11 on it is a package.
_MODULE = re.compile(
    r"\b(?:dnf|yum|microdnf)\b[^\n;&|]*\bmodule\s+(?:-\S+\s+)*(?:enable|install|reset|switch-to)\s+([^\n;&|]*)"
)
_PYTHON = re.compile(r"\bpython:?3\.?(1\d)\b")
_PACKAGE = re.compile(r"\b(?:dnf|yum|microdnf)\b[^\n;&|]*\binstall\b([^\n;&|]*)")
_BAD_PACKAGE = re.compile(r"(?:^|\s)(python3(1\d))(-[a-z]+)?(?=\s|$)")


def _find(case: LintCase) -> Iterator[Hit]:
    for target, _, instruction in used_instructions(case):
        if instruction.name != "RUN":
            continue
        for match in _MODULE.finditer(instruction.script):
            python = _PYTHON.search(match.group(1))
            if python:
                minor = python.group(1)
                yield Hit(
                    instruction.span,
                    f"there is no module for Python 3.{minor} on Enterprise Linux: it is a plain package",
                    f"write dnf install -y python3.{minor} python3.{minor}-devel, without a module",
                    target.name,
                )
        for match in _PACKAGE.finditer(instruction.script):
            package = _BAD_PACKAGE.search(match.group(1))
            if package:
                yield Hit(
                    instruction.span,
                    f"there is no package {package.group(0).strip()} on Enterprise Linux",
                    f"its name has a dot: python3.{package.group(2)}{package.group(3) or ''}",
                    target.name,
                )


RULE = Rule(
    code="HB-LINT-007",
    name="dnf-module-python",
    severity=Severity.ERROR,
    title="a Python module or package that Enterprise Linux does not have",
    why="On Rocky 8, Python 2.7 to 3.9 are modules; 3.11 and 3.12 are plain packages (since 8.8 and 8.10). "
    "`dnf module enable python311` stands in many guides and fails everywhere.",
    mend="`dnf install -y python3.11 python3.11-devel`",
    find=_find,
)
