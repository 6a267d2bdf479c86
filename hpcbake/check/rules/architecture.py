"""The wrong machine: images and files that the site's processors cannot run."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.roles import Role, Subject, find_python_module
from hpcbake.check.rule import Causes, Rule
from hpcbake.model.verdict import Finding, Severity

_REMEDY = (
    'build for the site\'s platform: platforms = ["linux/amd64"] in the bake file, and no `FROM '
    "--platform=$BUILDPLATFORM` on a stage whose files are copied into the final one"
)


def find_wrong_platform(case: Case) -> Iterator[Finding]:
    """The image's config names another architecture or system than the site's."""
    config = case.image.config
    is_linux = config.os in ("", "linux")
    if is_linux and (not case.image_arch or case.image_arch == case.profile.arch):
        return
    stated = f"{config.os or 'linux'}/{config.architecture}"
    offered = f" (the index offers {', '.join(case.image.platforms)})" if case.image.platforms else ""
    yield Finding(
        rule=PLATFORM.id,
        severity=Severity.ERROR,
        subject=case.image.name,
        message=f"the image is for {stated}, the site's nodes are {case.profile.arch}{offered}",
        remedy=_REMEDY,
        evidence={"image": stated, "site": case.profile.arch, "platforms": list(case.image.platforms)},
    )


def find_wrong_machine(case: Case) -> Iterator[Finding]:
    """Files for another machine in an image that is for the right one."""
    causes = Causes()
    modules = _modules_that_run(case)
    # Of an image that says it is for another machine, its own files are no news.
    foreign = case.image_arch if case.image_arch != case.profile.arch else ""
    for subject in (*case.cast.programs, *case.cast.libraries):
        if case.runs_here(subject.elf) or subject.elf.machine_name == foreign:
            continue
        severity = _severity(case, subject, modules)
        cause = causes.cause(severity, case.origin(subject.node), subject.elf.machine_name)
        cause.add(subject.path, subject.role, machine=subject.elf.machine_name)
    for cause in causes:
        machine = next(iter(cause.details["machine"]))
        yield Finding(
            rule=MACHINE.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others}: built for {machine}, the site's nodes are {case.profile.arch}",
            remedy=_REMEDY if cause.severity is not Severity.INFO else "",
            origin=cause.origin,
            paths=cause.sorted_paths(),
            evidence={"machine": machine, "site": case.profile.arch, "files": len(cause.paths)},
        )


def _modules_that_run(case: Case) -> set[tuple[str, str]]:
    """Python modules that are there for the right machine: a foreign twin beside one is no fault."""
    found = set()
    for subject in case.cast.libraries:
        module = find_python_module(subject.path) if case.runs_here(subject.elf) else None
        if module:
            found.add((module.folder, module.module))
    return found


def _severity(case: Case, subject: Subject, modules: set[tuple[str, str]]) -> Severity:
    if subject.role is Role.HOT:
        return Severity.ERROR
    module = find_python_module(subject.path)
    if module:
        return Severity.INFO if (module.folder, module.module) in modules else Severity.ERROR
    if subject.role is Role.PROGRAM and _is_own(case, subject) and subject.elf.machine_name != "x32":
        return Severity.WARNING
    return Severity.INFO


def _is_own(case: Case, subject: Subject) -> bool:
    """Not inside a Python package or a cross compiler's folder, where files for other machines are data."""
    return "-packages/" not in subject.path and not case.is_private(subject.path)


PLATFORM = Rule(
    "wrong-platform",
    "the image is for another architecture",
    "An image built on an Apple laptop without `platforms` is for arm64; apptainer pulls it without a word.",
    find_wrong_platform,
)
MACHINE = Rule(
    "wrong-machine",
    "files for another machine",
    "A builder stage on the laptop's own platform leaves arm64 files in an amd64 image: `exec format error` there.",
    find_wrong_machine,
)
