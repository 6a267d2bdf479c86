"""HB-LINT-007: `dnf module enable python311`, a module that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import commands_of, used_instructions
from hpcbake.model.verdict import Severity

_PROGRAMS = frozenset({"dnf", "yum", "microdnf"})
_MODULE_VERBS = frozenset({"enable", "install", "reset", "switch-to"})
#: Up to 3.9 Python is a module on Enterprise Linux 8; from 3.11 on it is a package with a dot in its name.
_MODULE = re.compile(r"python:?3\.?(1\d)(?:[:/].*)?")
_PACKAGE = re.compile(r"python3(1\d)(-[a-z0-9-]+)?")


def _find(case: LintCase) -> Iterator[Hit]:
    for target, _, instruction in used_instructions(case):
        if instruction.name != "RUN":
            continue
        for words in commands_of(instruction.script):
            for message, help_line in _problems(words):
                yield Hit(instruction.span, message, help_line, target.name)


def _problems(words: list[str]) -> Iterator[tuple[str, str]]:
    if not _PROGRAMS.intersection(words):
        return
    is_module = "module" in words and bool(_MODULE_VERBS.intersection(words))
    for word in words:
        module, package = _MODULE.fullmatch(word), _PACKAGE.fullmatch(word)
        if is_module and (module or word.startswith("python3.1")):
            minor = module.group(1) if module else word.partition(":")[0].partition(".")[2]
            yield (
                f"there is no module for Python 3.{minor} on Enterprise Linux: it is a plain package",
                f"write dnf install -y python3.{minor} python3.{minor}-devel, without a module",
            )
        elif package and not is_module and "install" in words:
            yield (
                f"there is no package {word} on Enterprise Linux",
                f"its name has a dot: python3.{package.group(1)}{package.group(2) or ''}",
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
