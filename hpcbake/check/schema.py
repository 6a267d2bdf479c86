"""The JSON Schema of what `hpcbake check --json` prints. Fields may be added; one that goes away needs version 2."""

from __future__ import annotations

import json
from typing import Any

from hpcbake.check.rules import RULES
from hpcbake.errors import ExitCode
from hpcbake.model.verdict import Severity, Verdict


def _text(doc: str) -> dict[str, Any]:
    return {"type": "string", "description": doc}


def _number(doc: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "description": doc}


def _list_of(item: dict[str, Any], doc: str) -> dict[str, Any]:
    return {"type": "array", "items": item, "description": doc}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_DIGEST = {
    "type": ["string", "null"],
    "pattern": "^sha256:[0-9a-f]{64}$",
    "description": "the manifest's digest (the image id for `docker save` of old); null for what has none",
}
_LAYER = _object(
    number=_number("1 is the lowest"),
    digest=_text("digest of the compressed layer; empty for folders and SIFs"),
    size_bytes=_number("compressed"),
    instruction=_text("the line of the history that made it, with file and line where the Dockerfile is at hand"),
)
_IMAGE = _object(
    name=_text("what the user called it"),
    digest=_DIGEST,
    platform=_text("linux/amd64"),
    size_bytes=_number("sum of the compressed layers"),
    layers=_list_of(_LAYER, "lowest first"),
)
_FINDING = _object(
    rule={"enum": sorted(rule.id for rule in RULES), "description": "which rule saw it"},
    severity={"enum": [severity.value for severity in Severity], "description": "how much it weighs"},
    subject=_text("the path or thing to look at first"),
    message=_text("one sentence; control characters are spelled out"),
    remedy=_text("what to change; several ways are parted by `; or `"),
    origin=_text("`layer 5: COPY …`, the instruction that brought it in; empty when unknown"),
    paths=_list_of({"type": "string"}, "all files concerned, at most 1000"),
    evidence={"type": "object", "description": "what the rule saw, by rule; for people and for debugging"},
)
_SITE = _object(
    name=_text("the site or profile"),
    verdict={"enum": [verdict.value for verdict in Verdict], "description": "what the findings add up to"},
    findings=_list_of(_FINDING, "the gravest first"),
    facts={"type": "object", "description": "what the verdict rests on: glibc, arch, counts, what was not checked"},
)


def check_schema() -> dict[str, Any]:
    """The schema as plain values."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpcbake check",
        "description": "what `hpcbake check --json` prints: one image, judged for each site",
        **_object(
            kind={"const": "hpcbake.check"},
            version={"const": 1},
            exit={"enum": [int(code) for code in ExitCode], "description": "the exit code of the command"},
            image=_IMAGE,
            sites=_list_of(_SITE, "in the order in which they were named"),
        ),
    }


def render_check_schema() -> str:
    """The schema as the file in docs/reference holds it."""
    return json.dumps(check_schema(), indent=2) + "\n"
