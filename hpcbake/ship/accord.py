"""All or none: what no site does before every site can, and what all undo when one cannot."""

from __future__ import annotations

import threading
from collections.abc import Sequence

#: The two questions that every site answers: has everything passed there, and has everything moved there?
TESTED, PROMOTED = "tested", "promoted"


class Accord:
    """Sites that go on together or not at all. Each answers each question once, and hears what all have said."""

    def __init__(self, sites: Sequence[str]) -> None:
        self._sites = tuple(sites)
        self._answers: dict[str, dict[str, tuple[str, ...]]] = {TESTED: {}, PROMOTED: {}}
        self._changed = threading.Condition()

    def agree(self, question: str, site: str, problems: Sequence[str]) -> tuple[str, ...]:
        """Say what stands in the way at this site, wait for all others, and hear everything that does."""
        with self._changed:
            self._answers[question].setdefault(site, tuple(problems))
            self._changed.notify_all()
            while len(self._answers[question]) < len(self._sites):
                self._changed.wait()
            said = self._answers[question]
            return tuple(problem for name in self._sites for problem in said[name])

    def leave(self, site: str, problem: str) -> None:
        """A site that ends early: whatever it has not answered yet, the answer is no. Waits for nobody."""
        with self._changed:
            for answers in self._answers.values():
                answers.setdefault(site, (problem,))
            self._changed.notify_all()
