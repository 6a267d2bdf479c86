"""HB-LINT-008: files of a stage with a newer C library copied into an image with an older one."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import Stage
from hpcbake.bakefile.lint.bases import Base, find_base
from hpcbake.bakefile.lint.case import LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        for stage in target.final_chain:
            own = _base_of(target, stage)
            for instruction, source in target.sources_of(stage):
                other = _base_of(target, source)
                if instruction.name == "COPY" and own is not None and other is not None:
                    message = _mismatch(own, other)
                    if message:
                        yield Hit(
                            instruction.span,
                            f"{message}: programs and libraries of stage {source.label} may not start here",
                            f"build stage {source.label} on {own.distribution} too, or link statically",
                            target.name,
                        )


def _base_of(target: TargetCase, stage: Stage) -> Base | None:
    reference = target.reference_of(stage)
    return find_base(reference) if reference else None


def _mismatch(own: Base, other: Base) -> str | None:
    if own.libc != other.libc:
        return f"{other.distribution} has {other.libc} and {own.distribution} has {own.libc}"
    if own.glibc is None or other.glibc is None or own.at_least or other.glibc <= own.glibc:
        return None
    more = " or newer" if other.at_least else ""
    return f"{other.distribution} has glibc {other.glibc}{more} and {own.distribution} has {own.glibc}"


RULE = Rule(
    code="HB-LINT-008",
    name="newer-glibc",
    severity=Severity.WARNING,
    title="a builder stage with a newer C library than the image",
    why="A program asks for the symbol versions of the glibc that it was linked with: built on Debian 12 it wants "
    "GLIBC_2.36, and an image on Rocky 8 has 2.28. `hpcbake check` looks at the files themselves; this only at names.",
    mend="Use the same base in both stages, or wheels for manylinux_2_28 with --only-binary, or a static program.",
    find=_find,
)
