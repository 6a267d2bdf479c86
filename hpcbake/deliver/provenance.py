"""The provenance file beside a SIF: what it is, how it got there, who vouched for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hpcbake.model.artefacts import BuiltImage, SmokeResult
from hpcbake.model.verdict import CompatReport

KIND = "hpcbake.provenance"


def render_provenance(
    image: BuiltImage,
    *,
    run: str,
    created: str,
    tool_version: str,
    check: CompatReport | None,
    smoke: Sequence[SmokeResult] = (),
    facts: Mapping[str, object] | None = None,
    revision: str = "",
    expose: Sequence[str] = (),
) -> str:
    """The document with one top-level `"key": value` per line, as scripts on the site read it.

    Before the SIF exists its facts are placeholders (`@SIF_SHA256@`, `@SIZE_BYTES@`, `@MTIME@`) that the script on the
    site fills in with what it measured. `revision` is the source commit (a promotion that does not
    know it keeps what was known), `expose` the commands that have wrappers.
    """
    known = facts or {}
    document: dict[str, object] = {
        "kind": KIND,
        "version": 1,
        "image": image.name,
        "tag": image.version,
        "reference": str(image.reference),
        "digest": str(image.digest),
        "sif_sha256": known.get("sif_sha256", "@SIF_SHA256@"),
        "size_bytes": known.get("size_bytes", "@SIZE_BYTES@"),
        "mtime": "@MTIME@",
        "way": known.get("way", "@WAY@"),
        "content": known.get("content", "@CONTENT@"),
        "delivered": "@DELIVERED@" if smoke else created,
        "promoted": created if smoke else None,
        "run": run,
        "tool": f"hpcbake {tool_version}",
        "revision": revision or ("@REVISION@" if smoke else None),
        "verdict": None if check is None else check.verdict.value,
        "tested": "@TESTED@" if smoke else None,
        "check": None if check is None else {"verdict": check.verdict.value, "site": check.site},
        "expose": " ".join(expose),
        "smoke": [_smoke_entry(result) for result in smoke],
    }
    text = json.dumps(document, indent=2)
    for placeholder in ("@SIZE_BYTES@", "@MTIME@", "@TESTED@"):
        text = text.replace(f'"{placeholder}"', placeholder)
    return text


def _smoke_entry(result: SmokeResult) -> dict[str, object]:
    return {
        "test": result.test,
        "key": result.key,
        "status": result.status.value,
        "job_id": result.job_id,
        "node": result.node,
        "duration_s": result.duration_s,
        "max_rss_kb": result.max_rss_kb,
        "memory_by": result.memory_by,
        "figures": dict(result.figures),
        **({"reason": result.reason} if result.reason else {}),
    }


def parse_provenance(text: str) -> dict[str, Any]:
    """The document, or an empty dict when it is not one: a damaged file proves nothing."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) and document.get("kind") == KIND else {}
