"""Reports made by hand: one with everything in it, hostile texts included."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from hpcbake.errors import ExitCode, SiteResourceError, SmokeFailedError
from hpcbake.report.document import render_report
from hpcbake.report.records import (
    FileRecord,
    ImageRecord,
    Outcome,
    Release,
    RunRecord,
    ShipReport,
    SiteRecord,
    StageRecord,
    TargetRecord,
    error_record,
)
from hpcbake.report.schema import report_schema

_VALIDATOR = jsonschema.Draft202012Validator(report_schema())


def read_back(report: ShipReport) -> dict[str, Any]:
    """The document as a reader gets it, checked against the schema."""
    document: dict[str, Any] = json.loads(render_report(report))
    _VALIDATOR.validate(document)
    return document


DIGEST, OLD = "sha256:" + "1" * 64, "sha256:" + "0" * 64
STARTED, ENDED = "2026-01-31T12:00:00Z", "2026-01-31T12:01:30Z"
HOSTILE = "\x1b[31mred\x07 [bold]markup[/bold] \ud800 é\r\n\x00end"

RUN = RunRecord("01RUN", ("hpcbake", "ship", "--site", "a b"), "host", "ada", 42, "boot", STARTED, ENDED, 90.1234)


def stage(name: str, status: str = "ok", **evidence: object) -> StageRecord:
    return StageRecord(name, status, STARTED, 1.23456, evidence)


def job(number: str = "12", status: str = "passed") -> dict[str, object]:
    """A smoke job as evidence has it."""
    return {
        "test": "cpu",
        "id": number,
        "status": status,
        "state": "COMPLETED",
        "exit": "0",
        "node": "n1",
        "duration_s": 2.0,
        "reason": "",
        "figures": {"os": "Rocky Linux 8.10"},
        "log": "/store/.hpcbake/jobs/x",
        "tail": ["x86_64"],
    }


def promoted(target: str = "app") -> ImageRecord:
    """An image for which all went well."""
    return ImageRecord(
        target,
        DIGEST,
        Outcome.OK,
        (
            stage("check", verdict="PASS", findings=0),
            stage("deliver", path="/store/x.sif", sif_sha256="2" * 64, size_bytes=1_234_567, runtime="apptainer 1.4.5"),
            stage("smoke", jobs=[job()]),
            stage("promote", current="../sif/app/x.sif", was=""),
        ),
        before=Release(OLD, "3" * 64, "../sif/app/y.sif"),
        after=Release(DIGEST, "2" * 64, "../sif/app/x.sif"),
        changed=True,
    )


def failed(target: str = "app", output: str = "line 1\nline 2", stage_name: str = "smoke") -> ImageRecord:
    """An image whose smoke test failed."""
    failure = SmokeFailedError("birch: smoke test cpu failed", remedy="mend the image", evidence={"output": output})
    error = error_record(stage_name, failure)
    return ImageRecord(
        target,
        DIGEST,
        Outcome.FAILED,
        (stage("check", verdict="WARN", findings=1), StageRecord(stage_name, "failed", STARTED, 2.0, {}, error)),
        error=error,
    )


def target(name: str = "app") -> TargetRecord:
    reference = f"registry.example.org/team/{name}@{DIGEST}"
    return TargetRecord(name, "linux/amd64", "ok", DIGEST, reference, (f"registry.example.org/team/{name}:1",), 5)


def full_report() -> ShipReport:
    """Two sites, one of which failed; texts of every kind."""
    return ShipReport(
        "0.1.0",
        RUN,
        (target(),),
        (
            SiteRecord("alder", (promoted(),), "SHA256:abc", -0.4, ("app: it warns",), ()),
            SiteRecord("birch", (failed(output=HOSTILE),), "", None, (HOSTILE,), ("job 12 of app goes on",)),
        ),
        bake_files=(FileRecord("docker-bake.hcl", "4" * 64),),
        site_files=(FileRecord("site-configs/alder.yaml", "5" * 64),),
        warnings=("a warning",),
    )


def empty_report(code: ExitCode | None = None) -> ShipReport:
    """A run that came to nothing."""
    error = error_record("resolve", SiteResourceError("nothing", evidence={})) if code else None
    return ShipReport("0.1.0", RUN, (), (), error=error)
