"""The few words that every face of the report shares. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hpcbake.report.fleet import reached
from hpcbake.report.records import ErrorRecord, ImageRecord, Outcome, ShipReport


@dataclass(frozen=True)
class Failure:
    """One cause, and everywhere it struck: sites that failed in the same way stand together."""

    stage: str
    target: str
    sites: tuple[str, ...]
    message: str
    output: str
    remedy: str
    kind: str
    next: str


def outcome_words(image: ImageRecord) -> str:
    """How it ended for an image at a site: `promoted`, `unchanged`, `failed at smoke`."""
    if image.outcome is Outcome.OK:
        last = reached(image)
        return _DONE.get(last.name, "done") if last else "done"
    if image.error is not None:
        return f"{image.outcome.value} at {image.error.stage}"
    return str(image.outcome.value)


_DONE = {"check": "checked", "deliver": "delivered", "smoke": "tested", "promote": "promoted"}


def short(digest: str) -> str:
    """A digest as people compare it."""
    return digest.removeprefix("sha256:")[:12]


def verdict_of(image: ImageRecord) -> str:
    """What the check said of it, or nothing."""
    check = image.stage("check")
    return str(check.evidence.get("verdict") or "") if check else ""


def failures(report: ShipReport) -> list[Failure]:
    """What went wrong in a run, each cause once."""
    causes: dict[tuple[str, ErrorText], list[str]] = {}
    for site, target, error in _errors(report):
        causes.setdefault((target, _text(site, error)), []).extend([site] if site else [])
    return [
        Failure(
            *(text.stage, target, tuple(sites), text.message, text.output, text.remedy, text.kind),
            next=_next(target, sites),
        )
        for (target, text), sites in causes.items()
    ]


@dataclass(frozen=True)
class ErrorText:
    """What makes two failures the same one."""

    stage: str
    kind: str
    message: str
    output: str
    remedy: str


def _errors(report: ShipReport) -> Iterator[tuple[str, str, ErrorRecord]]:
    if report.error is not None:
        yield "", "", report.error
    for target in report.targets:
        if target.error is not None:
            yield "", target.name, target.error
    for site in report.sites:
        for image in site.images:
            if image.error is not None:
                yield site.name, image.target, image.error


def _text(site: str, error: ErrorRecord) -> ErrorText:
    message = error.message.removeprefix(f"{site}: ") if site else error.message
    return ErrorText(error.stage, error.kind, message, str(error.evidence.get("output") or ""), error.remedy)


def _next(target: str, sites: list[str]) -> str:
    """The command that does just this again."""
    return " ".join(
        ["hpcbake ship", *(f"--site {site}" for site in sites), *([f"--target {target}"] if target else [])]
    )
