"""What a new image needs and offers that the old one did not, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hpcbake.check.case import Case
from hpcbake.check.closure import newest
from hpcbake.image.scan import ScannedImage
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site

#: Version series whose newest member is worth a line of its own.
_SERIES = ("GLIBC_", "GLIBCXX_", "CXXABI_", "OPENSSL_", "GCC_", "GFORTRAN_", "GOMP_", "OMP_")


@dataclass(frozen=True)
class Difference:
    """One aspect of two images: what only the old one has, what only the new one has."""

    aspect: str
    gone: tuple[str, ...]
    added: tuple[str, ...]


def diff_images(old: ScannedImage, new: ScannedImage, site: Site) -> tuple[Difference, ...]:
    """The aspects in which two images differ, as programs of `site` would see them; empty when in none."""
    before, after = Case(old, site), Case(new, site)
    differences = [_difference(aspect, look(before), look(after)) for aspect, look in _ASPECTS]
    return tuple(difference for difference in differences if difference.gone or difference.added)


def render_diff(differences: Iterable[Difference]) -> str:
    """The differences for people: one aspect after the other, `-` and `+` lines."""
    parts = []
    for difference in differences:
        lines = [f"{difference.aspect}:"]
        lines += [f"  - {item}" for item in difference.gone]
        lines += [f"  + {item}" for item in difference.added]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def diff_document(old: ScannedImage, new: ScannedImage, differences: Iterable[Difference]) -> dict[str, Any]:
    """The differences as JSON."""
    return {
        "kind": "hpcbake.diff",
        "version": 1,
        "old": {"name": old.name, "digest": old.digest or None},
        "new": {"name": new.name, "digest": new.digest or None},
        "differences": [
            {"aspect": difference.aspect, "gone": list(difference.gone), "added": list(difference.added)}
            for difference in differences
        ],
    }


def _difference(aspect: str, before: set[str], after: set[str]) -> Difference:
    return Difference(aspect, tuple(sorted(before - after)), tuple(sorted(after - before)))


def _platform(case: Case) -> set[str]:
    release = case.os_release.get("PRETTY_NAME") or case.os_release.get("ID") or "unknown distribution"
    libc = "musl" if case.is_musl else f"glibc {case.glibc}" if case.glibc else "no libc"
    return {f"{case.image.config.os or 'linux'}/{case.image.config.architecture}", release, libc}


def _needs(case: Case) -> set[str]:
    """The newest version of each series that anything but glibc itself needs, and who needs it."""
    needed: dict[str, dict[str, str]] = {}
    for subject in (*case.cast.programs, *case.cast.libraries):
        for need in () if case.is_glibc_piece(subject.elf) else subject.elf.needs:
            series = next((series for series in _SERIES if need.version.startswith(series)), None)
            if series:
                needed.setdefault(series, {}).setdefault(need.version, subject.path)
    found = set()
    for series, versions in needed.items():
        top = newest(tuple(versions), series)
        if top is not None:
            name = f"{series}{top}"
            found.add(f"{name} (by {versions.get(name, 'unknown')})")
    return found


def _offers(case: Case) -> set[str]:
    """The newest version of each series that the libraries found by name define."""
    found = set()
    for subject in case.cast.libraries:
        if subject.elf.soname and case.is_found_by_name(subject):
            for series in _SERIES:
                top = newest(subject.elf.offers, series)
                if top is not None:
                    found.add(f"{subject.elf.soname}: {series}{top}")
    return found


def _programs(case: Case) -> set[str]:
    return {start.subject.path for start in case.starts if start.is_hot}


def _libraries(case: Case) -> set[str]:
    return {subject.elf.soname for subject in case.cast.libraries if subject.elf.soname}


def _broken(case: Case) -> set[str]:
    """What does not load: missing libraries and unmet versions of programs and extensions."""
    broken = {f"{one.needed_by.real_path} lacks {one.name}" for start in case.starts for one in start.closure.missing}
    broken |= {f"{subject.path} lacks {unmet.version}" for subject, _, unmet in case.unmet()}
    return broken


_ASPECTS: tuple[tuple[str, Callable[[Case], set[str]]], ...] = (
    ("platform", _platform),
    ("newest versions needed", _needs),
    ("newest versions offered", _offers),
    ("programs on PATH", _programs),
    ("libraries", _libraries),
    ("what does not load", _broken),
)
