"""Programs whose loader is not in the image: `No such file or directory` for a file that is there."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case, Start
from hpcbake.check.rule import Cause, Causes, Rule
from hpcbake.image.tree import Folder
from hpcbake.model.verdict import Finding, Severity


def find(case: Case) -> Iterator[Finding]:
    """Programs with an interpreter that is missing or of the wrong kind."""
    causes = Causes()
    for start in case.starts:
        problem = start.closure.interpreter_problem
        if problem:
            severity = _severity(start)
            cause = causes.cause_of_worst(severity, case.origin(start.subject.node), start.closure.interpreter)
            cause.add(
                start.subject.path,
                start.subject.role,
                interpreter=start.closure.interpreter,
                problem=problem,
                machine=start.subject.elf.machine_name,
            )
    for cause in causes:
        interpreter = next(iter(cause.details["interpreter"]))
        problem = next(iter(cause.details["problem"]))
        covered = _find_covering_folder(case, interpreter)
        yield Finding(
            rule=RULE.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} cannot start: the loader {problem}" + (covered[0] if covered else ""),
            remedy=covered[1] if covered else _remedy(case, interpreter, cause),
            origin=cause.origin,
            paths=cause.sorted_paths(),
            evidence={"interpreter": interpreter, "problem": problem, "files": len(cause.paths)},
        )


def _find_covering_folder(case: Case, interpreter: str) -> tuple[str, str] | tuple[()]:
    """What to say and do when a layer laid a folder over the link /lib64 (or /lib); empty in all other cases."""
    top = "/" + interpreter.split("/")[1]
    found = case.image.tree.find(top, follow=False)
    if found is None or not isinstance(found.node, Folder) or not case.image.tree.find_file(f"/usr{interpreter}"):
        return ()
    origin = case.image.origin(found.node.layer) or "an upper layer"
    return (
        f"; it lies at /usr{interpreter}, but {top} is a folder (from {origin}) where it should be a link to usr{top}",
        f"in what is copied, put files into usr{top}/ instead of {top.strip('/')}/, so that the link stays",
    )


def _severity(start: Start) -> Severity:
    if start.is_hot:
        return Severity.ERROR
    # Distributions keep a few 32-bit helpers (of perf, of debuggers) without the libraries to run them.
    return Severity.WARNING if start.subject.elf.bits == 64 else Severity.INFO


def _remedy(case: Case, interpreter: str, cause: Cause) -> str:
    if "musl" in interpreter:
        return "it was built on Alpine (musl): build it in a stage with the final image's base, or link it statically"
    if "i386" in cause.details["machine"]:
        return "it is a 32-bit program: build it for x86-64, or install the 32-bit glibc (glibc.i686, libc6:i386)"
    if case.is_musl:
        return (
            "it was built for glibc and the image is Alpine (musl): use a glibc base such as rockylinux/rockylinux:8.10"
        )
    if case.base is None:
        return "the image has no libc: start the final stage from a base with glibc, or link the program statically"
    return f"install the package that brings {interpreter}, or build the program in a stage with the final image's base"


RULE = Rule(
    "interpreter-missing",
    "the program's loader is not in the image",
    "The kernel starts the loader named in the program first. It is looked up inside the image: `ld-linux-x86-64.so.2: "
    "No such file` always means that the image lacks it, never that the host's glibc is too old.",
    find,
)
