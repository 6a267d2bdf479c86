"""What other programs are told of a run: which events it was, one document, one text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hpcbake.errors import RETRYABLE_CODES, ExitCode
from hpcbake.report.printable import printable
from hpcbake.report.records import Outcome, RunRecord, ShipReport
from hpcbake.report.words import failures

#: A notice tells of so many causes; the report has all.
_MAX_FAILURES = 20
#: Chat programs cut long messages; a text ends before that.
_MAX_CAUSES_IN_TEXT = 3
_MAX_MESSAGE = 300


def events_of(report: ShipReport, before: ExitCode | None) -> tuple[str, ...]:
    """The events that a run's end is. `before` is how the run before it in this folder ended, if there was one."""
    is_good = report.code is ExitCode.OK
    found = ["succeeded" if is_good else "failed"]
    if any(image.changed for site in report.sites for image in site.images):
        found.append("changed")
    if is_good and before is not None and before is not ExitCode.OK:
        found.append("recovered")
    return tuple(found)


def start_document(run: RunRecord) -> dict[str, Any]:
    """The notice that a run begins."""
    text = f"hpcbake: {_project(run)}: a run begins on {run.host}"
    return {"kind": "hpcbake.notice", "version": 1, "event": "started", "text": text, "run": _run(run)}


def end_document(report: ShipReport, event: str) -> dict[str, Any]:
    """The notice of a run's end, for one event of it."""
    groups = failures(report)
    return {
        "kind": "hpcbake.notice",
        "version": 1,
        "event": event,
        "text": notice_text(report, event),
        "run": {**_run(report.run), "ended": report.run.ended, "duration_s": round(report.run.duration_s, 3)},
        "exit": {"code": int(report.code), "name": report.code.name, "retryable": report.code in RETRYABLE_CODES},
        "outcomes": _outcomes(report),
        "changed": [
            {"image": image.target, "site": site.name, "digest": image.after.digest if image.after else None}
            for site in report.sites
            for image in site.images
            if image.changed
        ],
        "failures": [
            {
                "images": list(group.targets),
                "sites": list(group.sites),
                "stage": group.stage,
                "kind": group.kind,
                "message": group.message,
                "remedy": group.remedy,
                "next": group.next,
            }
            for group in groups[:_MAX_FAILURES]
        ],
        "failures_left_out": max(0, len(groups) - _MAX_FAILURES),
    }


def notice_text(report: ShipReport, event: str) -> str:
    """The run in a few lines for people in a chat: what broke, where, and what to do."""
    counts = _outcomes(report)
    fine = counts.get("ok", 0) + counts.get("unchanged", 0)
    word = {"recovered": "is well again", "changed": "has something new", "succeeded": "went well"}.get(event, "failed")
    of_images = f", {fine} of {sum(counts.values())} fine" if counts else ""
    exit_words = f"exit {int(report.code)} {report.code.name}"
    lines = [f"hpcbake: {_project(report.run)} {word} on {report.run.host}: {exit_words}{of_images}"]
    lines += [f"new: {', '.join(_new(report))}"[:_MAX_MESSAGE]] if _new(report) else []
    groups = failures(report)
    for group in groups[:_MAX_CAUSES_IN_TEXT]:
        where = " at ".join(", ".join(names) for names in (group.targets, group.sites) if names)
        lines.append((f"{where}: " if where else "")[:_MAX_MESSAGE] + group.message[:_MAX_MESSAGE])
        if group.remedy:
            lines.append(f"  what to do: {group.remedy}"[:_MAX_MESSAGE])
    if len(groups) > _MAX_CAUSES_IN_TEXT:
        lines.append(f"and {len(groups) - _MAX_CAUSES_IN_TEXT} more causes")
    lines.append(f"run {report.run.id}")
    return "\n".join(map(printable, lines))


def _new(report: ShipReport) -> list[str]:
    """What users were given, each image with its sites."""
    sites: dict[str, list[str]] = {}
    for site in report.sites:
        for image in site.images:
            if image.changed:
                sites.setdefault(image.target, []).append(site.name)
    return [f"{image} at {' and '.join(names)}" for image, names in sites.items()]


def _outcomes(report: ShipReport) -> Mapping[str, int]:
    """Images at sites by outcome."""
    counts = dict.fromkeys(Outcome, 0)
    for site in report.sites:
        for image in site.images:
            counts[image.outcome] += 1
    return {outcome.value: count for outcome, count in counts.items() if count}


def _project(run: RunRecord) -> str:
    return PurePath(run.project).name or run.project or "a run"


def _run(run: RunRecord) -> dict[str, Any]:
    return {"id": run.id, "project": run.project, "host": run.host, "user": run.user, "started": run.started}
