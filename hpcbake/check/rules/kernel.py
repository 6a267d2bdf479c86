"""The host's kernel: the only part of the host that every container runs on."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.loader import ABI_TAG_UNTIL, TOO_NEW_FOR_KERNEL
from hpcbake.check.roles import Role
from hpcbake.check.rule import Cause, Causes, Rule
from hpcbake.model.verdict import Finding, Severity
from hpcbake.model.version import Version


def find_too_old(case: Case) -> Iterator[Finding]:
    """A glibc that refuses to start on the site's kernel. From 2.36 on it no longer asks."""
    if case.libc is None or case.glibc is None or case.glibc >= ABI_TAG_UNTIL:
        return
    path, node, elf = case.libc
    if elf.kernel is None:
        return
    wanted = Version(elf.kernel)
    if case.profile.kernel is not None and wanted > case.profile.kernel:
        yield Finding(
            rule=KERNEL.id,
            severity=Severity.ERROR,
            subject=path,
            message=f"the image's glibc {case.glibc} starts on Linux {wanted} or newer only; the site has "
            f"{case.profile.kernel} (`FATAL: kernel too old`)",
            remedy="take a base image that is older than the site's kernel",
            origin=case.origin(node),
            paths=(path,),
            evidence={"needed": str(wanted), "site": str(case.profile.kernel)},
        )


def find_tagged(case: Case) -> Iterator[Finding]:
    """Libraries that glibc passes over on the site's kernel, as if they were not there."""
    causes = Causes()
    for start in (*case.starts, *case.loads):
        for missing in start.closure.missing:
            for path, why in missing.rejected:
                if why.startswith(TOO_NEW_FOR_KERNEL):
                    _add(case, causes, path, start.subject.path, start.subject.role)
        universe = case.loader.universe_of(start.closure)
        is_opened = start.subject.role in (Role.EXTENSION, Role.PLUGIN, Role.LIBRARY)
        if is_opened and case.loader.is_too_new_for_kernel(start.subject.elf, universe):
            _add(case, causes, start.subject.path, start.subject.path, start.subject.role)
    for cause in causes:
        yield _finding(case, cause)


def _add(case: Case, causes: Causes, library: str, path: str, role: Role) -> None:
    found = case.image.tree.find_file(library)
    if found is None or found[1].elf is None or found[1].elf.kernel is None or case.is_glibc_piece(found[1].elf):
        return
    severity = Severity.WARNING if role in (Role.PROGRAM, Role.LEFTOVER) else Severity.ERROR
    wanted = str(Version(found[1].elf.kernel))
    causes.cause(severity, case.origin(found[1]), found[0]).add(path, role, library=found[0], wanted=wanted)


def _finding(case: Case, cause: Cause) -> Finding:
    library, wanted = next(iter(cause.details["library"])), next(iter(cause.details["wanted"]))
    return Finding(
        rule=TAG.id,
        severity=cause.severity,
        subject=library,
        message=f"{library} is marked for Linux {wanted} or newer; on the site's {case.profile.kernel} the loader "
        "passes "
        f"over it in silence, so {cause.best}{cause.others} will not find it",
        remedy=f"take the mark off in the Dockerfile: RUN strip --remove-section=.note.ABI-tag {library}",
        origin=cause.origin,
        paths=cause.sorted_paths(),
        evidence={"library": library, "needed": wanted, "site": str(case.profile.kernel)},
    )


KERNEL = Rule(
    "kernel-too-old",
    "the image's glibc refuses the site's kernel",
    "A container shares the host's kernel. glibc before 2.36 checks at start that it is new enough.",
    find_too_old,
)
TAG = Rule(
    "kernel-abi-tag",
    "a library is marked for a newer kernel than the site's",
    "Some libraries (Qt) carry the mark of the kernel they were built for. glibc before 2.36 passes over them "
    "without a "
    "word on an older kernel: `cannot open shared object file` for a file that is there.",
    find_tagged,
)
