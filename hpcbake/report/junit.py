"""A run as JUnit XML, which every CI system shows: a suite per site, a case per step and per smoke job. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree

from hpcbake.model.late import dataclass
from hpcbake.report.fleet import number_of, smoke_jobs
from hpcbake.report.printable import printable
from hpcbake.report.records import ErrorRecord, ImageRecord, Outcome, ShipReport, StageRecord, TargetRecord

#: What counts as a failure (the world said no), an error (nobody knows, or nobody could look), or not run.
_FAILURE, _ERROR, _SKIPPED = "failure", "error", "skipped"
_ENDS = {
    Outcome.FAILED.value: _FAILURE,
    Outcome.INCONCLUSIVE.value: _ERROR,
    Outcome.BLOCKED.value: _ERROR,
    Outcome.SKIPPED.value: _SKIPPED,
    Outcome.SUBMITTED.value: _SKIPPED,
    "unknown": _ERROR,
}


@dataclass(frozen=True)
class _Case:
    owner: str
    name: str
    duration_s: float
    end: str = ""
    message: str = ""
    kind: str = ""
    detail: str = ""
    output: str = ""


def render_junit(report: ShipReport) -> str:
    """The XML document."""
    suites = {"run": [_error_case("run", report.error)] if report.error else []}
    suites["targets"] = [_target_case(target) for target in report.targets]
    for site in report.sites:
        suites.setdefault(f"site {site.name}", []).extend(
            case for image in site.images for case in _image_cases(f"{site.name}.{image.target}", image)
        )
    root = ElementTree.Element("testsuites", name="hpcbake", time=f"{report.run.duration_s:.3f}")
    every: list[_Case] = []
    for name, cases in suites.items():
        if cases:
            root.append(_suite(name, cases, report))
            every += cases
    root.attrib.update(_counts(every))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    ends = [case.end for case in cases]
    return {
        "tests": str(len(ends)),
        "failures": str(ends.count(_FAILURE)),
        "errors": str(ends.count(_ERROR)),
        "skipped": str(ends.count(_SKIPPED)),
    }


def _suite(name: str, cases: Sequence[_Case], report: ShipReport) -> ElementTree.Element:
    facts = {
        "name": printable(name),
        **_counts(cases),
        "time": f"{sum(case.duration_s for case in cases):.3f}",
        "timestamp": report.run.started.removesuffix("Z"),
        "hostname": printable(report.run.host),
    }
    suite = ElementTree.Element("testsuite", facts)
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (("run", report.run.id), ("hpcbake", report.tool_version)):
        ElementTree.SubElement(properties, "property", name=key, value=printable(value))
    suite.extend(map(_element, cases))
    return suite


def _element(case: _Case) -> ElementTree.Element:
    facts = {"classname": printable(case.owner), "name": printable(case.name), "time": f"{case.duration_s:.3f}"}
    element = ElementTree.Element("testcase", facts)
    if case.end == _SKIPPED:
        ElementTree.SubElement(element, _SKIPPED, message=printable(case.message))
    elif case.end:
        found = ElementTree.SubElement(element, case.end, message=printable(case.message), type=printable(case.kind))
        found.text = printable(case.detail)
    if case.output:
        ElementTree.SubElement(element, "system-out").text = printable(case.output)
    return element


def _target_case(target: TargetRecord) -> _Case:
    if target.error is not None:
        return _error_case("targets", target.error, f"build {target.name}")
    end = _SKIPPED if target.build_status == "skipped" else ""
    return _Case("targets", f"build {target.name}", 0.0, end, "not built", output=target.reference)


def _image_cases(owner: str, image: ImageRecord) -> Iterator[_Case]:
    told = False
    for stage in image.stages:
        cases = list(_smoke_cases(owner, image, stage)) if stage.name == "smoke" else []
        told = told or stage.error is not None
        yield from cases or [_stage_case(owner, stage)]
    if image.error is not None and not told:
        yield _error_case(owner, image.error, status=image.outcome.value)
    elif not image.stages:
        yield _Case(owner, "ship", 0.0, _ENDS.get(image.outcome.value, ""), image.outcome.value)


def _stage_case(owner: str, stage: StageRecord) -> _Case:
    if stage.error is not None:
        return _error_case(owner, stage.error, stage.name, stage.duration_s, stage.status)
    return _Case(owner, stage.name, stage.duration_s, _ENDS.get(stage.status, ""), stage.status)


def _smoke_cases(owner: str, image: ImageRecord, stage: StageRecord) -> Iterator[_Case]:
    """A case per job; the step's failure belongs to the first job that went wrong, or stands alone."""
    error = stage.error
    for job in smoke_jobs(image):
        name, status, output = f"smoke {job.get('test', '')}", str(job.get("status", "")), tail_of(job)
        seconds = (number_of(job.get("duration_s")) or (0.0, ""))[0]
        end, reason = _ENDS.get(status, ""), str(job.get("reason") or status)
        if end in (_FAILURE, _ERROR) and error is not None:
            yield _Case(owner, name, seconds, end, error.message, error.kind, _detail(error), output)
            error = None
        else:
            yield _Case(owner, name, seconds, end, reason, f"slurm.{status}", reason, output)
    if error is not None and smoke_jobs(image):
        yield _error_case(owner, error, stage.name, stage.duration_s, stage.status)


def tail_of(job: Mapping[str, object]) -> str:
    """The last lines of a job's log."""
    tail = job.get("tail")
    return "\n".join(map(str, tail)) if isinstance(tail, list | tuple) else ""


def _error_case(
    owner: str, error: ErrorRecord, name: str = "", duration_s: float = 0.0, status: str = Outcome.FAILED.value
) -> _Case:
    end = _ENDS.get(status, _FAILURE)
    return _Case(owner, name or error.stage, duration_s, end, error.message, error.kind, _detail(error))


def _detail(error: ErrorRecord) -> str:
    output = str(error.evidence.get("output") or "")
    parts = [error.message, output, f"help: {error.remedy}" if error.remedy else ""]
    return "\n".join(part for part in parts if part)
