"""What the doctor found as a JSON document, and the schema of that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hpcbake.model.late import dataclass
from hpcbake.sites.examine import Level, Line

#: How this machine is called among the places.
HERE = "this machine"


@dataclass(frozen=True)
class Diagnosis:
    """All facts of one place: this machine, or a site by its name."""

    place: str
    lines: tuple[Line, ...]

    @property
    def has_failed(self) -> bool:
        return any(line.level is Level.FAIL for line in self.lines)


def count(diagnoses: Sequence[Diagnosis], level: Level) -> int:
    return sum(line.level is level for diagnosis in diagnoses for line in diagnosis.lines)


def diagnosis_as_json(diagnoses: Sequence[Diagnosis], exit_code: int) -> dict[str, Any]:
    """The document `hpcbake.doctor`, version 1."""
    return {
        "kind": "hpcbake.doctor",
        "version": 1,
        "exit": exit_code,
        "places": [
            {
                "name": diagnosis.place,
                "is_site": diagnosis.place != HERE,
                "facts": [
                    {"fact": line.topic, "level": line.level.value, "text": line.text, "fix": line.fix}
                    for line in diagnosis.lines
                ],
            }
            for diagnosis in diagnoses
        ],
    }


def render_doctor_schema() -> str:
    """The JSON Schema of `hpcbake doctor --json`."""
    text = {"type": "string"}
    fact = _closed(fact=text, level={"enum": [level.value for level in Level]}, text=text, fix=text)
    place = _closed(name=text, is_site={"type": "boolean"}, facts={"type": "array", "items": fact})
    document = _closed(
        kind={"const": "hpcbake.doctor"},
        version={"const": 1},
        exit={"enum": [0, 11]},
        places={"type": "array", "items": place},
    )
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "hpcbake.doctor, version 1"}
    return json.dumps({**head, **document}, indent=2) + "\n"


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}
