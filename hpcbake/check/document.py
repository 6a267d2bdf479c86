"""Verdicts as documents: our own JSON, SARIF for code hosts, JUnit for CI systems. Pure: values in, text out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree

from hpcbake.check.rules import RULES
from hpcbake.errors import ExitCode, overall_exit_code
from hpcbake.image.scan import ScannedImage
from hpcbake.model.verdict import CompatReport, Finding, Severity, Verdict

_CODES = {
    Verdict.PASS: ExitCode.OK,
    Verdict.WARN: ExitCode.OK,
    Verdict.FAIL: ExitCode.INCOMPATIBLE,
    Verdict.UNKNOWN: ExitCode.UNCHECKED,
}
_SARIF_LEVELS = {
    Severity.ERROR: "error",
    Severity.UNKNOWN: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "note",
}


def exit_code(reports: Sequence[CompatReport]) -> ExitCode:
    """0 when every site is fine, 30 or 31 when all agree that it is not, 3 when sites differ."""
    return overall_exit_code([_CODES[report.verdict] for report in reports])


def printable(text: str) -> str:
    """A name from an image as one harmless line: control characters and broken encodings are spelled out."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


def report_document(image: ScannedImage, reports: Sequence[CompatReport]) -> dict[str, object]:
    """What `hpcbake check --json` prints."""
    return {
        "kind": "hpcbake.check",
        "version": 1,
        "exit": int(exit_code(reports)),
        "image": {
            "name": image.name,
            "digest": image.digest or None,
            "platform": f"{image.config.os or 'linux'}/{image.config.architecture}",
            "size_bytes": image.size,
            "layers": [
                {
                    "number": layer.number,
                    "digest": layer.digest,
                    "size_bytes": layer.size,
                    "instruction": layer.instruction,
                }
                for layer in image.layers
            ],
        },
        "sites": [
            {
                "name": report.site,
                "verdict": report.verdict.value,
                "findings": [finding_document(finding) for finding in report.findings],
                "facts": dict(report.facts),
            }
            for report in reports
        ],
    }


def finding_document(finding: Finding) -> dict[str, object]:
    """One finding as JSON. Paths are escaped where they are no text."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "subject": printable(finding.subject),
        "message": printable(finding.message),
        "remedy": printable(finding.remedy),
        "origin": printable(finding.origin),
        "paths": [printable(path) for path in finding.paths],
        "evidence": _safe(finding.evidence),
    }


def render_sarif(image: ScannedImage, reports: Sequence[CompatReport], version: str) -> str:
    """SARIF 2.1.0: one run per site, one result per finding."""
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.about},
            "helpUri": f"https://github.com/hpcbake/hpcbake/blob/main/docs/reference/check-rules.md#{rule.id}",
        }
        for rule in RULES
    ]
    runs = [
        {
            "tool": {
                "driver": {
                    "name": "hpcbake check",
                    "semanticVersion": version,
                    "informationUri": "https://github.com/hpcbake/hpcbake",
                    "rules": rules,
                }
            },
            "automationDetails": {"id": f"hpcbake/{report.site}/{image.digest or 'local'}"},
            "properties": {"site": report.site, "image": image.name, "verdict": report.verdict.value},
            "results": [_sarif_result(finding) for finding in report.findings],
        }
        for report in reports
    ]
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": runs}, indent=2)


def render_junit(image: ScannedImage, reports: Sequence[CompatReport]) -> str:
    """JUnit XML: one suite per site, one test case per rule; a rule fails by its errors and unknowns."""
    root = ElementTree.Element("testsuites", name="hpcbake check")
    for report in reports:
        suite = ElementTree.SubElement(root, "testsuite", name=report.site, tests=str(len(RULES)))
        failures = 0
        for rule in RULES:
            case = ElementTree.SubElement(suite, "testcase", classname=f"{report.site}.{image.name}", name=rule.id)
            grave = [
                f for f in report.findings if f.rule == rule.id and f.severity in (Severity.ERROR, Severity.UNKNOWN)
            ]
            if grave:
                failures += 1
                failure = ElementTree.SubElement(case, "failure", message=printable(grave[0].message))
                failure.text = "\n\n".join(render_finding(finding) for finding in grave)
            mild = [f for f in report.findings if f.rule == rule.id and f not in grave]
            if mild:
                ElementTree.SubElement(case, "system-out").text = "\n\n".join(render_finding(f) for f in mild)
        suite.set("failures", str(failures))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def render_finding(finding: Finding, *, paths: int = 5) -> str:
    """One finding in plain text: what, from where, which files, what to do."""
    lines = [f"{finding.severity.value}: {printable(finding.message)} [{finding.rule}]"]
    if finding.origin:
        lines += _labelled("from", [printable(finding.origin)])
    if len(finding.paths) > 1:
        # One more line is no longer than saying that there is one more.
        shown = [printable(path) for path in finding.paths[: paths if len(finding.paths) > paths + 1 else None]]
        hidden = len(finding.paths) - len(shown)
        lines += _labelled("files", [*shown, *([f"… and {hidden} more (all with --json)"] if hidden else [])])
    if finding.remedy:
        first, *others = printable(finding.remedy).split("; or ")
        lines += _labelled("fix", [first, *(f"or {other}" for other in others)])
    return "\n".join(lines)


def _labelled(label: str, texts: Sequence[str]) -> list[str]:
    """The texts below one another, with the label before the first."""
    return [f"  {label if not number else '':<6} {text}" for number, text in enumerate(texts)]


def _sarif_result(finding: Finding) -> dict[str, object]:
    places = finding.paths[:20] or (finding.subject,)
    accepted = finding.evidence.get("accepted_until")
    suppressed = {"suppressions": [{"kind": "external", "justification": f"accepted until {accepted}"}]}
    return (suppressed if accepted else {}) | {
        "ruleId": finding.rule,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": f"{printable(finding.message)}. {printable(finding.remedy)}".strip()},
        "locations": [
            {
                # A binary has no lines; code hosts leave out what names none.
                "physicalLocation": {"artifactLocation": {"uri": _uri(path)}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": printable(finding.origin)}] if finding.origin else [],
            }
            for path in places
        ],
        "properties": {"severity": finding.severity.value, "evidence": _safe(finding.evidence)},
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.lstrip("/").encode("utf-8", "surrogateescape"))


def _safe(value: object) -> object:
    """Evidence with every text made printable, so that any bytes of an image survive as JSON."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value]
    if hasattr(value, "items"):
        return {str(key): _safe(item) for key, item in value.items()}
    return value
