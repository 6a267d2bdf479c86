"""What a verdict that stops an image says: as a failure, and in the few words that a table has room for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hpcbake.errors import HpcbakeError, IncompatibleError, UncheckedError
from hpcbake.model.verdict import CompatReport, Finding, Severity, Verdict
from hpcbake.ship.evidence import finding_lines

#: A symbol version that is a number: `GLIBCXX_3.4.29`.
_NUMBERED = re.compile(r"([A-Z]+)_([0-9]+(?:\.[0-9]+)*)")


def decisive_findings(report: CompatReport) -> list[Finding]:
    """The findings that keep an image from a site; empty where it may go."""
    if report.verdict not in (Verdict.FAIL, Verdict.UNKNOWN):
        return []
    weight = Severity.ERROR if report.verdict is Verdict.FAIL else Severity.UNKNOWN
    return [finding for finding in report.findings if finding.severity is weight]


def verdict_error(report: CompatReport, site: str, image: str) -> HpcbakeError | None:
    """A verdict that stops an image before a site, as the failure that it is; None where it may go."""
    decisive = decisive_findings(report)
    if not decisive:
        return None
    is_alone = len(decisive) == 1
    word = "does not fit" if report.verdict is Verdict.FAIL else "could not be checked"
    more = "" if is_alone else f" (and {len(decisive) - 1} more)"
    failure = IncompatibleError if report.verdict is Verdict.FAIL else UncheckedError
    return failure(
        f"{site}: {image} {word}: {decisive[0].message}{more}",
        remedy=decisive[0].remedy if is_alone else "mend what the findings name, then ship again",
        evidence={
            "verdict": report.verdict.value,
            "findings": sum(finding.severity is not Severity.INFO for finding in report.findings),
            "output": "\n".join(finding_lines(decisive, is_alone=is_alone)),
        },
    )


def short_reason(report: CompatReport) -> str:
    """What decided a verdict, short enough for a table: `glibc 2.34 > 2.28`."""
    decisive = decisive_findings(report)
    if not decisive:
        return report.verdict.value
    more = f" (and {len(decisive) - 1} more)" if len(decisive) > 1 else ""
    return f"{_short_finding(decisive[0])}{more}"


def _short_finding(finding: Finding) -> str:
    """What is needed against what there is, where the rule says both; else the rule and what it is about."""
    words = _short_glibc(finding) or _short_need(finding) or _short_platform(finding)
    return words or (f"{finding.rule}: {finding.subject}" if finding.subject else finding.rule)


def _short_glibc(finding: Finding) -> str:
    glibc = finding.evidence.get("glibc")
    if not isinstance(glibc, Mapping):
        return ""
    needed = _NUMBERED.fullmatch(str(glibc.get("needed", "")))
    return f"glibc {needed[2]} > {glibc['image']}" if needed and glibc.get("image") else ""


def _short_need(finding: Finding) -> str:
    """`x86-64-v3 > x86-64-v2`, `GLIBCXX_3.4.29 > 3.4.25`, `no libfoo.so.1`."""
    needed, site = finding.evidence.get("needed"), finding.evidence.get("site")
    if isinstance(needed, str):
        return f"{finding.rule}: {needed} > {site}" if re.match(r"[0-9x]", str(site)) else f"{finding.rule}: {needed}"
    if isinstance(needed, list) and needed:
        return _short_versions(str(needed[-1]), finding.evidence.get("offered"))
    library = finding.evidence.get("library")
    return f"no {library}" if finding.rule == "missing-library" and library else ""


def _short_versions(needed: str, offered: object) -> str:
    """The newest version that is needed, against the newest of its series that is offered."""
    want = _NUMBERED.fullmatch(needed)
    found = [_NUMBERED.fullmatch(str(text)) for text in (offered if isinstance(offered, list) else [])]
    have = [match[2] for match in found if match and want and match[1] == want[1]]
    return f"{needed} > {max(have, key=_sort_key)}" if have else f"needs {needed}"


def _sort_key(version: str) -> list[str]:
    """3.4.9 before 3.4.29. An image may name any version: as text no number is too long."""
    return [part.zfill(12) for part in version.split(".")]


def _short_platform(finding: Finding) -> str:
    image, site = finding.evidence.get("image") or finding.evidence.get("machine"), finding.evidence.get("site")
    return f"for {image}, the site has {site}" if isinstance(image, str) and isinstance(site, str) else ""
