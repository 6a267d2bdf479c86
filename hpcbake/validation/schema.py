"""JSON Schemas of the policy file, for editors, and of what `hpcbake validate` says, for programs."""

from __future__ import annotations

import json
from typing import Any

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def render_policy_schema() -> str:
    """The JSON Schema of `hpcbake-check.yaml`."""
    from hpcbake.check.policy import POLICY  # imported late: many rules

    title = {"$schema": _DRAFT, "title": "hpcbake policy of the check", "description": POLICY.doc}
    return json.dumps({**title, **POLICY.schema()}, indent=2) + "\n"


def render_validation_schema() -> str:
    """The JSON Schema of `hpcbake validate --json`."""
    text, number = {"type": "string"}, {"type": "integer", "minimum": 1}
    document = _closed(
        kind={"const": "hpcbake.validation"},
        version={"const": 1},
        exit={"enum": [0, 10]},
        files=_list_of(_closed(path=text, kind=text)),
        problems=_list_of(
            _closed(
                path=text,
                line=number,
                column=number,
                severity={"enum": ["error", "warning"]},
                code=text,
                message=text,
                help=text,
            )
        ),
    )
    title = {"$schema": _DRAFT, "title": "hpcbake.validation, version 1"}
    return json.dumps({**title, **document}, indent=2) + "\n"


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
