"""The JSON Schema of the report. Unknown fields are allowed on reading; a field that goes away needs version 2."""

from __future__ import annotations

import json
from typing import Any

from hpcbake.errors import ExitCode
from hpcbake.report.document import SCHEMA_NAME
from hpcbake.report.records import Outcome

#: First parts of the closed list of error kinds.
KIND_FAMILIES = ("registry", "ssh", "site", "slurm", "image", "config", "state", "lock", "internal")

_TEXT: dict[str, Any] = {"type": "string"}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_DIGEST: dict[str, Any] = {"type": ["string", "null"], "pattern": "^sha256:[0-9a-f]{64}$"}
_TIME: dict[str, Any] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
_SECONDS: dict[str, Any] = {"type": "number", "minimum": 0}
_CODE: dict[str, Any] = {"enum": [int(code) for code in ExitCode]}
_OUTCOME: dict[str, Any] = {"enum": [outcome.value for outcome in Outcome]}
_KIND: dict[str, Any] = {"type": "string", "pattern": rf"^(?:{'|'.join(KIND_FAMILIES)})\.[a-z0-9-]+$"}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _with_later(schema: dict[str, Any], **properties: dict[str, Any]) -> dict[str, Any]:
    """The schema with fields that reports of earlier versions have not."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def _list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "null"}, schema]}


_ERROR_CODE: dict[str, Any] = {"type": "string", "pattern": r"^(?:HB-[A-Z]+-\d{3})?$"}
_ERROR = _with_later(
    _object(
        kind=_KIND,
        code=_CODE,
        message=_TEXT,
        remedy=_TEXT,
        retryable={"type": "boolean"},
        evidence={"type": "object"},
    ),
    error_code=_ERROR_CODE,
)
_RELEASE = _object(digest=_DIGEST, sif_sha256=_MAYBE_TEXT, path=_MAYBE_TEXT)
_STAGE = _object(
    name={"enum": ["survey", "check", "deliver", "smoke", "promote"]},
    status=_OUTCOME,
    started=_TIME,
    duration_s=_SECONDS,
    evidence={"type": "object"},
    error=_maybe(_ERROR),
)
_IMAGE = _object(
    target=_TEXT,
    wanted=_DIGEST,
    outcome=_OUTCOME,
    code=_CODE,
    before=_maybe(_RELEASE),
    after=_maybe(_RELEASE),
    changed={"type": "boolean"},
    stages=_list_of(_STAGE),
)
_SITE = _object(
    name=_TEXT,
    outcome=_OUTCOME,
    code=_CODE,
    host_key=_MAYBE_TEXT,
    clock_skew_s={"type": ["number", "null"]},
    images=_list_of(_IMAGE),
    notes=_list_of(_TEXT),
    left_behind=_list_of(_TEXT),
)
_TARGET = _object(
    name=_TEXT,
    platform=_TEXT,
    digest=_DIGEST,
    reference=_MAYBE_TEXT,
    tags=_list_of(_TEXT),
    tags_moved={"type": "boolean"},
    build=_object(status=_TEXT, log=_MAYBE_TEXT, error=_maybe(_ERROR)),
    push=_object(
        status=_TEXT,
        readback=_object(manifest_sha256=_DIGEST, blobs={"type": "integer", "minimum": 0}, missing=_list_of(_TEXT)),
    ),
)
_LOCATED_ERROR = _with_later(
    _object(
        site=_MAYBE_TEXT,
        target=_MAYBE_TEXT,
        stage=_TEXT,
        kind=_KIND,
        code=_CODE,
        message=_TEXT,
        remedy=_TEXT,
        changed={"type": "boolean"},
        next=_TEXT,
    ),
    retryable={"type": "boolean"},
    evidence={"type": "object"},
    error_code=_ERROR_CODE,
)
_RUN = _with_later(
    _object(
        id=_TEXT,
        resumes=_MAYBE_TEXT,
        controller=_object(host=_TEXT, pid={"type": "integer"}, boot_id=_TEXT, user=_TEXT),
        started=_TIME,
        ended=_TIME,
        duration_s=_SECONDS,
        interrupted_by=_MAYBE_TEXT,
    ),
    project=_MAYBE_TEXT,
)
_NOTIFICATION = _object(
    to=_TEXT,
    event=_TEXT,
    status={"enum": ["ok", "failed"]},
    attempts={"type": "integer", "minimum": 0},
    duration_s=_SECONDS,
    problem=_MAYBE_TEXT,
)
_FILE = _object(path=_TEXT, sha256=_TEXT)


def report_schema() -> dict[str, Any]:
    """The schema as plain values."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpcbake ship report",
        **_with_later(
            _object(
                schema={"const": SCHEMA_NAME},
                kind={"const": "hpcbake.report"},
                version={"const": 1},
                tool=_object(version=_TEXT),
                command=_list_of(_TEXT),
                run=_RUN,
                exit=_object(code=_CODE, name=_TEXT, retryable={"type": "boolean"}),
                inputs=_object(bake_files=_list_of(_FILE), sites=_list_of(_FILE)),
                targets=_list_of(_TARGET),
                sites=_list_of(_SITE),
                errors=_list_of(_LOCATED_ERROR),
                warnings=_list_of(_TEXT),
                summary={"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
            ),
            notifications=_list_of(_NOTIFICATION),
        ),
    }


def render_report_schema() -> str:
    """The schema as the text of `docs/reference/report.schema.json`."""
    return json.dumps(report_schema(), indent=2) + "\n"
