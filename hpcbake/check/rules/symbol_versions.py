"""Needs against offers: every version a file needs must be defined by the library that will really be loaded."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.closure import Unmet, newest
from hpcbake.check.loader import WEAK_HARMLESS_SINCE
from hpcbake.check.roles import Role, Subject
from hpcbake.check.rule import Cause, Causes, Rule
from hpcbake.model.verdict import Finding, Severity
from hpcbake.model.version import find_leading_version

_GLIBC, _CXX = "GLIBC_", ("GLIBCXX_", "CXXABI_")
_RELR = "GLIBC_ABI_DT_RELR"
_SEVERE = frozenset({Role.HOT, Role.PROGRAM, Role.EXTENSION, Role.PLUGIN, Role.LIBRARY})


def find_too_new_for_glibc(case: Case) -> Iterator[Finding]:
    """Programs, extensions and libraries built against a newer glibc than the image's."""
    causes = Causes()
    for subject, role, unmet in _unmet(case, is_glibc=True):
        cause = causes.cause(_severity(case, role, unmet), case.origin(subject.node))
        _note(cause, subject, role, unmet)
    for cause in causes:
        versions = cause.details["version"]
        if versions == {_RELR}:
            continue
        yield _glibc_finding(case, cause, versions)


def find_relr(case: Case) -> Iterator[Finding]:
    """Files whose only fault is that they were linked with packed relative relocations."""
    causes = Causes()
    for subject, role, unmet in _unmet(case, is_glibc=True):
        _note(causes.cause(_severity(case, role, unmet), case.origin(subject.node)), subject, role, unmet)
    for cause in causes:
        if cause.details["version"] == {_RELR}:
            yield Finding(
                rule=RELR.id,
                severity=cause.severity,
                subject=cause.best,
                message=f"{cause.best}{cause.others} {cause.need} {_RELR}: linked with -z pack-relative-relocs, "
                f"which the image's glibc {case.glibc or '(older than 2.36)'} does not know",
                remedy="link with -Wl,-z,nopack-relative-relocs, or build in a stage that starts from the final "
                "image's own base",
                origin=cause.origin,
                paths=cause.sorted_paths(),
                evidence=_evidence(cause),
            )


def find_too_new_for_libstdcxx(case: Case) -> Iterator[Finding]:
    """C++ built with a newer compiler than the libstdc++ that will be loaded."""
    causes = Causes()
    for subject, role, unmet in _unmet(case, is_glibc=False):
        if unmet.version.startswith(_CXX):
            cause = causes.cause(_severity(case, role, unmet), case.origin(subject.node), unmet.provider.real_path)
            _note(cause, subject, role, unmet)
    for cause in causes:
        provider = next(iter(cause.details["provider"]))
        wanted = _newest_of(cause.details["version"])
        series = wanted.partition("_")[0] + "_"
        offered = next((text for text in cause.details["offered"] if text.startswith(series)), "nothing of the kind")
        yield Finding(
            rule=LIBSTDCXX.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} {cause.need} {wanted}, but {provider} offers at most {offered}",
            remedy="build the C++ in a stage that starts from the final image's own base (on EL8 a gcc-toolset links "
            "what is new statically), or ship the newer libstdc++ beside it and let its RUNPATH find it first",
            origin=cause.origin,
            paths=cause.sorted_paths(),
            evidence=_evidence(cause),
        )


def find_other_versions(case: Case) -> Iterator[Finding]:
    """Any other library with versions: OpenSSL, libgcc, libgfortran, libgomp."""
    causes = Causes()
    for subject, role, unmet in _unmet(case, is_glibc=False):
        if not unmet.version.startswith(_CXX):
            cause = causes.cause(_severity(case, role, unmet), case.origin(subject.node), unmet.provider.real_path)
            _note(cause, subject, role, unmet)
    for cause in causes:
        provider = next(iter(cause.details["provider"]))
        versions = ", ".join(sorted(cause.details["version"]))
        yield Finding(
            rule=OTHER.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} {cause.need} {versions}, which {provider} does not define",
            remedy="take the library and what needs it from the same distribution release, or from the same package",
            origin=cause.origin,
            paths=cause.sorted_paths(),
            evidence=_evidence(cause),
        )


def _unmet(case: Case, *, is_glibc: bool) -> Iterator[tuple[Subject, Role, Unmet]]:
    for subject, role, unmet in case.unmet():
        # glibc's own pieces against one another are the matter of another rule.
        if unmet.version.startswith(_GLIBC) == is_glibc and not case.is_glibc_piece(subject.elf):
            yield subject, role, unmet


def _severity(case: Case, role: Role, unmet: Unmet) -> Severity:
    if role not in _SEVERE:
        return Severity.INFO
    if unmet.weak and case.glibc is not None and case.glibc >= WEAK_HARMLESS_SINCE:
        return Severity.WARNING
    return Severity.ERROR


def _note(cause: Cause, subject: Subject, role: Role, unmet: Unmet) -> None:
    prefix = unmet.version.partition("_")[0] + "_"
    offered = newest(unmet.provider.elf.offers, prefix)
    cause.add(
        subject.path,
        role,
        version=unmet.version,
        provider=unmet.provider.real_path,
        offered=f"{prefix}{offered}" if offered else "nothing of the kind",
        weak="yes" if unmet.weak else "no",
    )


def _glibc_finding(case: Case, cause: Cause, versions: set[str]) -> Finding:
    wanted = _newest_of(versions)
    release = case.glibc
    weak = " (a weak need, which glibc before 2.30 still refuses)" if cause.details["weak"] == {"yes"} else ""
    if cause.severity is Severity.WARNING:
        weak = " (a weak need: it starts, and fails only if it uses the symbol)"
    number = find_leading_version(wanted.removeprefix(_GLIBC))
    minimum = f" (glibc {number} or newer)" if number else ""
    wheels = (
        f"take manylinux_{'_'.join(map(str, release.parts[:2]))} or older wheels" if release else "take older wheels"
    )
    return Finding(
        rule=GLIBC.id,
        severity=cause.severity,
        subject=cause.best,
        message=f"{cause.best}{cause.others} {cause.need} {wanted}, "
        f"but the image's own glibc is {release or 'older'}{weak}",
        remedy=f"build it in a stage that starts from the final image's own base{_base_name(case)}; or "
        f"{wheels} (pip install --only-binary=:all:); or start the final image from a newer base{minimum}",
        origin=cause.origin,
        paths=cause.sorted_paths(),
        evidence=_evidence(cause) | {"glibc": {"needed": wanted, "by": cause.best, "image": str(release or "")}},
    )


def _base_name(case: Case) -> str:
    """` (Rocky Linux 8.10)`, as the image calls its distribution."""
    name = case.os_release.get("PRETTY_NAME", "")
    return f" ({name})" if name else ""


def _evidence(cause: Cause) -> dict[str, object]:
    return {
        "needed": sorted(cause.details["version"], key=_version_key),
        "by": cause.best,
        "providers": sorted(cause.details["provider"]),
        "offered": sorted(cause.details["offered"]),
        "files": len(cause.paths),
    }


def _newest_of(versions: set[str]) -> str:
    return max(versions, key=lambda text: (text.startswith("GLIBC"), _version_key(text)))


def _version_key(text: str) -> tuple[tuple[int, ...], str]:
    number = find_leading_version(text.partition("_")[2])
    return (number.parts if number else (), text)


GLIBC = Rule(
    "glibc-too-new",
    "built for a newer glibc than the image has",
    "A program is bound to the version names of the glibc it was linked with. Inside a container the image's own glibc "
    "answers, never the host's: what was compiled on Debian and copied into a Rocky 8 image fails on every host.",
    find_too_new_for_glibc,
)
RELR = Rule(
    "glibc-relr",
    "linked with packed relocations that the image's glibc does not know",
    "GLIBC_ABI_DT_RELR is no version number but a mark: only glibc 2.36 and newer understand such files.",
    find_relr,
)
LIBSTDCXX = Rule(
    "libstdcxx-too-new",
    "built with a newer C++ compiler than the libstdc++ it will get",
    "GLIBCXX_ and CXXABI_ versions belong to the libstdc++.so.6 that is found first, which may be a bundled one.",
    find_too_new_for_libstdcxx,
)
OTHER = Rule(
    "library-version",
    "needs a version that the library found does not define",
    "Libraries with version names (OpenSSL, libgcc, libgfortran) refuse programs of another release at start.",
    find_other_versions,
)
