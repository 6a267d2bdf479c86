"""Growth of time and memory since the last release: told with figures, noise passed over."""

from __future__ import annotations

import pytest

from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from hpcbake.smoke.regression import find_regressions


def took(
    seconds: float | None, kb: int | None = None, *, by: str = "job", status: SmokeStatus = SmokeStatus.PASSED
) -> SmokeResult:
    return SmokeResult(
        "alder", "app", "solver", "key", status, duration_s=seconds, max_rss_kb=kb, memory_by=by if kb else ""
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (took(10.0), took(16.0), "took 16.0 s, 10.0 s in the last release, 1.6 times as much"),
        (took(0.0), took(6.0), "took 6.0 s, 0.0 s in the last release"),
        (took(1.0, 100_000), took(1.0, 204_800), "used 200.0 MB, 97.7 MB in the last release, 2.0 times as much"),
    ],
)
def test_growth_is_told_with_figures(old: SmokeResult, new: SmokeResult, says: str) -> None:
    """What, how much, how much before."""
    assert find_regressions([new], [old], factor=1.5) == [f"WARN smoke test 'solver' {says}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (took(10.0), took(14.9)),
        (took(1.0), took(5.9)),
        (took(100.0), took(50.0)),
        (took(1.0, 1000), took(1.0, 60_000)),
        (took(1.0, 100_000, by="sacct"), took(1.0, 900_000)),
        (took(None), took(90.0)),
        (took(1.0), took(None)),
        (took(1.0), took(90.0, status=SmokeStatus.FAILED)),
        (took(1.0, status=SmokeStatus.UNKNOWN), took(90.0)),
    ],
)
def test_noise_and_what_cannot_be_compared_is_passed_over(old: SmokeResult, new: SmokeResult) -> None:
    """Below the factor or the floor, measured by others, unknown, failed."""
    assert find_regressions([new], [old], factor=1.5) == []


def test_a_test_that_is_new_has_nothing_to_be_compared_with() -> None:
    """Tests are matched by name."""
    assert find_regressions([took(90.0)], [], factor=1.5) == []


def test_the_factor_is_the_projects() -> None:
    """Who measures noisy programs says so."""
    assert find_regressions([took(20.0)], [took(10.0)], factor=2.5) == []
