"""A forecast as one JSON document, `hpcbake.plan/1`, and its JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from hpcbake.catalogue import error_code
from hpcbake.errors import RETRYABLE_CODES, ExitCode
from hpcbake.model.verdict import Verdict
from hpcbake.report.records import ErrorRecord
from hpcbake.report.schema import KIND_FAMILIES
from hpcbake.ship.forecast import Action, Forecast, ImageForecast, TargetForecast

PLAN_SCHEMA_NAME = "hpcbake.plan/1"


def render_plan(forecast: Forecast) -> str:
    """The document as text. Bytes that were no UTF-8 travel as escapes; what JSON has not becomes text."""
    return json.dumps(plan_document(forecast), indent=2, ensure_ascii=True, default=str) + "\n"


def plan_document(forecast: Forecast) -> dict[str, Any]:
    """The document as plain values."""
    code = forecast.code
    return {
        "schema": PLAN_SCHEMA_NAME,
        "kind": "hpcbake.plan",
        "version": 1,
        "tool": {"version": forecast.tool_version},
        "exit": {"code": int(code), "name": code.name, "retryable": code in RETRYABLE_CODES},
        "changes": forecast.has_changes,
        "targets": [_target(target) for target in forecast.targets],
        "sites": [{"name": site.name, "images": [_image(image) for image in site.images]} for site in forecast.sites],
        "warnings": list(forecast.warnings),
        "summary": forecast.summary(),
        "error": _error(forecast.error),
    }


def _target(target: TargetForecast) -> dict[str, Any]:
    return {
        "name": target.name,
        "reference": target.reference,
        "digest": target.digest or None,
        "needs_build": target.needs_build,
        "found_at": target.found_at or None,
        "tags": list(target.tags),
        "error": _error(target.error),
    }


def _image(image: ImageForecast) -> dict[str, Any]:
    return {
        "target": image.target,
        "action": image.action.value,
        "reason": image.reason,
        "code": int(image.code),
        "wanted": image.wanted or None,
        "current": image.current or None,
        "check": image.verdict or None,
        "way": image.way or None,
        "why": image.why or None,
        "bytes": image.size_bytes,
        "bytes_exact": image.size_is_exact,
        "jobs": list(image.jobs),
        "error": _error(image.error),
    }


def _error(error: ErrorRecord | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "stage": error.stage,
        "kind": error.kind,
        "error_code": error_code(error.kind),
        "code": int(error.code),
        "message": error.message,
        "remedy": error.remedy,
        "retryable": error.retryable,
        "evidence": {str(key): value for key, value in error.evidence.items()},
    }


_TEXT: dict[str, Any] = {"type": "string"}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_FLAG: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_DIGEST: dict[str, Any] = {"type": ["string", "null"], "pattern": "^sha256:[0-9a-f]{64}$"}
_CODE: dict[str, Any] = {"enum": [int(code) for code in ExitCode]}
_KIND: dict[str, Any] = {"type": "string", "pattern": rf"^(?:{'|'.join(KIND_FAMILIES)})\.[a-z0-9-]+$"}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def plan_schema() -> dict[str, Any]:
    """The schema as plain values. Unknown fields are allowed; one that goes away needs version 2."""
    error: dict[str, Any] = _object(
        stage={"enum": ["resolve", "check", "survey", "plan", "promote", "site"]},
        kind=_KIND,
        code=_CODE,
        message=_TEXT,
        remedy=_TEXT,
        retryable=_FLAG,
        evidence={"type": "object"},
    )
    error["properties"]["error_code"] = {"type": "string", "pattern": r"^(?:HB-[A-Z]+-\d{3})?$"}
    maybe_error = {"anyOf": [{"type": "null"}, error]}
    target = _object(
        name=_TEXT,
        reference=_TEXT,
        digest=_DIGEST,
        needs_build=_FLAG,
        found_at=_MAYBE_TEXT,
        tags=_list_of(_TEXT),
        error=maybe_error,
    )
    image = _object(
        target=_TEXT,
        action={"enum": [action.value for action in Action]},
        reason=_TEXT,
        code=_CODE,
        wanted=_DIGEST,
        current=_DIGEST,
        check={"enum": [*(verdict.value for verdict in Verdict), None]},
        way={"enum": ["oras", "docker", "job", "stream", None]},
        why=_MAYBE_TEXT,
        bytes={"type": ["integer", "null"], "minimum": 0},
        bytes_exact=_FLAG,
        jobs=_list_of(_TEXT),
        error=maybe_error,
    )
    counts = {action.value: _COUNT for action in Action}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpcbake plan",
        **_object(
            schema={"const": PLAN_SCHEMA_NAME},
            kind={"const": "hpcbake.plan"},
            version={"const": 1},
            tool=_object(version=_TEXT),
            exit=_object(code=_CODE, name=_TEXT, retryable=_FLAG),
            changes=_FLAG,
            targets=_list_of(target),
            sites=_list_of(_object(name=_TEXT, images=_list_of(image))),
            warnings=_list_of(_TEXT),
            summary=_object(**counts, bytes=_COUNT, jobs=_COUNT),
            error=maybe_error,
        ),
    }


def render_plan_schema() -> str:
    """The schema as the text of `docs/reference/plan.schema.json`."""
    return json.dumps(plan_schema(), indent=2) + "\n"
