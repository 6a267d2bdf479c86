"""A kept report read back is the report that was written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.errors import ExitCode, StateError
from hpcbake.report.document import render_report, report_document
from hpcbake.report.read import parse_report, parse_utc
from hpcbake.report.records import ImageRecord, Outcome, ShipReport, SiteRecord, error_record
from tests.reports import HOSTILE, RUN, empty_report, failed, full_report, promoted, read_back, target

CONNECT = error_record("connect", StateError("birch: no route", remedy="wait", evidence={"output": "no"}))
LOST = ImageRecord("app", "", Outcome.FAILED, error=CONNECT)


@pytest.mark.parametrize(
    "report",
    [
        full_report(),
        empty_report(),
        empty_report(ExitCode.SITE_RESOURCE),
        ShipReport("0", RUN, (target(),), (SiteRecord("birch", (LOST,)),)),
        ShipReport("0", RUN, (replace(target(), error=CONNECT),), ()),
        replace(full_report(), run=replace(RUN, interrupted_by="SIGTERM"), interrupted_code=ExitCode.TERM),
        replace(full_report(), run=replace(RUN, project="/home/é", resumes="01OLD")),
    ],
)
def test_nothing_is_lost_on_the_way(report: ShipReport) -> None:
    """The report that was read makes the same document again, and has the same code."""
    again = parse_report(render_report(report), "report.json")
    assert report_document(again) == read_back(report)
    assert again.code is report.code


@settings(max_examples=10)
@given(st.text(), st.text())
def test_any_text_is_read_back(note: str, output: str) -> None:
    """What a site says cannot spoil a kept report."""
    report = ShipReport("0", RUN, (), (SiteRecord("alder", (failed(output=output),), notes=(note,)),))
    again = parse_report(render_report(report), "report.json")
    assert again.sites[0].notes == (note,)
    assert again.sites[0].images[0].error is not None
    assert again.sites[0].images[0].error.evidence["output"] == output


def test_fields_of_other_versions_do_no_harm() -> None:
    """A field of a later version is passed over; one that earlier versions did not write is empty."""
    document = read_back(full_report())
    document["news"] = document["run"]["news"] = document["sites"][0]["images"][0]["news"] = {"x": 1}
    del document["run"]["project"]
    for error in document["errors"]:
        del error["evidence"], error["retryable"]
    again = parse_report(json.dumps(document), "report.json")
    assert again.run.project == ""
    error = again.sites[1].images[0].error
    assert error is not None
    assert error.evidence["output"] == HOSTILE, "the step's own record still has it"


def test_the_committed_golden_report_is_read() -> None:
    """The document as it lies in a state folder."""
    path = Path(__file__).resolve().parents[2] / "golden/chain/report.json"
    assert parse_report(path.read_bytes(), "report.json").sites[0].images[0].after == promoted().after


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        "{}",
        '{"schema": "hpcbake.report/2"}',
        '{"schema": "hpcbake.report/1"}',
        "[" * 100_000,
        b"\xff\xfe{}",
        render_report(full_report())[:-50],
        render_report(full_report()).replace('"outcome": "ok"', '"outcome": "splendid"'),
        render_report(full_report()).replace('"stages": [', '"stages": 3, "x": ['),
    ],
    ids=range(13),
)
def test_what_is_no_report_is_told(text: str | bytes) -> None:
    """With its name, and never with a traceback."""
    with pytest.raises(StateError, match=r"^kept/report\.json: is no report"):
        parse_report(text, "kept/report.json")


def test_times_are_read_as_they_are_written() -> None:
    """UTC, whatever the zone of this machine; no time is no time."""
    assert parse_utc("2026-01-31T12:00:00Z") == 1769860800
    assert parse_utc("yesterday") is None
