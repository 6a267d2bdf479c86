"""What the kept reports say together: the last word on each image at each site, and how smoke figures went. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from hpcbake.model.late import dataclass
from hpcbake.report.read import parse_utc
from hpcbake.report.records import ImageRecord, Outcome, Release, RunRecord, ShipReport, StageRecord

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*([^\s\d][^\d]{0,11})?\s*")


@dataclass(frozen=True)
class Trend:
    """One figure of one smoke test over the jobs that ran, oldest first."""

    test: str
    figure: str
    unit: str
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        return self.values[-1]


@dataclass(frozen=True)
class Cell:
    """One image at one site: the latest run that had to do with it, and what is known from the runs before.

    `current` is the release that a run last saw there, `seen` when that was, and `since` the earliest run of an
    unbroken row in which it was that one: UTC texts, empty when no run saw any.
    """

    site: str
    run: RunRecord
    image: ImageRecord
    current: Release | None
    seen: str
    since: str
    last_good: str
    trends: tuple[Trend, ...]

    @property
    def target(self) -> str:
        return self.image.target


@dataclass(frozen=True)
class Fleet:
    """The runs, newest first, and the cells by image and site."""

    reports: tuple[ShipReport, ...]
    cells: Mapping[tuple[str, str], Cell]

    @cached_property
    def images(self) -> tuple[str, ...]:
        return tuple(sorted({image for image, _ in self.cells}))

    @cached_property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted({site for _, site in self.cells}))

    def cell(self, image: str, site: str) -> Cell | None:
        return self.cells.get((image, site))


def gather(reports: Sequence[ShipReport]) -> Fleet:
    """The fleet that these reports tell of, in whatever order they come."""
    newest_first = sorted(reports, key=lambda report: (report.run.started, report.run.id), reverse=True)
    records: dict[tuple[str, str], list[tuple[RunRecord, ImageRecord]]] = {}
    for report in newest_first:
        for site in report.sites:
            for image in site.images:
                records.setdefault((image.target, site.name), []).append((report.run, image))
    return Fleet(tuple(newest_first), {key: _cell(key[1], found) for key, found in records.items()})


def _cell(site: str, records: Sequence[tuple[RunRecord, ImageRecord]]) -> Cell:
    """`records` are those of one image at one site, newest first."""
    run, image = records[0]
    current, seen, since = None, "", ""
    for past_run, past in records:
        if past.after is None:
            continue
        if current is None:
            current, seen = past.after, past_run.ended
        if past.after.digest != current.digest:
            break
        since = past_run.ended if past.changed else past_run.started
        if past.changed:
            break
    good = (past_run.ended for past_run, past in records if past.outcome in (Outcome.OK, Outcome.UNCHANGED))
    return Cell(site, run, image, current, seen, since, next(good, ""), _trends([past for _, past in records]))


def smoke_jobs(image: ImageRecord) -> list[Mapping[str, object]]:
    """The smoke jobs of the image's record, whatever a report may have in their place."""
    stage = image.stage("smoke")
    jobs = stage.evidence.get("jobs") if stage else None
    return [job for job in jobs if isinstance(job, Mapping)] if isinstance(jobs, list | tuple) else []


def reached(image: ImageRecord) -> StageRecord | None:
    """The last step that was made."""
    return image.stages[-1] if image.stages else None


def number_of(value: object) -> tuple[float, str] | None:
    """A figure's number and unit: of 2, `2.5`, `2.5 GB/s`. None for what is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _finite(float(value), "")
    match = _NUMBER.fullmatch(value) if isinstance(value, str) and len(value) < 80 else None
    return _finite(float(match[1]), (match[2] or "").strip()) if match else None


def _finite(number: float, unit: str) -> tuple[float, str] | None:
    return (number, unit) if abs(number) < 1e300 else None


def _trends(images: Sequence[ImageRecord]) -> tuple[Trend, ...]:
    """Every figure of the tests that the newest record names. A job counts once, however many runs remember it."""
    tests = [str(job.get("test", "")) for job in smoke_jobs(images[0])]
    found: dict[tuple[str, str], list[tuple[float, str]]] = {}
    counted: set[tuple[str, str]] = set()
    for image in reversed(images):
        for job in smoke_jobs(image):
            test, identity = str(job.get("test", "")), (str(job.get("test", "")), str(job.get("id", "")))
            if identity in counted or test not in tests or job.get("status") != "passed":
                continue
            counted.add(identity)
            for name, value in figures_of(job):
                found.setdefault((test, name), []).append(value)
    return tuple(
        Trend(test, name, values[-1][1], tuple(number for number, unit in values if unit == values[-1][1]))
        for (test, name), values in sorted(found.items(), key=lambda item: tests.index(item[0][0]))
    )


def figures_of(job: Mapping[str, object]) -> list[tuple[str, tuple[float, str]]]:
    """A job's numbers: how long, how much memory, and what the test itself reported."""
    own = job.get("figures")
    said = [
        ("time", number_of(job.get("duration_s")), 1.0, "s"),
        ("memory", number_of(job.get("max_rss_kb")), 1024.0, "MiB"),
    ]
    measured = [(name, (value[0] / scale, unit)) for name, value, scale, unit in said if value is not None]
    reported = [(str(name), number_of(value)) for name, value in own.items()] if isinstance(own, Mapping) else []
    return measured + [(name, value) for name, value in reported if value is not None]


def age_words(since: str, now: float) -> str:
    """How long ago a UTC text was, in one unit: `3 h`. Empty when there is no telling."""
    then = parse_utc(since)
    if then is None:
        return ""
    seconds = now - then
    if seconds < 60:
        return "just now" if seconds > -60 else "in the future"
    for size, unit in ((86400 * 2, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // (86400 if unit == 'd' else size))} {unit} ago"
    raise AssertionError("a minute or more has a unit")
