"""Places: so many sites at a time, and a site that is only waited for keeps nobody from working."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hpcbake.ship.places import Places


def start(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(("count", "most"), [(2, 2), (1, 1), (0, 1), (-3, 1)])
def test_no_more_work_at_a_time_than_there_are_places(count: int, most: int) -> None:
    """And at least one."""
    places, lock, now, seen = Places(count), threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, seen
        with places.held():
            with lock:
                now += 1
                seen = max(seen, now)
            time.sleep(0.005)
            with lock:
                now -= 1

    threads = [start(work) for _ in range(8)]
    for thread in threads:
        thread.join(20)
    assert seen <= most


def test_who_waits_lends_its_place(seconds: float = 20.0) -> None:
    """Another works meanwhile; afterwards there is as much room as before."""
    places, done, other = Places(1), threading.Event(), threading.Event()

    def wait() -> None:
        with places.held(), places.lent():
            assert done.wait(seconds)

    def work() -> None:
        with places.held():
            other.set()

    waiting = start(wait)
    start(work)
    assert other.wait(seconds)
    done.set()
    waiting.join(seconds)
    with places.held():
        assert not threading.Event().wait(0)


def test_a_short_wait_keeps_the_place() -> None:
    """Nobody slips in while an answer comes at once."""
    places, order = Places(1), list[str]()
    started = threading.Event()

    def first() -> None:
        with places.held():
            started.set()
            with places.lent(60):
                order.append("answered")
            order.append("worked")

    def second() -> None:
        started.wait(20)
        with places.held():
            order.append("second")

    threads = [start(first), start(second)]
    for thread in threads:
        thread.join(20)
    assert order == ["answered", "worked", "second"]


def test_a_site_that_never_answers_lends_its_place_after_a_while() -> None:
    """Those behind it get on, whatever becomes of it."""
    places, never, other = Places(1), threading.Event(), threading.Event()

    def hang() -> None:
        with places.held(), places.lent(0.01):
            never.wait(60)

    def work() -> None:
        with places.held():
            other.set()

    start(hang)
    start(work)
    assert other.wait(20)
    never.set()


def test_a_wait_that_fails_gives_everything_back() -> None:
    """The next one finds its place."""
    places = Places(1)
    with pytest.raises(ZeroDivisionError), places.held(), places.lent():
        raise ZeroDivisionError
    with places.held():
        pass
