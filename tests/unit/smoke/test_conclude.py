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
    NO_OUTPUT_REASON,
    PENDING_REASONS,
    Observation,
    conclude,
    parse_result,
    pending_reason,
)
from hpcbake.smoke.wait import parse_figures

NAME = "hpcbake-ab-01.1.01RUN"
OVER = 20.0
PASSED, FAILED, UNKNOWN = SmokeStatus.PASSED, SmokeStatus.FAILED, SmokeStatus.UNKNOWN


def result(**facts: object) -> str:
    document = {"kind": "hpcbake.smoke-result", "name": NAME, "exit_code": 0, "why": "ok", "node": "n1"}
    return json.dumps({**document, "started": 10, "ended": 13, **facts})


def status(*, state: str = "", accounting: str = "", result: str = "", slurm_error: str = "") -> SmokeStatus | None:
    seen = Observation("7", state, accounting=accounting, result=result, slurm_error=slurm_error)
    found = conclude(seen, name=NAME, waited_s=OVER)
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
    """Exit code 0 and `ok`, both, are a success, as long as Slurm says nothing else."""
    for state in ("", "RUNNING", "COMPLETING", "COMPLETED"):
        assert status(result=result(**facts), state=state) is expected


@pytest.mark.parametrize("state", ["FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT", "CANCELLED", "NEW_WORD"])
def test_a_success_that_slurm_contradicts_is_unknown(state: str) -> None:
    """By squeue or by sacct: nobody can vouch for it."""
    assert status(result=result(), state=state) is UNKNOWN
    assert status(result=result(), accounting=f"{state}|0:9|n1") is UNKNOWN
    assert status(result=result(why="skipped-no-gpu"), state=state) is UNKNOWN


@pytest.mark.parametrize("state", ["FAILED", "OUT_OF_MEMORY", "TIMEOUT", "COMPLETED", ""])
def test_a_failure_that_slurm_does_not_explain_otherwise_stands(state: str) -> None:
    """The job said what it was."""
    assert status(result=result(exit_code=3, why="exit-code-3"), state=state) is FAILED


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED", "CANCELLED", "BOOT_FAIL"])
def test_a_failure_by_the_clusters_doing_is_no_verdict(state: str) -> None:
    """A command that was ended with its node says something of the node."""
    found = conclude(
        Observation("7", result=result(exit_code=3, why="exit-code-3"), state=state), name=NAME, waited_s=OVER
    )
    assert found is not None
    assert (found.status, found.state) == (UNKNOWN, state)
    assert found.reason == f"exit code 3; Slurm says {state}"


def test_slurm_has_a_moment_to_agree() -> None:
    """A result is there before Slurm has seen the job's end: asked once more, then it stands."""
    seen = Observation("7", result=result(), state="RUNNING")
    assert conclude(seen, name=NAME, waited_s=1.0) is None
    found = conclude(seen, name=NAME, waited_s=5.0)
    assert found is not None
    assert found.status is PASSED


@pytest.mark.parametrize(("out", "err"), [(None, 0), (9, 4), (10, 3)])
def test_output_that_is_not_there_yet_is_waited_for(out: int | None, err: int) -> None:
    """A shared file system may show the result before the end of the log; not for ever."""
    seen = Observation("7", result=result(out_bytes=10, err_bytes=4), out_bytes=out, err_bytes=err)
    assert conclude(seen, name=NAME, waited_s=19.0) is None
    assert conclude(seen, name=NAME, waited_s=OVER) is not None
    whole = Observation("7", result=result(out_bytes=10, err_bytes=4), out_bytes=10, err_bytes=4)
    assert conclude(whole, name=NAME, waited_s=0.0) is not None


def test_a_test_that_its_node_had_no_way_of_is_skipped() -> None:
    """With the reason, and never passed."""
    found = conclude(Observation("7", result=result(why="skipped-no-gpu-on-the-node")), name=NAME, waited_s=0.0)
    assert found is not None
    assert (found.status, found.reason) == (SmokeStatus.SKIPPED, "no gpu on the node")
    assert status(result=result(why="skipped-no-gpu", exit_code=1)) is FAILED


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
        result(exit_code=True),
        result(name=f"{NAME}0"),
        result(name=NAME.replace("01RUN", "01OTHER")),
        result(job_id="8"),
        "[" * 100_000,
        result()[:-1],
    ],
)
def test_what_is_not_this_attempts_result_is_none(text: str) -> None:
    """Half a file, another job's, another kind."""
    assert parse_result(text, NAME, "7") == {}
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
    """0:53, or in an older Slurm an end that left neither output nor result: the script never ran."""
    for seen in (
        Observation("7", accounting="FAILED|0:53|n1"),
        Observation("7", state="FAILED", exit_code="0:53", out_bytes=0),
        Observation("7", state="FAILED", exit_code="1:0"),
    ):
        found = conclude(seen, name=NAME, waited_s=OVER)
        assert found is not None
        assert (found.status, found.reason) == (FAILED, NO_OUTPUT_REASON)
    for seen in (
        Observation("7", state="FAILED", exit_code="0:9"),
        Observation("7", state="FAILED", exit_code="1:0", out_bytes=0),
    ):
        found = conclude(seen, name=NAME, waited_s=OVER)
        assert found is not None
        assert (found.status, found.reason != NO_OUTPUT_REASON) == (FAILED, True)


def test_a_shared_file_system_has_its_time() -> None:
    """Before the grace is over a missing result file means nothing."""
    for seen in (Observation("7"), Observation("7", state="COMPLETED"), Observation("7", state="FAILED")):
        assert conclude(seen, name=NAME, waited_s=0.0) is None


@pytest.mark.parametrize(
    ("accounting", "says"),
    [
        ("TIMEOUT|0:0|n1", "time limit"),
        ("OUT_OF_MEMORY|0:125|n1", "out of memory"),
        ("FAILED|0:9|n1", "killed by signal 9"),
        ("FAILED|1:9|n1", "FAILED 1:9"),
    ],
)
def test_a_failure_is_said_in_words(accounting: str, says: str) -> None:
    """Slurm's numbers are read for people."""
    found = conclude(Observation("7", accounting=accounting), name=NAME, waited_s=OVER)
    assert found is not None
    assert (says in found.reason, found.node) == (True, "n1")


def test_how_long_it_ran_is_the_nodes_own_measure() -> None:
    """One clock, two times; the test's own time where the job tells it."""
    for facts, duration_s in (({}, 3.0), ({"elapsed_s": 1.25}, 1.25)):
        found = conclude(Observation("7", result=result(**facts)), name=NAME, waited_s=0.0)
        assert found is not None
        assert (found.duration_s, found.node, found.exit_code) == (duration_s, "n1", "0")


@given(st.text(), st.text(), st.text(), st.text(), st.booleans())
def test_no_answer_breaks_the_rules(state: str, accounting: str, text: str, reason: str, grace: bool) -> None:
    """Whatever Slurm and the file system say, only a result of ours is a success."""
    seen = Observation("7", state=state, accounting=accounting, result=text, reason=reason)
    found = conclude(seen, name=NAME, waited_s=OVER if grace else 0.0)
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
