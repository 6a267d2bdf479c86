"""Alpine and static programs: images without glibc."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.roles import find_python_module
from hpcbake.check.rule import Causes, Rule
from hpcbake.model.verdict import Finding, Severity


def find_musl_image(case: Case) -> Iterator[Finding]:
    """An image whose programs run on musl: fine by itself, not for what the host injects."""
    if not case.is_musl:
        return
    wants = [f"--{case.profile.gpu.mode}"] if case.profile.gpu.mode != "none" else []
    wants += [injection.name for injection in case.profile.inject]
    yield Finding(
        rule=IMAGE.id,
        severity=Severity.WARNING if wants else Severity.INFO,
        subject=case.image.name,
        message="the image runs on musl (Alpine), so host libraries built for glibc cannot be loaded in it"
        + (f": the site injects {', '.join(wants)}" if wants else ""),
        remedy="use a glibc base such as rockylinux/rockylinux:8.10" if wants else "",
    )


def find_musl_files(case: Case) -> Iterator[Finding]:
    """Libraries for musl in a glibc image: dead weight that packages bring along."""
    if case.is_musl:
        return
    causes = Causes()
    for start in case.loads:
        if any(name.startswith("libc.musl-") for name in start.subject.elf.needed):
            causes.cause(Severity.INFO, case.origin(start.subject.node)).add(start.subject.path, start.subject.role)
    for cause in causes:
        module = find_python_module(cause.best)
        yield Finding(
            rule=FILES.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others}: built for musl, never loaded in this glibc image",
            remedy=f"install {module.module} anew in the final stage if it is needed" if module else "",
            origin=cause.origin,
            paths=cause.sorted_paths(),
        )


IMAGE = Rule(
    "musl-image",
    "the image runs on musl",
    "musl is another libc. Programs of the image are fine on any host, but host libraries (GPU, MPI) cannot join them.",
    find_musl_image,
)
FILES = Rule(
    "musl-files",
    "libraries for musl in a glibc image",
    "Packages often bring a copy for every libc. The one for musl is never loaded here.",
    find_musl_files,
)
