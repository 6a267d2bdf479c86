"""glibc in pieces of different builds: libc.so.6 replaced, the loader not."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case, Start
from hpcbake.check.closure import Loaded
from hpcbake.check.roles import Role
from hpcbake.check.rule import Cause, Causes, Rule
from hpcbake.model.verdict import Finding, Severity

_PRIVATE = "GLIBC_PRIVATE"


def find_mixed(case: Case) -> Iterator[Finding]:
    """Pieces of glibc that miss a version or a private symbol of another piece."""
    causes = Causes()
    for start in case.starts:
        for piece, provider, what in _clashes(case, start):
            severity = Severity.ERROR if start.is_hot or start.subject.role is Role.PROGRAM else Severity.WARNING
            cause = causes.cause(severity, case.origin(piece.node), piece.real_path, provider.real_path)
            cause.add(
                start.subject.path, start.subject.role, piece=piece.real_path, provider=provider.real_path, what=what
            )
    for cause in causes:
        yield _finding(cause)


def find_unbound(case: Case) -> Iterator[Finding]:
    """Files whose version table names a library that is not among their needed ones any more."""
    causes = Causes()
    for start in case.starts:
        for loaded, library in start.closure.unbound:
            severity = Severity.ERROR if start.is_hot else Severity.WARNING
            cause = causes.cause(severity, case.origin(loaded.node), library)
            cause.add(loaded.real_path, start.subject.role, library=library)
    for cause in causes:
        library = next(iter(cause.details["library"]))
        yield Finding(
            rule=UNBOUND.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} {cause.need} versions of {library}, which nothing loads: "
            "the loader stops on an assertion",
            remedy="use patchelf 0.10 or newer for --replace-needed, which renames both tables, or rebuild the file",
            origin=cause.origin,
            paths=cause.sorted_paths(),
            evidence={"library": library},
        )


def _clashes(case: Case, start: Start) -> Iterator[tuple[Loaded, Loaded, str]]:
    closure = start.closure
    for unmet in closure.unmet:
        if case.is_glibc_piece(unmet.needed_by.elf):
            yield unmet.needed_by, unmet.provider, unmet.version
    for loaded in closure.objects:
        if not case.is_glibc_piece(loaded.elf):
            continue
        for library, symbol in loaded.elf.private_needs:
            provider = closure.find(library)
            # A provider whose symbols could not be read says nothing about what it lacks.
            if provider and provider.elf.private_offers and symbol not in provider.elf.private_offers:
                yield loaded, provider, f"{symbol} ({_PRIVATE})"


def _finding(cause: Cause) -> Finding:
    piece, provider = next(iter(cause.details["piece"])), next(iter(cause.details["provider"]))
    lacks = sorted(cause.details["what"])
    more = f" and {len(lacks) - 1} more" if len(lacks) > 1 else ""
    return Finding(
        rule=MIXED.id,
        severity=cause.severity,
        subject=piece,
        message=f"{piece} and {provider} are of different glibc builds: the second lacks {lacks[0]}{more}, "
        f"so {cause.best}{cause.others} cannot start",
        remedy="replace the whole glibc package or none of it: never copy libc.so.6 alone from another image",
        origin=cause.origin,
        paths=cause.sorted_paths(),
        evidence={"piece": piece, "provider": provider, "lacks": lacks[:50]},
    )


MIXED = Rule(
    "glibc-mixed",
    "pieces of glibc from different builds",
    "libc.so.6, libm, libpthread and the loader talk through private symbols that change with every build. One of them "
    "copied from another image breaks every program: `symbol lookup error`, or a version not found by libc.so.6 "
    "itself.",
    find_mixed,
)
UNBOUND = Rule(
    "version-unbound",
    "versions of a library that is not loaded",
    "Every library in the version table must be loaded. Tools that rename a needed library without the version table "
    "leave a file on which glibc stops: `Assertion 'needed != NULL' failed`.",
    find_unbound,
)
