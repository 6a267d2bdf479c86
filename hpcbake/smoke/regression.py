"""Does a smoke test take more time or memory than it did in the release before? Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.model.artefacts import SmokeResult, SmokeStatus

#: Growth below these is noise, whatever the factor.
FLOOR_S = 5.0
FLOOR_KB = 64 * 1024


def find_regressions(now: Sequence[SmokeResult], before: Sequence[SmokeResult], *, factor: float) -> list[str]:
    """One line with figures for each test that grew beyond `factor` and the floor. Tests are matched by name.

    Memory is compared only when the same side measured both: Slurm's accounting and the job itself look differently.
    """
    known = {result.test: result for result in before if result.status is SmokeStatus.PASSED}
    found: list[str] = []
    for result in now:
        old = known.get(result.test)
        if old is None or result.status is not SmokeStatus.PASSED:
            continue
        if _has_grown(old.duration_s, result.duration_s, factor, FLOOR_S):
            found.append(_line(result.test, "took", old.duration_s, result.duration_s, "s", 1.0))
        same_side = old.memory_by == result.memory_by
        if same_side and _has_grown(old.max_rss_kb, result.max_rss_kb, factor, FLOOR_KB):
            found.append(_line(result.test, "used", old.max_rss_kb, result.max_rss_kb, "MB", 1024.0))
    return found


def _has_grown(old: float | None, new: float | None, factor: float, floor: float) -> bool:
    return old is not None and new is not None and new - old >= floor and new > old * factor


def _line(test: str, verb: str, old: float | None, new: float | None, unit: str, scale: float) -> str:
    assert old is not None
    assert new is not None
    times = f", {new / old:.1f} times as much" if old else ""
    return (
        f"WARN smoke test {test!r} {verb} {new / scale:.1f} {unit}, {old / scale:.1f} {unit} in the last release{times}"
    )
