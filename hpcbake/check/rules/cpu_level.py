"""The processor: code built for a newer x86-64 level than the site's oldest nodes have."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.roles import Role
from hpcbake.check.rule import Causes, Rule
from hpcbake.model.verdict import Finding, Severity
from hpcbake.model.version import Version

_CHECKED_SINCE = Version((2, 33))
_EL = frozenset({"rhel", "rocky", "almalinux", "centos", "ol", "eurolinux", "oracle", "circle"})
#: What the distributions compile everything for (release notes of RHEL 9 and 10).
_EL_LEVELS = {"9": 2, "10": 3}
_JUDGED = frozenset({Role.HOT, Role.EXTENSION, Role.PLUGIN, Role.LIBRARY})


def find(case: Case) -> Iterator[Finding]:
    """Files that state a level above the site's, and bases whose packages all need one."""
    if case.profile.arch != "x86_64" or case.image_arch not in ("x86_64", ""):
        return
    yield from _of_base(case)
    causes = Causes()
    for start in (*case.starts, *case.loads):
        if start.subject.role not in _JUDGED:
            continue
        for loaded in start.closure.objects:
            level = loaded.elf.cpu_level
            if level > (case.profile.cpu_level or 2) and "/glibc-hwcaps/" not in loaded.real_path:
                severity = _severity(case, level)
                cause = causes.cause(severity, case.origin(loaded.node), level)
                cause.add(loaded.real_path, start.subject.role, level=str(level))
    for cause in causes:
        stated = next(iter(cause.details["level"]))
        have = f"x86-64-v{case.profile.cpu_level}" if case.profile.cpu_level else "not declared"
        yield Finding(
            rule=RULE.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} {cause.need} an x86-64-v{stated} processor; "
            f"{_what_there_is(case, int(stated))} ({_how_it_fails(case)})",
            remedy=_remedy(case, int(stated)),
            origin=cause.origin,
            paths=cause.sorted_paths(),
            evidence={"needed": f"x86-64-v{stated}", "site": have},
        )


def _of_base(case: Case) -> Iterator[Finding]:
    name = case.os_release.get("ID", "")
    major = case.os_release.get("VERSION_ID", "").partition(".")[0]
    level = _EL_LEVELS.get(major, 0) if name in _EL else 0
    have = case.profile.cpu_level
    if not level or (have or 2) >= level:
        return
    yield Finding(
        rule=RULE.id,
        severity=_severity(case, level),
        subject=case.os_release.get("PRETTY_NAME", f"{name} {major}"),
        message=f"all of {name} {major} is compiled for x86-64-v{level}; {_what_there_is(case, level)}",
        remedy=_remedy(case, level),
        evidence={"needed": f"x86-64-v{level}", "site": have},
    )


def _severity(case: Case, level: int) -> Severity:
    """An error where no node can run it; a warning where some can, or where nobody has said."""
    is_declared = case.profile.cpu_level is not None
    fits_somewhere = any(partition.cpu_level >= level for partition in case.profile.partitions)
    return Severity.ERROR if is_declared and not fits_somewhere else Severity.WARNING


def _what_there_is(case: Case, level: int) -> str:
    """The site's processors: its oldest, or the partitions that are too old for this level."""
    have = case.profile.cpu_level
    old = [partition for partition in case.profile.partitions if partition.cpu_level < level]
    if old and len(old) < len(case.profile.partitions):
        names = ", ".join(f"{partition.name} (x86-64-v{partition.cpu_level})" for partition in old)
        return f"partition {names} is older" if len(old) == 1 else f"partitions {names} are older"
    return f"the site's oldest is {f'x86-64-v{have}' if have else 'not declared'}"


def _how_it_fails(case: Case) -> str:
    is_checked = case.glibc is not None and case.glibc >= _CHECKED_SINCE
    return "CPU ISA level is lower than required" if is_checked else "Illegal instruction, glibc does not check"


def _remedy(case: Case, level: int) -> str:
    if case.profile.cpu_level is None:
        return "declare `cpu_level:` in the site's profile (the level of its oldest node)"
    fitting = [partition.name for partition in case.profile.partitions if partition.cpu_level >= level]
    where = f"on {' or '.join(fitting)} only" if fitting else f"on a partition with x86-64-v{level} nodes"
    return f"build with -march=x86-64-v{case.profile.cpu_level}, or run {where}"


RULE = Rule(
    "cpu-level",
    "built for newer processors than the site's oldest",
    "x86-64 comes in levels 1 to 4. Few files state theirs, so silence proves nothing; but where one does, it counts. "
    "Rocky 9 is compiled for level 2, Rocky 10 for level 3.",
    find,
)
