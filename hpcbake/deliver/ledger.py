"""The ledger of a site: what users were given and what was taken away, as lines that cannot be edited unseen.

A line's place in the file is its sequence number; every line holds the sha256 of the line before it. Order is that of
the lines, never that of clocks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from hpcbake.model.late import dataclass

#: Acts after which `current` names the digest of the line.
MOVES = ("promoted", "rolled-back")
#: The line before such an act, on disk before anything moves.
INTENTS = {"promoting": "promoted", "rolling-back": "rolled-back"}


@dataclass(frozen=True)
class LedgerEntry:
    """One line. `time_s` is the site's clock, in seconds; `was` the text of `current` before; `by` who asked."""

    seq: int
    act: str
    image: str
    digest: str
    tag: str
    was: str
    run: str
    time_s: int
    by: str = ""
    sif_sha256: str = ""
    smoke: tuple[Mapping[str, str], ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Ledger:
    """The lines that could be read, in order, and where the chain breaks, in words (empty: nowhere)."""

    entries: tuple[LedgerEntry, ...] = field(default=())
    broken: str = ""


def render_facts(by: str, sif_sha256: str, smoke: Sequence[SmokeResult]) -> str:
    """The members of a ledger line that only the controller knows, as JSON without braces."""
    jobs = [
        {"test": result.test, "job": result.job_id, "node": result.node}
        for result in smoke
        if result.status is SmokeStatus.PASSED
    ]
    return render_members(by=by, sif_sha256=sif_sha256, smoke=jobs)


def render_members(**members: object) -> str:
    """JSON members without braces, in one line of ASCII."""
    return json.dumps(members, separators=(",", ":"))[1:-1]


def parse_ledger(text: str, *, first: int = 1) -> Ledger:
    """Read a ledger, or its end that begins with line `first`.

    The first line's own predecessor is taken on trust when it was not sent. A line that a power cut tore names
    nothing; the line after it vouches for its bytes.
    """
    entries: list[LedgerEntry] = []
    previous = "" if first > 1 else hashlib.sha256(b"").hexdigest()
    broken = ""
    for number, line in enumerate(_whole_lines(text), start=first):
        document = _read_line(line)
        if document and previous and document.get("prev") != previous and not broken:
            at = max(number - 1, first)
            broken = (
                f"ledger.jsonl:{at}: was changed: its sha256 is {previous}, "
                f"line {number} was written after {document.get('prev')}"
            )
        if document:
            entries.append(_entry(number, document))
        previous = hashlib.sha256(line.encode("utf-8", "surrogateescape") + b"\n").hexdigest()
    return Ledger(tuple(entries), broken)


def _whole_lines(text: str) -> Iterator[str]:
    lines = text.split("\n")
    # What stands behind the last newline was torn, and no act has built on it.
    yield from lines[:-1]


def _read_line(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _entry(number: int, document: Mapping[str, Any]) -> LedgerEntry:
    smoke = document.get("smoke")
    time = document.get("time")
    return LedgerEntry(
        seq=number,
        act=str(document.get("act", "")),
        image=str(document.get("image", "")),
        digest=str(document.get("digest", "")),
        tag=str(document.get("tag", "")),
        was=str(document.get("was", "")),
        run=str(document.get("run", "")),
        time_s=time if isinstance(time, int) else 0,
        by=str(document.get("by", "")),
        sif_sha256=str(document.get("sif_sha256", "")),
        smoke=tuple(
            {str(key): str(value) for key, value in item.items()}
            for item in (smoke if isinstance(smoke, list) else ())
            if isinstance(item, dict)
        ),
        why=str(document.get("why", "")),
    )


def unfinished(entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """The act that a run began and did not note as done: it died, or is at it. Only the last act can be one."""
    last = next((entry for entry in reversed(entries) if entry.act), None)
    return last if last is not None and last.act in INTENTS else None


def promised(entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Image → the digest that `current` must name, by the ledger."""
    return {entry.image: entry.digest for entry in entries if entry.act in MOVES}


def releases_by_age(entries: Sequence[LedgerEntry], image: str) -> list[str]:
    """Every digest that was current once, the one that became it last first."""
    seen = [entry.digest for entry in reversed(entries) if entry.image == image and entry.act in MOVES]
    return list(dict.fromkeys(seen))


def rollback_path(entries: Sequence[LedgerEntry], image: str) -> list[str]:
    """The digests that led to the current one, oldest first, current last: what a rollback walks back along.

    A rollback takes away what came after its target, so that a second rollback goes one further back.
    """
    path: list[str] = []
    for entry in entries:
        if entry.image != image or entry.act not in MOVES:
            continue
        if entry.act == "rolled-back" and entry.digest in path:
            del path[path.index(entry.digest) + 1 :]
        elif not path or path[-1] != entry.digest:
            path.append(entry.digest)
    return path
