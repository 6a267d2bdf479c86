"""The catalog beside the SIFs, as programs read it: what `catalog.json` of a store holds. The site itself writes it."""

from __future__ import annotations

from typing import Any

KIND = "hpcbake.catalog"
VERSION = 1

_DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}


def _text_or_null(doc: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": doc}


_RELEASE: dict[str, dict[str, Any]] = {
    "digest": {**_DIGEST, "description": "digest of the image's linux/amd64 manifest: what identifies the release"},
    "tag": {"type": "string", "description": "the tag that it was promoted under; tags move"},
    "current": {"type": "boolean", "description": "whether it is what users get who name no release"},
    "sif": {"type": "string", "description": "path of the SIF; its bytes never change"},
    "sif_sha256": _text_or_null("sha256 of the SIF, read right before it was promoted"),
    "size_bytes": {"type": ["integer", "null"], "description": "size of the SIF"},
    "load": _text_or_null("line that loads its module; null where its tag means a newer release now"),
    "run": {"type": "string", "description": "line that runs a COMMAND of it without modules"},
    "reference": _text_or_null("address of the image with its digest"),
    "revision": _text_or_null("source commit that it was built from, `-dirty` where files differed from it"),
    "verdict": _text_or_null("verdict of the check for this site: PASS or WARN"),
    "delivered": _text_or_null("when it came here, UTC"),
    "tested": _text_or_null("when its smoke job ended, UTC"),
    "promoted": _text_or_null("when the run began that promoted it, UTC"),
    "smoke": {
        "type": "array",
        "description": "its smoke tests: test, key, status, job_id, node, duration_s, figures",
        "items": {"type": "object", "required": ["test", "status", "job_id", "node"]},
    },
    "cite": {"type": "string", "description": "the line for a paper"},
}

_IMAGE: dict[str, dict[str, Any]] = {
    "name": {"type": "string", "description": "name of the image: its folder, and its module"},
    "current": {"anyOf": [_DIGEST, {"type": "null"}], "description": "digest of the current release"},
    "held": {"type": "boolean", "description": "whether somebody keeps it at that release"},
    "releases": {
        "type": "array",
        "description": "releases that were promoted once and are still there",
        "items": {"type": "object", "required": list(_RELEASE), "properties": _RELEASE},
    },
}


def catalog_schema() -> dict[str, Any]:
    """The JSON Schema of `catalog.json`. Unknown members are to be tolerated; none of these goes within version 1."""
    members = {
        "kind": {"const": KIND},
        "version": {"const": VERSION},
        "site": {"type": "string", "description": "name of the site"},
        "root": {"type": "string", "description": "folder of the store"},
        "modules": {"type": "string", "description": "folder for `module use`"},
        "images": {
            "type": "array",
            "description": "every image of the store",
            "items": {"type": "object", "required": list(_IMAGE), "properties": _IMAGE},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpcbake catalog",
        "type": "object",
        "required": list(members),
        "properties": members,
    }
