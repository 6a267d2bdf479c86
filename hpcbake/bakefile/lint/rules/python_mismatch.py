"""HB-LINT-022: Python packages copied beside another Python."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.lint.case import LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity

_PACKAGES = re.compile(r"python(3\.\d+)/(?:site|dist)-packages")
_INSTALLED = re.compile(r"\bpython(3\.\d+|3\d+)\b")


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        own = _pythons_of(target)
        if not own:
            continue
        for stage in target.final_chain:
            for instruction, _ in target.sources_of(stage):
                match = _PACKAGES.search(instruction.text) if instruction.name == "COPY" else None
                if match and match.group(1) not in own:
                    yield Hit(
                        instruction.span,
                        f"these packages are for Python {match.group(1)}, and the image has {', '.join(sorted(own))}",
                        "use the same minor version of Python in both stages",
                        target.name,
                    )


def _pythons_of(target: TargetCase) -> set[str]:
    """The Pythons that the image has, by its base's name and by what its stages install. Empty: cannot tell."""
    found: set[str] = set()
    for stage in target.final_chain:
        reference = target.reference_of(stage)
        if reference is not None and reference.repository.rpartition("/")[2] == "python":
            match = re.match(r"3\.\d+", reference.tag or "")
            found |= {match.group()} if match else set()
        for instruction in stage.instructions:
            if instruction.name == "RUN" and "install" in instruction.script:
                found |= {_dotted(name) for name in _INSTALLED.findall(instruction.script)}
    return found


def _dotted(version: str) -> str:
    return version if "." in version else f"3.{version[1:]}"


RULE = Rule(
    code="HB-LINT-022",
    name="python-mismatch",
    severity=Severity.ERROR,
    title="Python packages copied beside another Python",
    why="A compiled extension is made for one minor version: `.cpython-311-` is not even looked at by Python 3.9.",
    mend="Build and run with the same minor version.",
    find=_find,
)
