"""The same work for many sites: in order, bounded, and never waited for when a signal comes."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from hpcbake.errors import InterruptedByUserError
from hpcbake.ship.parallel import in_parallel


def test_results_come_in_the_order_of_the_acts() -> None:
    """Whoever is ready first; None is a result as well."""
    gates = [threading.Event() for _ in range(3)]

    def act(index: int) -> int | None:
        gates[index].wait(20)
        if index:
            gates[index - 1].set()
        return index or None

    gates[2].set()
    assert in_parallel([partial(act, index) for index in range(3)], 3) == [None, 1, 2]


def test_no_more_than_so_many_at_a_time() -> None:
    """And at least one, whatever was asked."""
    lock, now, most = threading.Lock(), 0, 0

    def act() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.01)
        with lock:
            now -= 1

    assert in_parallel([act] * 8, 2) == [None] * 8
    assert most <= 2
    assert in_parallel([act], 0) == [None]
    assert in_parallel([], 4) == []


def test_what_an_act_raises_is_raised_without_waiting_for_the_others() -> None:
    """A site that hangs holds nobody."""
    stuck = threading.Event()

    def fail() -> None:
        raise InterruptedByUserError("SIGTERM", signal_number=15)

    try:
        with pytest.raises(InterruptedByUserError):
            in_parallel([lambda: stuck.wait(60), fail], 2)
        assert not stuck.is_set()
    finally:
        stuck.set()
