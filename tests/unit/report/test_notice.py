"""What other programs are told of a run: its events, the document, the text for a chat."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hpcbake.errors import ExitCode
from hpcbake.report.notice import end_document, events_of, notice_text, start_document
from hpcbake.report.records import ShipReport
from tests.reports import RUN, full_report

BAD = full_report()
GOOD = replace(BAD, sites=(), targets=(), error=None, interrupted_code=None)


@pytest.mark.parametrize(
    ("report", "before", "events"),
    [
        (GOOD, None, ("succeeded",)),
        (GOOD, ExitCode.OK, ("succeeded",)),
        (GOOD, ExitCode.SMOKE_FAILED, ("succeeded", "recovered")),
        (BAD, ExitCode.OK, ("failed", "changed")),
        (replace(GOOD, interrupted_code=ExitCode.TERM), None, ("failed",)),
    ],
)
def test_the_events_of_an_end(report: ShipReport, before: ExitCode | None, events: tuple[str, ...]) -> None:
    """Recovered is one that ends well after one that had not."""
    assert events_of(report, before) == events


def test_the_text_says_what_broke_where_and_what_to_do() -> None:
    """In a few lines that a chat program shows whole, without control characters."""
    text = notice_text(BAD, "failed")
    cause = next(error for site in BAD.sites for image in site.images if (error := image.error) is not None)
    assert f"exit {int(BAD.code)}" in text
    assert BAD.run.id in text
    assert "new: app at alder" in text
    assert "what to do: " in text
    assert cause.remedy.splitlines()[0][:40] in text
    assert len(text) < 4000
    assert all(character.isprintable() or character == "\n" for character in text)


def test_the_document_is_json_with_kind_and_version() -> None:
    """Whatever texts the run holds."""
    document = json.loads(json.dumps(end_document(BAD, "failed")))
    assert (document["kind"], document["version"], document["event"]) == ("hpcbake.notice", 1, "failed")
    assert document["exit"]["code"] == int(BAD.code)
    assert document["run"]["id"] == BAD.run.id
    assert document["failures"][0].keys() >= {"images", "sites", "stage", "kind", "message", "remedy", "next"}
    assert document["failures_left_out"] == 0
    assert all(item.keys() == {"image", "site", "digest"} for item in document["changed"])


def test_a_beginning_is_a_document_too() -> None:
    """With the run's id, so that its end can be told to belong to it."""
    document = start_document(RUN)
    assert (document["event"], document["run"]["id"]) == ("started", RUN.id)
    assert document["text"].startswith("hpcbake: ")
