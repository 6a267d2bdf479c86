"""HB-LINT-010: the whole build context is copied, and nothing says what not to."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import used_instructions
from hpcbake.bakefile.places import is_remote_url
from hpcbake.model.verdict import Severity

_EVERYTHING = frozenset({".", "./", "/", "*", "./*"})


def _find(case: LintCase) -> Iterator[Hit]:
    for target, _, instruction in used_instructions(case):
        if instruction.name not in ("COPY", "ADD") or instruction.flag("from") is not None:
            continue
        context = target.target.context
        if is_remote_url(context) or not _EVERYTHING.intersection(instruction.words[:-1]):
            continue
        folder = target.folder / context
        own = target.folder / context / f"{target.target.dockerfile}.dockerignore"
        if folder.is_dir() and not (folder / ".dockerignore").is_file() and not own.is_file():
            yield Hit(
                instruction.span,
                f"this copies all of {context}, and there is no .dockerignore",
                f"write {context.rstrip('/')}/.dockerignore with .git, build results and data in it",
                target.name,
            )


RULE = Rule(
    code="HB-LINT-010",
    name="dockerignore-missing",
    severity=Severity.WARNING,
    title="the whole context is copied without a .dockerignore",
    why="`.git`, credentials, data and old build results end up in the image, and every change to any of them throws "
    "the cache away.",
    mend="Write a .dockerignore, or copy the folders that are needed.",
    find=_find,
)
