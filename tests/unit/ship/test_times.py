"""Times are UTC; names of runs sort by time."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from hpcbake.ship.times import render_utc, run_id

SECONDS = st.floats(min_value=0, max_value=2**40 / 1000)


def test_times_are_utc() -> None:
    """Wherever the machine is."""
    assert render_utc(1769860800.9) == "2026-01-31T12:00:00Z"


@given(SECONDS, SECONDS, st.integers(min_value=0), st.integers(min_value=0))
def test_runs_sort_by_time(earlier: float, later: float, one: int, other: int) -> None:
    """26 characters of Crockford's alphabet; a later run has a later name."""
    names = [run_id(earlier, one), run_id(later, other)]
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", name) for name in names)
    if int(earlier * 1000) < int(later * 1000):
        assert names[0] < names[1]


def test_two_runs_of_one_moment_differ() -> None:
    """By their random part."""
    assert run_id(1.0, 1) != run_id(1.0, 2)
