"""A run as the Markdown of a GitHub step summary. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from hpcbake.errors import ExitCode
from hpcbake.report.fleet import smoke_jobs
from hpcbake.report.printable import printable
from hpcbake.report.records import ImageRecord, Outcome, ShipReport
from hpcbake.report.words import Failure, failures, outcome_words, short, verdict_of

#: GitHub refuses the summary of a step beyond 1 MiB; others may have written before.
MAX_BYTES = 900_000
#: Of a failure's output, the last so many characters.
_OUTPUT_CHARACTERS = 4_000

_SIGN = {
    Outcome.OK: "✅",
    Outcome.UNCHANGED: "✅",
    Outcome.FAILED: "❌",
    Outcome.INCONCLUSIVE: "❔",
    Outcome.BLOCKED: "🔒",
    Outcome.SKIPPED: "➖",
    Outcome.SUBMITTED: "⏳",
}
#: Punctuation that Markdown or HTML could take for markup. As entities it is text wherever it stands.
_SPECIAL = re.compile(r"[!-*;-@\[-`{-~]")


def render_github(report: ShipReport) -> str:
    """The summary: one line for the run, a table, then each failure with what to do."""
    parts: list[str] = []
    room = MAX_BYTES
    for part in _parts(report):
        room -= len(part.encode())
        if room < 0:
            parts.append("There is more than GitHub shows: see the report itself.\n\n")
            break
        parts.append(part)
    return "".join(parts)


def markdown(text: str) -> str:
    """Any text as Markdown of one line that shows just this text."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", " ".join(printable(text).split()))


def _parts(report: ShipReport) -> Iterator[str]:
    code = report.code
    sign = "✅" if code is ExitCode.OK else "❌"
    counts = ", ".join(f"{count} {name}" for name, count in report.summary().items() if count) or "nothing done"
    yield f"## {sign} hpcbake: {markdown(f'exit {int(code)} {code.name}')}\n\n"
    yield (
        f"Sites: {counts} · {report.run.duration_s:.1f} s · run {markdown(report.run.id)} · "
        f"{markdown(report.run.started)}\n\n"
    )
    if report.run.interrupted_by:
        yield f"Interrupted by {markdown(report.run.interrupted_by)}: the same command resumes it.\n\n"
    rows = [_row(site.name, image) for site in report.sites for image in site.images]
    if rows:
        heads = ("image", "site", "outcome", "digest", "check", "smoke jobs", "time")
        yield f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}\n"
        yield from rows
        yield "\n"
    for failure in failures(report):
        yield _failure(failure)
    for warning in report.warnings:
        yield f"⚠️ {markdown(warning)}\n\n"


def _row(site: str, image: ImageRecord) -> str:
    jobs = ", ".join(f"{job.get('test', '')} {job.get('status', '')}" for job in smoke_jobs(image))
    seconds = sum(stage.duration_s for stage in image.stages)
    digest = f"<code>{markdown(short(image.wanted))}</code>" if image.wanted else "-"
    cells = (
        markdown(image.target),
        markdown(site),
        f"{_SIGN[image.outcome]} {markdown(outcome_words(image))}",
        digest,
        markdown(verdict_of(image)) or "-",
        markdown(jobs) or "-",
        f"{seconds:.1f} s",
    )
    return f"| {' | '.join(cells)} |\n"


def _failure(failure: Failure) -> str:
    where = " · ".join(part for part in (", ".join(failure.sites), ", ".join(failure.targets), failure.stage) if part)
    lines = [f"### {markdown(where)}\n\n{markdown(failure.message)}\n\n"]
    if failure.remedy:
        lines.append(f"**What to do:** {markdown(failure.remedy)}\n\n")
    lines.append(f"**Then:** <code>{markdown(failure.next)}</code>\n\n")
    if failure.output:
        # In <pre> Markdown reads nothing until </pre>, which escaped text cannot hold.
        output = html.escape(printable(failure.output[-_OUTPUT_CHARACTERS:]))
        lines.append(f"<details><summary>output</summary>\n\n<pre>{output}</pre>\n\n</details>\n\n")
    return "".join(lines)
