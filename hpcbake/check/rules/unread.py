"""What could not be read. It is never taken for fine."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.roles import Role
from hpcbake.check.rule import Causes, Rule
from hpcbake.model.verdict import Finding, Severity


def find(case: Case) -> Iterator[Finding]:
    """Limits that were reached, and damaged ELF files: unknown where something starts them, information elsewhere."""
    for problem in case.image.problems:
        yield Finding(
            rule=RULE.id,
            severity=Severity.UNKNOWN,
            subject=case.image.name,
            message=f"not all of the image could be read: {problem}",
            remedy="rebuild the image if it is damaged; raise the limit if it is merely large",
        )
    causes = Causes()
    for subject in case.cast.unread:
        matters = subject.role is Role.HOT
        problem = subject.elf.problems[0]
        cause = causes.cause(Severity.UNKNOWN if matters else Severity.INFO, case.origin(subject.node), problem)
        cause.add(subject.path, subject.role, problem=problem)
    for cause in causes:
        problem = next(iter(cause.details["problem"]))
        yield Finding(
            rule=RULE.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others}: a damaged ELF file: {problem}",
            remedy="build or copy the file again" if cause.severity is Severity.UNKNOWN else "",
            origin=cause.origin,
            paths=cause.sorted_paths(),
        )


RULE = Rule(
    "unread",
    "part of the image could not be read",
    "A verdict rests on every file that can start. Where one could not be read, the verdict is UNKNOWN, not PASS.",
    find,
)
