"""Progress for programs: one JSON document per line, `hpcbake.progress/1`, and its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO

from hpcbake.report.progress.event import Event, Progress, Times

if TYPE_CHECKING:
    from rich.console import RenderableType

PROGRESS_SCHEMA_NAME = "hpcbake.progress/1"
STATUSES = ("begin", "note", "moved", "done", "failed")


class RawJsonProgress(Progress):
    """Every event on a line of its own, in order, each with a number."""

    def __init__(self, stream: TextIO, times: Times) -> None:
        super().__init__(stream, times)
        self._seq = 0

    def hear(self, event: Event) -> None:
        self._emit(
            "step",
            event.elapsed_s,
            event.time_s,
            stage=event.stage,
            site=event.site or None,
            image=event.image or None,
            status=event.status,
            text=event.text,
            facts=dict(event.facts),
        )

    def planned(self, document: Mapping[str, object]) -> None:
        with self._lock:
            self._emit_now("plan", plan=dict(document))

    def begun(self, run: str, resumes: str | None) -> None:
        with self._lock:
            self._emit_now("begin", run=run, resumes=resumes)

    def ended(self, code: int) -> None:
        with self._lock:
            self._emit_now("end", code=code)

    def show(self, what: RenderableType, out: Callable[[RenderableType], None], *, is_here: bool) -> None:
        """Tables are for people; the plan comes as an event."""

    def _emit_now(self, event: str, **members: object) -> None:
        self._emit(event, self._times.monotonic() - self._began, self._times.now(), **members)

    def _emit(self, event: str, elapsed_s: float, time_s: float, **members: object) -> None:
        self._seq += 1
        moment = datetime.fromtimestamp(time_s, timezone.utc).isoformat(timespec="milliseconds")
        document = {
            "schema": PROGRESS_SCHEMA_NAME,
            "seq": self._seq,
            "time": moment.replace("+00:00", "Z"),
            "elapsed_s": round(elapsed_s, 3),
            "event": event,
            **members,
        }
        self.write(json.dumps(document, ensure_ascii=True, default=str))


def progress_schema() -> dict[str, Any]:
    """The schema of one line. Unknown members and facts are allowed; one that goes away needs version 2."""
    text, maybe_text, number = {"type": "string"}, {"type": ["string", "null"]}, {"type": "number", "minimum": 0}
    facts = {
        "type": "object",
        "properties": {
            "bytes": {"type": "integer", "description": "bytes of the SIF that was brought"},
            "bytes_to_move": {"type": "integer", "description": "bytes that a delivery is going to move"},
            "bytes_moved": {"type": "integer", "description": "bytes that have gone so far, where this machine sends"},
            "seconds": {"type": "number", "description": "how long the step took"},
            "outcome": {"type": "string", "description": "how it ended: ok, unchanged, failed, inconclusive, …"},
            "job": {"type": "string", "description": "Slurm's number of the smoke job"},
            "state": {"type": "string", "description": "what Slurm says of the job"},
            "kind": {"type": "string", "description": "the kind of a failure"},
            "way": {"type": "string", "description": "the way of the delivery"},
        },
    }
    step = {
        "required": ["stage", "site", "image", "status", "text", "facts"],
        "properties": {
            "stage": text,
            "site": maybe_text,
            "image": maybe_text,
            "status": {"enum": list(STATUSES)},
            "text": text,
            "facts": facts,
        },
    }
    kinds = {
        "begin": {"required": ["run", "resumes"], "properties": {"run": text, "resumes": maybe_text}},
        "plan": {
            "required": ["plan"],
            "properties": {"plan": {"type": "object", "description": "see plan.schema.json"}},
        },
        "step": step,
        "end": {"required": ["code"], "properties": {"code": {"type": "integer"}}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpcbake progress: one line of --progress rawjson",
        "type": "object",
        "required": ["schema", "seq", "time", "elapsed_s", "event"],
        "properties": {
            "schema": {"const": PROGRESS_SCHEMA_NAME},
            "seq": {"type": "integer", "minimum": 1},
            "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
            "elapsed_s": number,
            "event": {"enum": list(kinds)},
        },
        "allOf": [
            {"if": {"properties": {"event": {"const": name}}}, "then": members} for name, members in kinds.items()
        ],
    }


def render_progress_schema() -> str:
    """The schema as the text of `docs/reference/progress.schema.json`."""
    return json.dumps(progress_schema(), indent=2, ensure_ascii=False) + "\n"
