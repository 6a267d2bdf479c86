"""The few words that every face of the report shares. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hpcbake.model.late import dataclass
from hpcbake.report.fleet import reached
from hpcbake.report.records import ErrorRecord, ImageRecord, Outcome, ShipReport

#: Site and target (empty where one does not apply), and what went wrong there, if anything.
LocatedError = tuple[str, str, ErrorRecord | None]


@dataclass(frozen=True)
class Failure:
    """One cause, and everywhere it struck: each of the targets at each of the sites."""

    stage: str
    targets: tuple[str, ...]
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
    return group_failures(
        [
            *run_errors(report),
            *((site.name, image.target, image.error) for site in report.sites for image in site.images),
        ]
    )


def run_errors(report: ShipReport) -> Iterator[LocatedError]:
    """The errors of a run that belong to no site."""
    yield "", "", report.error
    for target in report.targets:
        yield "", target.name, target.error


def group_failures(errors: Iterable[LocatedError]) -> list[Failure]:
    """Each cause once: first the sites that it struck for a target, then the targets that it struck at these sites."""
    sites_of: dict[tuple[ErrorText, str], list[str]] = {}
    for site, target, error in errors:
        if error is not None:
            sites_of.setdefault((_text(site, error), target), []).extend([site] if site else [])
    targets_of: dict[tuple[ErrorText, tuple[str, ...]], list[str]] = {}
    for (text, target), sites in sites_of.items():
        targets_of.setdefault((text, tuple(sites)), []).extend([target] if target else [])
    return [
        Failure(
            *(text.stage, tuple(targets), sites, text.message, text.output, text.remedy, text.kind),
            next=" ".join(
                ["hpcbake ship", *(f"--site {site}" for site in sites), *(f"--target {name}" for name in targets)]
            ),
        )
        for (text, sites), targets in targets_of.items()
    ]


@dataclass(frozen=True)
class ErrorText:
    """What makes two failures the same one."""

    stage: str
    kind: str
    message: str
    output: str
    remedy: str


def _text(site: str, error: ErrorRecord) -> ErrorText:
    message = error.message.removeprefix(f"{site}: ") if site else error.message
    return ErrorText(error.stage, error.kind, message, str(error.evidence.get("output") or ""), error.remedy)
