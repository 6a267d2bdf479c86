"""A kept report read back: the JSON document as the same values that it was made from.

Fields that this version does not know are passed over, and those that an earlier version did not write are empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from hpcbake.errors import ExitCode, StateError
from hpcbake.report.document import SCHEMA_NAME
from hpcbake.report.records import (
    ErrorRecord,
    FileRecord,
    ImageRecord,
    NotificationRecord,
    Outcome,
    Release,
    RunRecord,
    ShipReport,
    SiteRecord,
    StageRecord,
    TargetRecord,
)

Members = Mapping[str, Any]
#: Errors by site and target; None where one does not apply.
Located = Mapping[tuple[str | None, str | None], ErrorRecord]


def parse_report(text: str | bytes, name: str) -> ShipReport:
    """The report of this text. `name` is what errors call it. Raises StateError."""
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA_NAME:
            raise ValueError(f"its schema is {document['schema']!r}")
        return _report(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise StateError(
            f"{name}: is no report of the form {SCHEMA_NAME}: {missing}",
            remedy="give the file that `--report` or a run wrote; reports of a newer hpcbake need that version",
        ) from error


def parse_utc(text: str) -> float | None:
    """Seconds since 1970 of `2026-01-31T12:00:00Z`, or None."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _report(document: Members) -> ShipReport:
    errors = [(item.get("site"), item.get("target"), _error(item, item["stage"])) for item in document["errors"]]
    located: Located = {(site, target): error for site, target, error in errors}
    run = _run(document["run"], _texts(document["command"]))
    code = ExitCode(document["exit"]["code"])
    return ShipReport(
        tool_version=str(document["tool"]["version"]),
        run=run,
        targets=tuple(_target(item, located.get((None, item["name"]))) for item in document["targets"]),
        sites=tuple(_site(item, located) for item in document["sites"]),
        bake_files=_files(document["inputs"]["bake_files"]),
        site_files=_files(document["inputs"]["sites"]),
        warnings=_texts(document["warnings"]),
        error=located.get((None, None)),
        interrupted_code=code if run.interrupted_by else None,
        notifications=tuple(map(_notification, document.get("notifications") or ())),
    )


def _notification(members: Members) -> NotificationRecord:
    return NotificationRecord(
        to=str(members["to"]),
        event=str(members["event"]),
        attempts=int(members["attempts"]),
        duration_s=float(members["duration_s"]),
        problem=str(members["problem"] or ""),
    )


def _run(members: Members, command: tuple[str, ...]) -> RunRecord:
    controller = members["controller"]
    return RunRecord(
        id=str(members["id"]),
        command=command,
        host=str(controller["host"]),
        user=str(controller["user"]),
        pid=int(controller["pid"]),
        boot_id=str(controller["boot_id"]),
        started=str(members["started"]),
        ended=str(members["ended"]),
        duration_s=float(members["duration_s"]),
        resumes=_maybe(members["resumes"]),
        interrupted_by=_maybe(members["interrupted_by"]),
        project=str(members.get("project") or ""),
    )


def _target(members: Members, error: ErrorRecord | None) -> TargetRecord:
    build = members["build"]
    return TargetRecord(
        name=str(members["name"]),
        platform=str(members["platform"]),
        build_status=str(build["status"]),
        digest=members["digest"] or "",
        reference=members["reference"] or "",
        tags=_texts(members["tags"]),
        blobs=int(members["push"]["readback"]["blobs"]),
        tags_moved=bool(members["tags_moved"]),
        log=build["log"] or "",
        error=error,
    )


def _site(members: Members, located: Located) -> SiteRecord:
    name, skew = str(members["name"]), members["clock_skew_s"]
    return SiteRecord(
        name=name,
        images=tuple(_image(item, located.get((name, item["target"]))) for item in members["images"]),
        host_key=members["host_key"] or "",
        clock_skew_s=None if skew is None else float(skew),
        notes=_texts(members["notes"]),
        left_behind=_texts(members["left_behind"]),
    )


def _image(members: Members, error: ErrorRecord | None) -> ImageRecord:
    stages = tuple(map(_stage, members["stages"]))
    # The step's own record tells more than the list of errors did in earlier versions.
    own = next((stage.error for stage in reversed(stages) if stage.error is not None), None)
    return ImageRecord(
        target=str(members["target"]),
        wanted=members["wanted"] or "",
        outcome=Outcome(members["outcome"]),
        stages=stages,
        before=_release(members["before"]),
        after=_release(members["after"]),
        changed=bool(members["changed"]),
        error=own if error is not None and own is not None else error,
    )


def _release(members: Members | None) -> Release | None:
    if members is None:
        return None
    return Release(members["digest"] or "", members["sif_sha256"] or "", members["path"] or "")


def _stage(members: Members) -> StageRecord:
    name, error = str(members["name"]), members["error"]
    return StageRecord(
        name=name,
        status=Outcome(members["status"]).value,
        started=str(members["started"]),
        duration_s=float(members["duration_s"]),
        evidence=_evidence(members),
        error=None if error is None else _error(error, name),
    )


def _error(members: Members, stage: str) -> ErrorRecord:
    return ErrorRecord(
        stage=str(stage),
        kind=str(members["kind"]),
        code=ExitCode(members["code"]),
        message=str(members["message"]),
        remedy=str(members["remedy"]),
        retryable=bool(members.get("retryable", False)),
        evidence=_evidence(members),
    )


def _evidence(members: Members) -> dict[str, object]:
    return dict(members.get("evidence") or {})


def _files(items: list[Members]) -> tuple[FileRecord, ...]:
    return tuple(FileRecord(str(item["path"]), str(item["sha256"])) for item in items)


def _texts(items: list[object]) -> tuple[str, ...]:
    return tuple(map(str, items))


def _maybe(value: object) -> str | None:
    return None if value is None else str(value)
