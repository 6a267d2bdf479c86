"""What several runs say together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.errors import SiteUnreachableError
from hpcbake.report.fleet import Cell, age_words, gather, number_of
from hpcbake.report.records import ImageRecord, Outcome, Release, ShipReport, SiteRecord, error_record
from tests.reports import DIGEST, OLD, RUN, failed, job, promoted, stage

LOST = ImageRecord("app", DIGEST, Outcome.FAILED, error=error_record("connect", SiteUnreachableError("alder: gone")))
RESTS = replace(promoted(), outcome=Outcome.UNCHANGED, changed=False)


def run(day: int, *images: ImageRecord, site: str = "alder") -> ShipReport:
    """The run of this day of a month."""
    record = replace(
        RUN, id=f"01R{day:02d}", started=f"2026-01-{day:02d}T01:00:00Z", ended=f"2026-01-{day:02d}T02:00:00Z"
    )
    return ShipReport("0", record, (), (SiteRecord(site, images),))


def alder(*reports: ShipReport) -> Cell:
    cell = gather(reports).cell("app", "alder")
    assert cell is not None
    return cell


def test_the_last_run_has_the_last_word() -> None:
    """In whatever order the reports come; a run that had to do with another site says nothing of this one."""
    cell = alder(run(3, failed()), run(5, promoted(), site="birch"), run(1, promoted()))
    assert (cell.run.id, cell.image.outcome) == ("01R03", Outcome.FAILED)


def test_a_site_that_does_not_answer_keeps_its_last_known_release() -> None:
    """With the time at which it was seen."""
    cell = alder(run(1, promoted()), run(2, RESTS), run(3, LOST), run(4, LOST))
    assert cell.current is not None
    assert cell.current.digest == DIGEST
    assert cell.seen == "2026-01-02T02:00:00Z"
    assert cell.since == "2026-01-01T02:00:00Z"
    assert cell.last_good == "2026-01-02T02:00:00Z"


def test_a_release_is_current_since_it_came() -> None:
    """Not since the first run that knew it: there was another in between."""
    other = replace(RESTS, after=Release(OLD))
    cell = alder(run(1, promoted()), run(2, other), run(3, RESTS), run(4, RESTS))
    assert cell.since == "2026-01-03T01:00:00Z"


def test_an_image_that_never_came_has_no_release() -> None:
    """And no age."""
    cell = alder(run(1, LOST))
    assert (cell.current, cell.seen, cell.since, cell.last_good) == (None, "", "", "")


def measured(number: str, seconds: float, **figures: str) -> ImageRecord:
    """An image whose smoke job of this number took so long."""
    return replace(
        promoted(), stages=(stage("smoke", jobs=[{**job(number), "duration_s": seconds, "figures": figures}]),)
    )


def test_trends_go_from_old_to_new() -> None:
    """Time and the test's own numbers; texts are no numbers."""
    cell = alder(run(2, measured("8", 3.0, rate="11.5 GB/s", os="Rocky")), run(1, measured("7", 2.0, rate="12 GB/s")))
    assert [(trend.figure, trend.unit, trend.values) for trend in cell.trends] == [
        ("time", "s", (2.0, 3.0)),
        ("rate", "GB/s", (12.0, 11.5)),
    ]


def test_a_job_counts_once() -> None:
    """A run that finds nothing to do repeats what the last job said."""
    cell = alder(run(1, measured("7", 2.0)), run(2, measured("7", 2.0)), run(3, measured("8", 2.5)))
    assert cell.trends[0].values == (2.0, 2.5)


def test_a_job_that_failed_is_no_figure() -> None:
    """How long it took to fail would mislead."""
    broken = replace(promoted(), stages=(stage("smoke", jobs=[{**job("9", "failed"), "duration_s": 0.1}]),))
    assert alder(run(1, measured("7", 2.0)), run(2, broken)).trends[0].values == (2.0,)


@pytest.mark.parametrize("jobs", [None, 3, "x", [3], [None], [{}], [{"figures": 3, "status": "passed"}]])
def test_evidence_of_any_shape_is_borne(jobs: object) -> None:
    """A report may come from anywhere."""
    assert alder(run(1, replace(promoted(), stages=(stage("smoke", jobs=jobs),)))).trends == ()


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, (2.0, "")),
        (2.5, (2.5, "")),
        ("2.5", (2.5, "")),
        (" -1e3 s ", (-1000.0, "s")),
        ("12 GB/s", (12.0, "GB/s")),
        (".5%", (0.5, "%")),
        ("glibc 2.31", None),
        ("2.31.4", None),
        ("1-2", None),
        ("", None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        ("1e999", None),
        ([1], None),
    ],
)
def test_what_is_a_number(value: object, number: tuple[float, str] | None) -> None:
    """A number with a unit is one, a version is none."""
    assert number_of(value) == number


@settings(max_examples=40)
@given(st.text() | st.floats() | st.integers(-(10**20), 10**20))
def test_numbers_are_finite(value: object) -> None:
    """Whatever a job printed, a line can be drawn."""
    found = number_of(value)
    assert found is None or abs(found[0]) < 1e300


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (-5, "just now"), (-500, "in the future"), (61, "1 min ago"), (7300, "2 h ago"),
     (47 * 3600, "47 h ago"), (49 * 3600, "2 d ago")],
)  # fmt: skip
def test_ages_have_one_unit(seconds: int, words: str) -> None:
    """Enough to see at a glance."""
    assert age_words("2026-01-31T12:00:00Z", 1769860800 + seconds) == words
    assert age_words("", 0) == ""
