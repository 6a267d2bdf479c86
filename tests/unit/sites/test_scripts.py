"""What scripts on a site say, and what that means: read line by line, no more believed than was said."""

from __future__ import annotations

import base64

import pytest

from hpcbake.errors import (
    BugError,
    BusyError,
    HpcbakeError,
    IntegrityError,
    PromoteError,
    SiteResourceError,
    SmokeUnknownError,
)
from hpcbake.model.ports import Outcome
from hpcbake.sites.scripts import parse_answer_lines, read_answer


def failure_of(outcome: Outcome, *needs: str) -> HpcbakeError:
    with pytest.raises(HpcbakeError) as caught:
        read_answer(outcome, site="alder", step="deliver app", needs=needs)
    return caught.value


def test_an_answer_is_words_with_values() -> None:
    """The first value of a word, or all of them; spaces and anything else in a value stay."""
    answer = parse_answer_lines("state created\nnote a  b \nnote\nnote \u2028 c\x0cd\n")
    assert (answer.find("state"), answer.find("nothing")) == ("created", "")
    assert answer.all("note") == ("a  b ", "", "\u2028 c\x0cd")


def test_what_programs_print_is_passed_over() -> None:
    """Lines that begin with no word of ours are none of ours."""
    assert parse_answer_lines("Welcome!\n*** x\n  state created\n\nscancel: error: x\n").lines == ()


@pytest.mark.parametrize("text", ["", "é\n\t \x00", "x" * 100_000])
def test_long_texts_travel_as_base64(text: str) -> None:
    """A log comes back as it was."""
    sent = base64.b64encode(text.encode()).decode()
    assert parse_answer_lines(f"log {sent}").find_text("log") == text


@pytest.mark.parametrize("sent", ["%%%", "YQ", "YQ==\nYQ==", "é"])
def test_a_damaged_text_is_empty_or_its_beginning(sent: str) -> None:
    """What was cut off is no crash."""
    assert parse_answer_lines(f"log {sent}").find_text("log") in ("", "a")


def test_bytes_that_are_no_text_are_shown_as_escapes() -> None:
    """A log may hold anything."""
    sent = base64.b64encode(b"a\xffb").decode()
    assert parse_answer_lines(f"log {sent}").find_text("log") == "a\\xffb"


def test_an_answer_falls_into_blocks() -> None:
    """Each block begins with its word and ends before the next."""
    answer = parse_answer_lines("squeue ok\njob 1\nqueue a\njob 2\njob 3\nqueue c")
    assert [(block.find("job"), block.find("queue")) for block in answer.blocks("job")] == [
        ("1", "a"),
        ("2", ""),
        ("3", "c"),
    ]


@pytest.mark.parametrize(
    ("word", "failure", "kind"),
    [
        ("busy", BusyError, "lock.held"),
        ("changed", BusyError, "state.changed"),
        ("space", SiteResourceError, "site.space"),
        ("permission", SiteResourceError, "site.permission"),
        ("runtime", SiteResourceError, "site.runtime"),
        ("integrity", IntegrityError, "image.integrity"),
        ("architecture", IntegrityError, "image.architecture"),
        ("slurm-down", SmokeUnknownError, "slurm.down"),
        ("slurm-refused", SiteResourceError, "slurm.refused"),
        ("promote", PromoteError, "site.promote"),
        ("never-heard-of", BugError, "internal.script"),
    ],
)
def test_a_script_says_the_class_of_its_failure(word: str, failure: type[HpcbakeError], kind: str) -> None:
    """The class word decides exception and kind; the message names site and step; there is a remedy."""
    error = failure_of(Outcome(9, stdout=f"note x\nerror {word} the disk is /full\n"))
    assert (type(error), error.kind) == (failure, kind)
    assert error.message == "alder: deliver app: the disk is /full"
    assert error.remedy


def test_a_script_that_died_without_a_word_shows_its_last_ones() -> None:
    """A shell that stopped at a mistake of ours is our bug, with what it said."""
    error = failure_of(Outcome(2, stdout="state created\n", stderr="sh: 12: syntax error\n"))
    assert isinstance(error, BugError)
    assert "syntax error" in str(error.evidence["output"])


def test_a_script_that_was_killed_is_no_bug_of_ours() -> None:
    """A login node that ends processes is a matter of the site."""
    error = failure_of(Outcome(137))
    assert (type(error), error.kind) == (SiteResourceError, "site.killed")
    assert "signal 9" in error.message


@pytest.mark.parametrize("stdout", ["", "state created", "sha256 x\n", "states x\nsha256 x"])
def test_success_without_an_answer_is_no_success(stdout: str) -> None:
    """Exit code 0 with a word missing: an empty answer is not an answer."""
    assert failure_of(Outcome(0, stdout=stdout), "state", "sha256").kind == "site.answer"


def test_an_empty_value_is_an_answer() -> None:
    """There is no `current` at a new site, and the script says just that."""
    answer = read_answer(Outcome(0, stdout="current \n"), site="alder", step="look", needs=("current",))
    assert answer.find("current") == ""
