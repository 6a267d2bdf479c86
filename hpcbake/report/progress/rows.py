"""The live table's memory: one row per image and site, made from events. Pure, but for remembering."""

from __future__ import annotations

from collections.abc import Mapping

from hpcbake.model.late import dataclass
from hpcbake.report.progress.event import Event, one_line

#: What a row is at: at work, waiting for others, failed, or at its end. The order is the order of interest.
WORKING, WAITING, FAILED, DONE = "working", "waiting", "failed", "done"
_ORDER = (FAILED, WORKING, WAITING, DONE)
_LAST_WORDS = frozenset({"unchanged", "submitted", "skipped"})


@dataclass
class Row:
    """One image at one site, or the build of it. Times are seconds since the run began."""

    site: str
    image: str
    stage: str = ""
    text: str = ""
    state: str = WAITING
    began_s: float = 0.0
    stage_began_s: float = 0.0
    ended_s: float | None = None
    bytes_to_move: int = 0
    bytes_moved: int = 0
    moved_s: float = 0.0
    #: when this machine began to send: the rate is not that of a conversion
    sending_began_s: float | None = None
    job: str = ""
    job_state: str = ""


class Rows:
    """All rows, in the order in which they came."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}

    def hear(self, event: Event) -> None:
        """Take one event in. What is said of a site goes to all of its images that are on their way."""
        if not event.site and event.stage != "build":
            return
        own = (event.site, event.image if event.site else "")
        if not event.image and event.site:
            of_site = [row for (site, _), row in self._rows.items() if site == event.site and row.ended_s is None]
            if of_site:
                for row in of_site:
                    _take(row, event)
                return
        row = self._rows.setdefault(own, Row(event.site, event.image, began_s=event.elapsed_s))
        if row.ended_s is None:
            _take(row, event)

    def most_interesting(self, count: int) -> list[Row]:
        """At most so many rows: failures and work first, shown in the order in which the rows came."""
        rows = list(self._rows.values())
        if len(rows) <= count:
            return rows
        chosen = sorted(range(len(rows)), key=lambda at: (_ORDER.index(rows[at].state), at))[: max(0, count)]
        return [rows[at] for at in sorted(chosen)]

    def __len__(self) -> int:
        return len(self._rows)

    def counts(self) -> dict[str, int]:
        """How many rows are at what."""
        found = [row.state for row in self._rows.values()]
        return {state: found.count(state) for state in (WORKING, WAITING, FAILED, DONE) if found.count(state)}


def _take(row: Row, event: Event) -> None:
    facts = event.facts
    if event.stage != row.stage:
        row.stage, row.stage_began_s = event.stage, event.elapsed_s
    row.text = "" if event.text == "…" else one_line(event.text)
    row.state = WAITING if event.stage == "promote" and event.status == "note" else WORKING
    _take_facts(row, facts, event.elapsed_s)
    outcome = str(facts.get("outcome") or "")
    if event.status == "failed":
        row.state, row.ended_s = FAILED, event.elapsed_s
    elif event.status == "done":
        is_over = outcome in _LAST_WORDS and event.stage != "deliver" and event.stage != "smoke"
        if event.stage in ("build", "promote") or is_over or outcome == "submitted":
            row.state, row.ended_s = DONE, event.elapsed_s


def _take_facts(row: Row, facts: Mapping[str, object], elapsed_s: float) -> None:
    to_move, moved, whole = facts.get("bytes_to_move"), facts.get("bytes_moved"), facts.get("bytes")
    if isinstance(to_move, int):
        row.bytes_to_move = to_move
    if isinstance(moved, int):
        if row.sending_began_s is None:
            row.sending_began_s = elapsed_s
        row.bytes_moved, row.moved_s = moved, elapsed_s - row.sending_began_s
    seconds = facts.get("seconds")
    if isinstance(whole, int) and facts.get("outcome") == "ok":
        row.bytes_moved = row.bytes_to_move = whole
        if row.sending_began_s is None:
            row.moved_s = float(seconds) if isinstance(seconds, int | float) else 0.0
    if facts.get("job"):
        row.job, row.job_state = str(facts["job"]), one_line(str(facts.get("state") or ""))
