"""HB-LINT-011: files that only root can read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import commands_of, final_instructions
from hpcbake.model.verdict import Severity

_MODE = re.compile(r"[0-7]{3,4}|[ugoa]*[-+=][rwxXst,ugoa+=-]*")
_UMASK = re.compile(r"0?0?[0-7]{2}7")
#: Where only root has to read.
_ROOTS_OWN = re.compile(r"/root(?:/|$)|/etc/(?:shadow|gshadow|sudoers)|/run/|/tmp/|\.ssh")


def _find(case: LintCase) -> Iterator[Hit]:
    for target, _, instruction in final_instructions(case):
        flag = instruction.flag("chmod")
        found = list(_closing_commands(instruction.script)) if instruction.name == "RUN" else []
        if instruction.name in ("COPY", "ADD") and flag is not None and is_closed(flag):
            found.append(f"--chmod={flag}")
        for what in found:
            yield Hit(
                instruction.span,
                f"{what} leaves files that only root can read; on a cluster nobody is root",
                "let everybody read: chmod -R a+rX",
                target.name,
            )


def _closing_commands(script: str) -> Iterator[str]:
    for words in commands_of(script):
        program = next((word for word in words if word in ("chmod", "install", "mkdir", "umask")), "")
        arguments = words[words.index(program) + 1 :] if program else []
        if program == "chmod":
            yield from _closing_chmod(arguments)
        elif program == "umask":
            yield from (f"umask {mask}" for mask in arguments[:1] if _UMASK.fullmatch(mask))
        elif program:
            yield from (f"mode {mode}" for mode in _mode_options(arguments) if is_closed(mode))


def _closing_chmod(arguments: list[str]) -> Iterator[str]:
    modes = [
        a for a in arguments if _MODE.fullmatch(a) and not (a.startswith("-") and a.lstrip("-") in ("R", "v", "f", "c"))
    ]
    paths = " ".join(a for a in arguments if a not in modes)
    if modes and is_closed(modes[0]) and not _ROOTS_OWN.search(paths):
        yield f"chmod {modes[0]}"


def _mode_options(arguments: list[str]) -> Iterator[str]:
    """The modes behind `-m`, `-m0700` and `--mode=0700`."""
    for option, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if option in ("-m", "--mode"):
            yield following
        elif option.startswith(("-m", "--mode=")):
            yield option.removeprefix("--mode=").removeprefix("-m")


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
