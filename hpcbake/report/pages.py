"""The fleet as a static web site: one page for what is so now, one page per run. Pure: values in, texts out.

No script, no request to anywhere; every text of a report is escaped, whatever is in it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hpcbake.catalogue import error_code
from hpcbake.errors import ExitCode
from hpcbake.report.document import report_document
from hpcbake.report.fleet import Fleet, age_words, gather, number_of, smoke_jobs
from hpcbake.report.junit import tail_of
from hpcbake.report.printable import printable
from hpcbake.report.records import Outcome, ShipReport, StageRecord
from hpcbake.report.sparkline import figure_words, sparkline, trend_words
from hpcbake.report.words import failures, group_failures, outcome_words, run_errors, short, verdict_of

#: Stands in the head of every page, so that pages of runs that are no longer kept can be told from other files.
MARK = '<meta name="generator" content="hpcbake report">'
#: Of a program's output and of a job's log, the last so many characters.
_MAX_OUTPUT = 8_000
#: A cell of the matrix gives a cause in so many characters.
_MAX_CELL_TEXT = 140

_TEMPLATES = Path(__file__).resolve().parent / "templates"
#: A sign beside the word, for the eye; and the class that gives the colour.
_SIGNS = {
    Outcome.OK.value: ("✓", "good"),
    Outcome.UNCHANGED.value: ("✓", "good"),
    "passed": ("✓", "good"),
    Outcome.FAILED.value: ("✗", "bad"),
    Outcome.INCONCLUSIVE.value: ("?", "doubt"),
    "unknown": ("?", "doubt"),
    Outcome.BLOCKED.value: ("‖", "doubt"),
    Outcome.SKIPPED.value: ("–", "quiet"),
    Outcome.SUBMITTED.value: ("…", "quiet"),
}


def render_index(fleet: Fleet, *, now: float, tool_version: str, lost: Sequence[str] = ()) -> str:
    """The page of what is so now. `lost` tells of runs that left no report, each in one line."""
    names = page_names(fleet.reports)
    by_run = {report.run.id: name for report, name in zip(fleet.reports, names, strict=True)}
    values = {"fleet": fleet, "names": names, "names_by_run": by_run, "lost": lost, **_index(fleet)}
    return _render("index.html.j2", now=now, tool_version=tool_version, stamp="index", **values)


def render_run(report: ShipReport, *, tool_version: str) -> str:
    """The page of one run: always the same for the same report, so that it is made once."""
    values = {"report": report, "fleet": gather([report]), "failures": failures(report)}
    stamp = run_stamp(report, tool_version=tool_version)
    return _render("run.html.j2", now=None, tool_version=tool_version, stamp=stamp, **values)


def run_stamp(report: ShipReport, *, tool_version: str) -> str:
    """What a run's page is made from, as one word; it stands in the page's head."""
    # Without indentation, for which the json module is many times slower.
    document = json.dumps(report_document(report))
    texts = [tool_version, document, *(path.read_text("utf-8") for path in sorted(_TEMPLATES.iterdir()))]
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def page_names(reports: Sequence[ShipReport]) -> list[str]:
    """A path for the page of each run: its id where that makes a file name, and no two the same."""
    names: list[str] = []
    for report in reports:
        identity = report.run.id
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", identity):
            identity = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:26]
        name, number = f"runs/{identity}.html", 1
        while name.lower() in {taken.lower() for taken in names}:
            number += 1
            name = f"runs/{identity}.{number}.html"
        names.append(name)
    return names


def _index(fleet: Fleet) -> dict[str, Any]:
    latest = fleet.reports[0] if fleet.reports else None
    errors = [*(run_errors(latest) if latest else ())]
    errors += [(cell.site, cell.target, cell.image.error) for _, cell in sorted(fleet.cells.items())]
    counts = dict.fromkeys(Outcome, 0)
    for cell in fleet.cells.values():
        counts[cell.image.outcome] += 1
    shown = {outcome.value: count for outcome, count in counts.items() if count}
    return {"latest": latest, "failures": group_failures(errors), "counts": shown}


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        finalize=_shown,
    )
    environment.globals["mark"] = Markup(MARK)  # noqa: S704  (ours)
    environment.globals["style"] = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704  (ours)
    environment.filters.update(
        {
            "age": lambda text, now: "" if now is None else age_words(text, now),
            "end": _end,
            "error_code": error_code,
            "evidence": _evidence,
            "figure": figure_words,
            "jobs": smoke_jobs,
            "last_part": _last_part,
            "one_line": _one_line,
            "outcome": outcome_words,
            "short": short,
            "sign": lambda status: _SIGNS.get(str(status), ("·", "quiet"))[0],
            "spark": sparkline,
            "tail": tail_of,
            "tone": lambda status: _SIGNS.get(str(status), ("·", "quiet"))[1],
            "trend": trend_words,
            "verdict": verdict_of,
        }
    )
    return environment


def _shown(value: object) -> object:
    """What an expression of a template comes to: text with its control characters spelled out."""
    return value if isinstance(value, Markup) else "" if value is None else printable(str(value))


def _end(report: ShipReport) -> str:
    """The status whose colour and sign a whole run has."""
    if report.code is ExitCode.OK:
        return Outcome.OK.value
    return Outcome.INCONCLUSIVE.value if report.interrupted_code is not None else Outcome.FAILED.value


def _one_line(text: str) -> str:
    """The first line of a message, as long as a cell takes; the whole stands below it."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= _MAX_CELL_TEXT else first[: _MAX_CELL_TEXT - 1] + "…"


def _last_part(text: object) -> str:
    """The end of a long output, from a line's beginning."""
    whole = str(text)
    if len(whole) <= _MAX_OUTPUT:
        return whole
    return "…\n" + whole[-_MAX_OUTPUT:].partition("\n")[2]


def _evidence(stage: StageRecord) -> list[tuple[str, str]]:
    """What a step saw, as words and values; its jobs and its output are shown apart."""
    return [
        (str(name).replace("_", " "), _value(name, value))
        for name, value in stage.evidence.items()
        if name not in ("jobs", "output") and value not in ("", None, [], {})
    ]


def _value(name: str, value: object) -> str:
    number = number_of(value)
    if name == "size_bytes" and number is not None and not isinstance(value, str):
        return f"{number[0] / 1e6:.1f} MB"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
