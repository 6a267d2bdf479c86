"""HB-LINT-011: files that only root can read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import final_instructions
from hpcbake.model.verdict import Severity

_CHMOD = re.compile(r"\bchmod\s+((?:-\S+\s+)*)([0-7]{3,4}|[ugoa]*[-+=][rwxXst,ugoa+=-]*)\s+([^\n;&|]+)")
_INSTALL_MODE = re.compile(r"\b(?:install|mkdir)\b[^\n;&|]*?\s(?:-m\s*|--mode[= ])([0-7]{3,4})\b")
_UMASK = re.compile(r"\bumask\s+0?(0?[0-7]{2}7)\b")
#: Where only root has to read.
_ROOTS_OWN = re.compile(r"/root(?:/|$)|/etc/(?:shadow|gshadow|sudoers)|/run/|/tmp/|\.ssh")


def _find(case: LintCase) -> Iterator[Hit]:
    for target, _, instruction in final_instructions(case):
        flag = instruction.flag("chmod")
        found = []
        if instruction.name in ("COPY", "ADD") and flag is not None and is_closed(flag):
            found.append(f"--chmod={flag}")
        if instruction.name == "RUN":
            found += _closing_commands(instruction.script)
        for what in found:
            yield Hit(
                instruction.span,
                f"{what} leaves files that only root can read; on a cluster nobody is root",
                "let everybody read: chmod -R a+rX",
                target.name,
            )


def _closing_commands(script: str) -> list[str]:
    found = []
    for match in _CHMOD.finditer(script):
        if is_closed(match.group(2)) and not _ROOTS_OWN.search(match.group(3)):
            found.append(f"chmod {match.group(2)}")
    found += [f"mode {mode.group(1)}" for mode in _INSTALL_MODE.finditer(script) if is_closed(mode.group(1))]
    found += [f"umask {mask.group(1)}" for mask in _UMASK.finditer(script)]
    return found


def is_closed(mode: str) -> bool:
    """Whether a mode takes reading away from others."""
    if mode.isdecimal():
        return len(mode) >= 3 and not int(mode[-1]) & 4
    for clause in mode.split(","):
        match = re.fullmatch(r"([ugoa]*)([-=])([rwxXst]*)", clause)
        if match is None:
            continue
        who, operator, bits = match.groups()
        touches_others = not who or "o" in who or "a" in who
        if touches_others and (("r" in bits) if operator == "-" else ("r" not in bits)):
            return True
    return False


RULE = Rule(
    code="HB-LINT-011",
    name="unreadable-mode",
    severity=Severity.WARNING,
    title="files that only root can read",
    why="Apptainer runs as the user who starts it, not as root: what is mode 0700 or 0600 in the image cannot be read.",
    mend="`chmod -R a+rX` what users need, or leave the modes alone.",
    find=_find,
)
