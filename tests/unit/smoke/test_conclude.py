"""How a job ended, by its own word and Slurm's: nobody's silence is a success."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.model.artefacts import SmokeStatus
from hpcbake.smoke.conclude import (
    ACTIVE_STATES,
    FAILED_STATES,
    PENDING_REASONS,
    Observation,
    conclude,
    parse_result,
    pending_reason,
)
from hpcbake.smoke.smoke import parse_figures

PREFIX = "hpcbake-ab-01"
PASSED, FAILED, UNKNOWN = SmokeStatus.PASSED, SmokeStatus.FAILED, SmokeStatus.UNKNOWN


def result(**facts: object) -> str:
    document = {"kind": "hpcbake.smoke-result", "name": f"{PREFIX}.1.01RUN", "exit_code": 0, "why": "ok", "node": "n1"}
    return json.dumps({**document, "started": 10, "ended": 13, **facts})


def status(**seen: str) -> SmokeStatus | None:
    found = conclude(Observation("7", **seen), name_prefix=PREFIX, grace_over=True)
    return found.status if found else None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, PASSED),
        ({"exit_code": 1, "why": "exit-code-1"}, FAILED),
        ({"exit_code": 0, "why": "died"}, FAILED),
        ({"exit_code": 1, "why": "ok"}, FAILED),
        ({"exit_code": 143, "why": "terminated"}, UNKNOWN),
        ({"exit_code": 143, "why": "time-limit"}, FAILED),
        ({"why": None}, FAILED),
    ],
)
def test_the_jobs_own_word_decides(facts: dict[str, object], expected: SmokeStatus) -> None:
    """Exit code 0 and `ok`, both, are a success; whatever Slurm says beside it."""
    for state in ("", "RUNNING", "FAILED", "COMPLETED", "NODE_FAIL"):
        assert status(result=result(**facts), state=state) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        result(kind="other"),
        result(name="hpcbake-of-another-attempt"),
        result(name=None),
        result(exit_code="0"),
        result(exit_code=None),
        result()[:-1],
    ],
)
def test_what_is_not_this_attempts_result_is_none(text: str) -> None:
    """Half a file, another job's, another kind."""
    assert parse_result(text, PREFIX) == {}
    assert status(result=text, state="COMPLETED") is UNKNOWN


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES))
def test_a_job_that_may_still_speak_is_waited_for(state: str) -> None:
    """Queued, running, ending, requeued: all of these are no end."""
    assert status(state=state) is None


@pytest.mark.parametrize("state", sorted(FAILED_STATES))
def test_slurms_word_is_taken_for_failures(state: str) -> None:
    """When the job itself could not speak any more."""
    assert status(state=state) is FAILED
    assert status(accounting=f"{state}|1:0|n1") is FAILED


@pytest.mark.parametrize(
    "state", ["COMPLETED", "CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED", "NEW_WORD"]
)
def test_slurms_word_is_never_a_success(state: str) -> None:
    """Nor is what happened to the node the image's fault."""
    assert status(state=state) is UNKNOWN
    assert status(accounting=f"{state} by 1000|0:0|n1") is UNKNOWN


def test_a_job_that_nobody_knows_is_unknown() -> None:
    """Gone from the queue, no accounting, no result."""
    assert status() is UNKNOWN


def test_a_silent_scheduler_ends_nothing() -> None:
    """Without an answer every job may still be running."""
    assert status(slurm_error="down", state="", accounting="FAILED|1:0|") is None
    assert status(slurm_error="down", result=result()) is PASSED


def test_an_output_that_slurm_could_not_open_is_not_the_images_fault() -> None:
    """0:53: the script never ran."""
    found = conclude(Observation("7", accounting="FAILED|0:53|n1"), name_prefix=PREFIX, grace_over=True)
    assert found is not None
    assert (found.status, found.exit_code) == (UNKNOWN, "0:53")


def test_a_shared_file_system_has_its_time() -> None:
    """Before the grace is over a missing result file means nothing."""
    for seen in (Observation("7"), Observation("7", state="COMPLETED"), Observation("7", state="FAILED")):
        assert conclude(seen, name_prefix=PREFIX, grace_over=False) is None


@pytest.mark.parametrize(
    ("accounting", "says"),
    [
        ("TIMEOUT|0:0|n1", "time limit"),
        ("OUT_OF_MEMORY|0:125|n1", "out of memory"),
        ("FAILED|0:9|n1", "killed by signal 9"),
        ("FAILED|2:0|n1", "FAILED 2:0"),
    ],
)
def test_a_failure_is_said_in_words(accounting: str, says: str) -> None:
    """Slurm's numbers are read for people."""
    found = conclude(Observation("7", accounting=accounting), name_prefix=PREFIX, grace_over=True)
    assert found is not None
    assert (says in found.reason, found.node) == (True, "n1")


def test_how_long_it_ran_is_the_nodes_own_measure() -> None:
    """One clock, two times."""
    found = conclude(Observation("7", result=result()), name_prefix=PREFIX, grace_over=False)
    assert found is not None
    assert (found.duration_s, found.node, found.exit_code) == (3.0, "n1", "0")


@given(st.text(), st.text(), st.text(), st.text(), st.booleans())
def test_no_answer_breaks_the_rules(state: str, accounting: str, text: str, reason: str, grace: bool) -> None:
    """Whatever Slurm and the file system say, only a result of ours is a success."""
    seen = Observation("7", state=state, accounting=accounting, result=text, reason=reason)
    found = conclude(seen, name_prefix=PREFIX, grace_over=grace)
    assert found is None or found.status is not PASSED


@pytest.mark.parametrize("reason", sorted(PENDING_REASONS))
def test_a_reason_is_explained(reason: str) -> None:
    """Slurm's word first, then what it means."""
    assert pending_reason(reason) == f"{reason}: {PENDING_REASONS[reason]}"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [("", ""), ("NewWord", "NewWord"), ("ReqNodeNotAvail, UnavailableNodes:n1", "a node it asks for is not available")],
)
def test_an_unknown_reason_is_shown_as_it_is(reason: str, shown: str) -> None:
    """And what follows a comma does not hide a known one."""
    assert pending_reason(reason).endswith(shown)


def test_figures_are_lines_of_their_own() -> None:
    """Name and value, the last of a name winning; everything else is a log."""
    out = "x\nhpcbake-figure os=Rocky = 8\nhpcbake-figure n\n hpcbake-figure no=1\nhpcbake-figure os=Alma\n"
    assert parse_figures(out) == {"os": "Alma", "n": ""}
