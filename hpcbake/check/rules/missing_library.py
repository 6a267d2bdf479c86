"""Libraries that the loader will not find, and where they lie if they are in the image after all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hpcbake.check.case import Case, Start
from hpcbake.check.closure import Missing
from hpcbake.check.hostlibraries import provider_of
from hpcbake.check.loader import TOO_NEW_FOR_KERNEL
from hpcbake.check.roles import Role, find_python_of_library, find_python_version
from hpcbake.check.rule import Cause, Causes, Rule
from hpcbake.model.verdict import Finding, Severity


def find(case: Case) -> Iterator[Finding]:
    """Needed libraries on no search path. What the site's runtime injects is not missing."""
    places = _places(case)
    causes = Causes()
    lacking: dict[tuple[str, str], Missing] = {}
    for start in (*case.starts, *case.loads):
        for missing in start.closure.missing:
            if case.site_provides(missing.name) or _is_other_rule(missing):
                continue
            severity = _severity(start, missing, places)
            if severity is None:
                continue
            origin = case.origin(missing.needed_by.node)
            cause = causes.cause_of_worst(severity, origin, missing.name)
            cause.add(start.subject.path, start.subject.role, name=missing.name, needed_by=missing.needed_by.real_path)
            lacking.setdefault((start.subject.path, missing.name), missing)
    for cause in causes:
        name = next(iter(cause.details["name"]))
        yield _finding(case, cause, lacking[cause.best, name], places)


def _is_other_rule(missing: Missing) -> bool:
    """Libraries for musl, and libraries that only the kernel's age hides, have rules of their own."""
    return missing.name.startswith("libc.musl-") or any(
        why.startswith(TOO_NEW_FOR_KERNEL) for _, why in missing.rejected
    )


def _places(case: Case) -> dict[str, list[str]]:
    """Where libraries are, by soname and by file name, over the whole image (links included)."""
    places: dict[str, list[str]] = defaultdict(list)
    for subject in case.cast.libraries:
        for name in {subject.elf.soname, subject.path.rpartition("/")[2]}:
            if name:
                places[name].append(subject.path)
    for path, node in case.image.tree.walk():
        name = path.rpartition("/")[2]
        if node.target and ".so" in name and path not in places[name]:
            places[name].append(path)
    return places


def _severity(start: Start, missing: Missing, places: dict[str, list[str]]) -> Severity | None:
    role = start.subject.role
    if role is Role.HOT:
        return Severity.WARNING if _is_variant(start.subject.path, missing.name) else Severity.ERROR
    if role is Role.PROGRAM:
        return Severity.WARNING
    # A library may have been loaded beforehand by its host program; only one that is nowhere is surely missing.
    if role in (Role.EXTENSION, Role.PLUGIN) and not places.get(missing.name):
        return Severity.WARNING
    return None


def _is_variant(path: str, library: str) -> bool:
    """A program that comes once for each Python, as CUDA's `cuda-gdb-python3.8-tui`: one of them fits, if any."""
    python = find_python_of_library(library)
    name = path.rpartition("/")[2]
    return python is not None and f"python{python[0]}.{python[1]}" in name and find_python_version(path) is None


def _finding(case: Case, cause: Cause, missing: Missing, places: dict[str, list[str]]) -> Finding:
    name = missing.name
    through = missing.needed_by.real_path
    via = f" (through {through})" if through != cause.best else ""
    usable = [path for path in places.get(name, []) if _is_usable(case, path)]
    rejected = [(path, why) for path, why in missing.rejected if why]
    if rejected:
        state = f"found only {rejected[0][0]}, but {rejected[0][1]}"
    elif usable:
        state = f"which exists at {usable[0]} but is on no search path"
    else:
        state = "which is nowhere in the image"
    return Finding(
        rule=RULE.id,
        severity=cause.severity,
        subject=cause.best,
        message=f"{cause.best}{cause.others} {cause.need} {name}{via}, {state}",
        remedy=_remedy(case, name, usable),
        origin=cause.origin,
        paths=cause.sorted_paths(),
        evidence={
            "library": name,
            "needed_by": through,
            "searched": list(missing.searched),
            "exists_at": usable[:20],
            "rejected": [f"{path}: {why}" for path, why in rejected[:20]],
        },
    )


def _is_usable(case: Case, path: str) -> bool:
    found = case.image.tree.find_file(path)
    return bool(found and found[1].elf and case.runs_here(found[1].elf))


def _remedy(case: Case, name: str, usable: list[str]) -> str:
    provider = provider_of(name)
    if provider and not usable:
        return provider
    if not usable:
        return f"install the package that brings {name} in the final stage, or copy it along with what needs it"
    folder = usable[0].rpartition("/")[0]
    if case.is_configured(folder):
        return f"{folder} stands in /etc/ld.so.conf.d, but the loader reads its cache: add `RUN ldconfig` after it"
    return (
        f"add `RUN echo {folder} > /etc/ld.so.conf.d/local.conf && ldconfig`; or `ENV LD_LIBRARY_PATH={folder}`; "
        "or link with an RPATH of $ORIGIN/../lib"
    )


RULE = Rule(
    "missing-library",
    "a needed library is on no search path",
    "The loader looks into RPATH, LD_LIBRARY_PATH, RUNPATH, the binary cache that `ldconfig` writes, and its own "
    "default folders; nothing else. /usr/local/lib is not searched on Rocky, and ld.so.conf counts once ldconfig ran.",
    find,
)
