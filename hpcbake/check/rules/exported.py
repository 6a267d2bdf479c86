"""Files that leave the image to run on the host: there, and only there, the host's glibc is what counts."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from hpcbake.check.case import Case
from hpcbake.check.roles import Subject
from hpcbake.check.rule import Causes, Rule
from hpcbake.model.verdict import Finding, Severity
from hpcbake.model.version import Version, find_leading_version

_RELR_SINCE = Version((2, 36))


def find(case: Case) -> Iterator[Finding]:
    """Exported files that need more than the host offers."""
    subjects = [subject for subject in (*case.cast.programs, *case.cast.libraries) if _is_exported(case, subject.path)]
    if not subjects:
        return
    if case.profile.glibc is None:
        yield Finding(
            rule=RULE.id,
            severity=Severity.UNKNOWN,
            subject=subjects[0].path,
            message=f"{len(subjects)} files are exported to the host, but the profile does not say which glibc it has",
            remedy="add `glibc:` to the site's profile (`ldd --version` on a login node)",
        )
        return
    causes = Causes()
    bundled = {subject.elf.soname for subject in subjects if subject.elf.soname}
    for subject in subjects:
        for version in sorted(_lacking(case, subject, bundled)):
            causes.cause(Severity.ERROR, case.origin(subject.node)).add(subject.path, subject.role, version=version)
    for cause in causes:
        versions = ", ".join(sorted(cause.details["version"]))
        yield Finding(
            rule=RULE.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} {cause.need} {versions} and will run on the host, whose glibc is "
            f"{case.profile.glibc}",
            remedy="build what is exported in a stage with a base as old as the host, or link it statically",
            origin=cause.origin,
            paths=cause.sorted_paths(),
            evidence={"needed": sorted(cause.details["version"]), "host_glibc": str(case.profile.glibc)},
        )


def _is_exported(case: Case, path: str) -> bool:
    for export in case.profile.exports:
        folder = export.rstrip("/")
        if path == folder or path.startswith(folder + "/") or fnmatchcase(path, export):
            return True
    return False


def _lacking(case: Case, subject: Subject, bundled: set[str]) -> Iterator[str]:
    for need in subject.elf.needs:
        # What travels along is not asked of the host.
        if need.library not in bundled and not need.weak and not _host_offers(case, need.version):
            yield need.version


def _host_offers(case: Case, version: str) -> bool:
    """By the profile's own list of versions where it has one (backports make numbers lie), else by number."""
    offers = case.profile.offers
    series, _, text = version.partition("_")
    if any(offer.startswith(series + "_") for offer in offers):
        return version in offers
    if version == "GLIBC_ABI_DT_RELR":
        return case.profile.glibc is not None and case.profile.glibc >= _RELR_SINCE
    host = {"GLIBC": case.profile.glibc, "GLIBCXX": case.profile.glibcxx}.get(series)
    number = find_leading_version(text)
    return host is None or number is None or number <= host


RULE = Rule(
    "export-too-new",
    "exported files need a newer glibc than the host has",
    "A virtual environment or a binary copied out of the image runs on the host's glibc. Declare such paths under "
    "`exports` in the site's profile, and they are judged against it.",
    find,
)
