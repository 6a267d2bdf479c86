"""HB-LINT-009: a secret in ARG or ENV."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import Instruction, arguments_of, environment_of
from hpcbake.bakefile.lint.case import LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import used_instructions
from hpcbake.model.verdict import Severity

_NAME = re.compile(
    r"(?:^|[_.-])(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_?KEY(?:_?ID)?|PRIVATE_?KEY|CREDENTIALS?|PAT|PWD)"
    r"(?:$|[_.-](?!.*(?:FILE|PATH|DIR|ID|NAME|URL|LIFETIME|TTL|TYPE)$))",
    re.IGNORECASE,
)
#: Names that only look like one.
_HARMLESS = re.compile(r"^(?:PWD|OLDPWD)$|(?:_FILE|_PATH|_DIR|_NAME|_URL)$", re.IGNORECASE)
#: Values that are secrets whatever they are called.
_VALUE = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20}"
    r"|xox[baprs]-[A-Za-z0-9-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----|hf_[A-Za-z0-9]{30,}"
)


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable holds a secret, by its name or by the shape of its value."""
    if _VALUE.search(value):
        return True
    return bool(_NAME.search(name)) and not _HARMLESS.search(name)


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        if target.dockerfile is not None:
            for argument in target.dockerfile.global_args:
                yield from _in_instruction(target, argument)
        for name, value in target.build_args.items():
            if value and looks_secret(name, value):
                yield Hit(
                    target.span_of("args"),
                    f"target {target.name} passes {name} as a build argument, which whoever has the image can read",
                    f'pass it as a secret: secret = ["id={name.lower()},env={name}"]',
                    target.name,
                )
    for target, _, instruction in used_instructions(case):
        yield from _in_instruction(target, instruction)


def _in_instruction(target: TargetCase, instruction: Instruction) -> Iterator[Hit]:
    if instruction.name == "ARG":
        pairs = [(name, default or "") for name, default in arguments_of(instruction)]
    elif instruction.name == "ENV":
        pairs = [(name, value) for name, value in environment_of(instruction) if value]
    else:
        return
    for name, value in pairs:
        if looks_secret(name, value):
            yield Hit(
                instruction.span,
                f"{instruction.name} {name} puts a secret into the image's history",
                f"mount it instead: RUN --mount=type=secret,id={name.lower()} …, and read /run/secrets/{name.lower()}",
                target.name,
            )


RULE = Rule(
    code="HB-LINT-009",
    name="secret-in-image",
    severity=Severity.ERROR,
    title="a secret in ARG, ENV or a target's args",
    why="Arguments and variables stay in the image's configuration and in its provenance; a SIF is readable by all.",
    mend="Use `secret` in the bake file and `RUN --mount=type=secret` in the Dockerfile.",
    find=_find,
)
