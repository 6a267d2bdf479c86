"""The report for people: one table of images and sites, then what went wrong and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcbake.catalogue import with_code
from hpcbake.report.page import Columns, Page, Words, as_rich, size_words, trouble
from hpcbake.report.printable import printable
from hpcbake.report.records import ErrorRecord, ImageRecord, Outcome, ShipReport, SiteRecord, StageRecord
from hpcbake.report.standing import left_lines, next_commands, standing_lines
from hpcbake.report.words import outcome_words

if TYPE_CHECKING:
    from rich.console import Console

_STYLE = {
    Outcome.OK: "bold green",
    Outcome.UNCHANGED: "green",
    Outcome.FAILED: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
    Outcome.BLOCKED: "yellow",
    Outcome.SKIPPED: "dim",
    Outcome.SUBMITTED: "cyan",
}


def render_terminal(report: ShipReport) -> Page:
    """The report as a page."""
    parts: list[Words | Columns] = []
    if any(site.images for site in report.sites):
        parts.append(_table(report))
    parts += _notes(report)
    parts += _failures(report)
    parts += _left_behind(report)
    parts.append(_closing(report))
    parts += _interruption(report)
    return parts


def _table(report: ShipReport) -> Columns:
    return Columns(
        ("image", "site", "outcome", "digest", "check", "SIF", "smoke job", "node"),
        [_row(site, image) for site in report.sites for image in site.images],
    )


def _row(site: SiteRecord, image: ImageRecord) -> list[Words]:
    check, deliver, smoke = image.stage("check"), image.stage("deliver"), image.stage("smoke")
    jobs = smoke.evidence.get("jobs") if smoke else None
    job_list = jobs if isinstance(jobs, list) else []
    return [
        Words(image.target),
        Words(site.name),
        Words(outcome_words(image), style=_STYLE[image.outcome]),
        Words(image.wanted.removeprefix("sha256:")[:12] or "-"),
        Words(str(check.evidence.get("verdict", "-")) if check else "-"),
        Words(_delivered_size(deliver)),
        Words(printable(", ".join(dict.fromkeys(str(job["id"]) for job in job_list if job.get("id")))) or "-"),
        Words(printable(", ".join(dict.fromkeys(str(job["node"]) for job in job_list if job.get("node")))) or "-"),
    ]


def _delivered_size(deliver: StageRecord | None) -> str:
    size_bytes = deliver.evidence.get("size_bytes") if deliver else None
    return size_words(size_bytes) if isinstance(size_bytes, int) else "-"


def _notes(report: ShipReport) -> list[Words]:
    """Warnings and what was tidied up; the same words of several sites once."""
    said: dict[str, list[str]] = {}
    for site in report.sites:
        for note in site.notes:
            said.setdefault(note, []).append(site.name)
    return [Words(f"\nnote: {', '.join(sites)}: {printable(note)}", style="yellow") for note, sites in said.items()]


def _failures(report: ShipReport) -> list[Words]:
    """What went wrong, each cause once: sites that failed in the same way stand together."""
    causes: dict[tuple[str, str, str, str, str], list[str]] = {}
    if report.error:
        causes[_cause("", "", report.error)] = []
    for target in report.targets:
        if target.error:
            causes[_cause("", target.name, target.error)] = []
    for site in report.sites:
        for image in site.images:
            if image.error:
                causes.setdefault(_cause(site.name, image.target, image.error), []).append(site.name)
    return [
        trouble((", ".join(sites), target, stage), message, output, remedy)
        for (target, stage, message, output, remedy), sites in causes.items()
    ]


def _cause(site: str, target: str, error: ErrorRecord) -> tuple[str, str, str, str, str]:
    message = error.message.removeprefix(f"{site}: ") if site else error.message
    return target, error.stage, with_code(message, error.kind), str(error.evidence.get("output", "")), error.remedy


def _closing(report: ShipReport) -> Words:
    counts = {name: count for name, count in report.summary().items() if count}
    code = report.code
    said = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing done"
    noun = "site" if sum(counts.values()) == 1 else "sites"
    return Words(
        f"\n{noun}: {said} · {report.run.duration_s:.1f} s · run {report.run.id} · exit {int(code)} {code.name}"
    )


def _left_behind(report: ShipReport) -> list[Words]:
    lines = left_lines(report)
    return [Words("\nstill going on:\n" + "\n".join(f"  {printable(line)}" for line in lines))] if lines else []


def _interruption(report: ShipReport) -> list[Words]:
    """Of a run that a signal ended: what is where, and the command that goes on."""
    if not report.run.interrupted_by:
        return []
    text = Words(f"\ninterrupted by {report.run.interrupted_by}; what is where:", style="bold")
    text.append("".join(f"\n  {printable(line)}" for line in standing_lines(report)), style="not bold")
    for command, words in next_commands(report):
        text.append("\nnext: ")
        text.append(f"{printable(command)}   # {words}", style="not bold")
    return [text]


def print_report(report: ShipReport, console: Console) -> None:
    """Print the report on this console."""
    console.print(as_rich(render_terminal(report)))
