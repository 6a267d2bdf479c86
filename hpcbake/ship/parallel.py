"""The same work for many sites at a time, on threads that nobody need wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_parallel(acts: Sequence[Callable[[], T]], at_once: int) -> list[T]:
    """The results of all acts in order, `at_once` of them at a time. What an act raises is raised here.

    Daemon threads and bounded waits: a signal must not wait for a site that hangs.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, list[T], BaseException | None]] = queue.SimpleQueue()
    for index in range(len(acts)):
        todo.put(index)

    def work() -> None:
        while True:
            try:
                index = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((index, [acts[index]()], None))
            except BaseException as failure:  # noqa: BLE001  (raised again by the thread that waits)
                done.put((index, [], failure))

    for number in range(min(max(1, at_once), len(acts))):
        threading.Thread(target=work, name=f"site-{number}", daemon=True).start()
    results: dict[int, T] = {}
    while len(results) < len(acts):
        try:
            index, result, failure = done.get(timeout=0.2)
        except queue.Empty:
            continue
        if failure is not None:
            raise failure
        results[index] = result[0]
    return [results[index] for index in range(len(acts))]
