"""The report as one JSON document, `hpcbake.report/1`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from hpcbake.catalogue import error_code
from hpcbake.errors import RETRYABLE_CODES
from hpcbake.report.records import ErrorRecord, ImageRecord, Release, ShipReport, SiteRecord, StageRecord, TargetRecord

SCHEMA_NAME = "hpcbake.report/1"


def render_report(report: ShipReport) -> str:
    """The document as text. Bytes that were no UTF-8 travel as `\\xNN` escapes, so it is valid JSON for any input."""
    return json.dumps(report_document(report), indent=2, ensure_ascii=True) + "\n"


def report_document(report: ShipReport) -> dict[str, Any]:
    """The document as plain values."""
    code = report.code
    return {
        "schema": SCHEMA_NAME,
        "kind": "hpcbake.report",
        "version": 1,
        "tool": {"version": report.tool_version},
        "command": list(report.run.command),
        "run": {
            "id": report.run.id,
            "project": report.run.project or None,
            "resumes": report.run.resumes,
            "controller": {
                "host": report.run.host,
                "pid": report.run.pid,
                "boot_id": report.run.boot_id,
                "user": report.run.user,
            },
            "started": report.run.started,
            "ended": report.run.ended,
            "duration_s": round(report.run.duration_s, 3),
            "interrupted_by": report.run.interrupted_by,
        },
        "exit": {"code": int(code), "name": code.name, "retryable": code in RETRYABLE_CODES},
        "inputs": {
            "bake_files": [{"path": file.path, "sha256": file.sha256} for file in report.bake_files],
            "sites": [{"path": file.path, "sha256": file.sha256} for file in report.site_files],
        },
        "targets": [_target(target) for target in report.targets],
        "sites": [_site(site) for site in report.sites],
        "errors": _errors(report),
        "warnings": list(report.warnings),
        "summary": report.summary(),
        "notifications": [
            {
                "to": told.to,
                "event": told.event,
                "status": "failed" if told.problem else "ok",
                "attempts": told.attempts,
                "duration_s": round(told.duration_s, 3),
                "problem": told.problem or None,
            }
            for told in report.notifications
        ],
    }


def _target(target: TargetRecord) -> dict[str, Any]:
    return {
        "name": target.name,
        "platform": target.platform,
        "digest": target.digest or None,
        "reference": target.reference or None,
        "tags": list(target.tags),
        "tags_moved": target.tags_moved,
        "build": {"status": target.build_status, "log": target.log or None, "error": _error(target.error)},
        "push": {
            "status": "ok" if target.digest else "skipped",
            "readback": {"manifest_sha256": target.digest or None, "blobs": target.blobs, "missing": []},
        },
    }


def _site(site: SiteRecord) -> dict[str, Any]:
    return {
        "name": site.name,
        "outcome": site.outcome.value,
        "code": int(site.code),
        "host_key": site.host_key or None,
        "clock_skew_s": site.clock_skew_s,
        "images": [_image(image) for image in site.images],
        "notes": list(site.notes),
        "left_behind": list(site.left_behind),
    }


def _image(image: ImageRecord) -> dict[str, Any]:
    return {
        "target": image.target,
        "wanted": image.wanted or None,
        "outcome": image.outcome.value,
        "code": int(image.code),
        "before": _release(image.before),
        "after": _release(image.after),
        "changed": image.changed,
        "stages": [_stage(stage) for stage in image.stages],
    }


def _release(release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    return {"digest": release.digest, "sif_sha256": release.sif_sha256 or None, "path": release.path or None}


def _stage(stage: StageRecord) -> dict[str, Any]:
    return {
        "name": stage.name,
        "status": stage.status,
        "started": stage.started,
        "duration_s": round(stage.duration_s, 3),
        "evidence": _plain(stage.evidence),
        "error": _error(stage.error),
    }


def _error(error: ErrorRecord | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "kind": error.kind,
        "error_code": error_code(error.kind),
        "code": int(error.code),
        "message": error.message,
        "remedy": error.remedy,
        "retryable": error.retryable,
        "evidence": _plain(error.evidence),
    }


def _plain(value: object) -> Any:
    """A value as JSON has it; what JSON has not becomes text, so that no evidence can spoil the report."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if value is None or isinstance(value, bool | str) or is_number else str(value)


def _errors(report: ShipReport) -> list[dict[str, Any]]:
    """Every failure once, with where it happened and the command that comes next."""
    found: list[dict[str, Any]] = []
    if report.error is not None:
        found.append(_located(report.error, None, None, changed=False))
    found += [_located(target.error, None, target.name, changed=False) for target in report.targets if target.error]
    for site in report.sites:
        for image in site.images:
            if image.error is not None:
                found.append(_located(image.error, site.name, image.target, changed=image.changed))
    return found


def _located(error: ErrorRecord, site: str | None, target: str | None, *, changed: bool) -> dict[str, Any]:
    flags = (f" --site {site}" if site else "") + (f" --target {target}" if target else "")
    return {
        "site": site,
        "target": target,
        "stage": error.stage,
        "kind": error.kind,
        "error_code": error_code(error.kind),
        "code": int(error.code),
        "message": error.message,
        "remedy": error.remedy,
        "retryable": error.retryable,
        "evidence": _plain(error.evidence),
        "changed": changed,
        "next": f"hpcbake ship{flags}",
    }
