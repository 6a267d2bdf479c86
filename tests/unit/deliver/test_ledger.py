"""The ledger: read in the order of its lines, any edit found and named by line, whatever else lies in the file."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.deliver.ledger import (
    LedgerEntry,
    parse_ledger,
    promised,
    releases_by_age,
    render_facts,
    rollback_path,
    unfinished,
)
from hpcbake.model.artefacts import SmokeResult, SmokeStatus


def line(previous: str, act: str, digest: str = "a", image: str = "app") -> str:
    return json.dumps({"prev": previous, "seq": 1, "time": 5, "run": "r", "act": act, "image": image, "digest": digest})


def chained(*acts: str) -> str:
    """A ledger of these acts, as the site writes it."""
    text, previous = "", hashlib.sha256(b"").hexdigest()
    for act in acts:
        added = line(previous, act) + "\n"
        previous = hashlib.sha256(added.encode()).hexdigest()
        text += added
    return text


def entry(act: str, digest: str, image: str = "app") -> LedgerEntry:
    return LedgerEntry(1, act, image, digest, "1.0", "", "run", 0)


def test_lines_are_numbered() -> None:
    """The sequence number is the place in the file, also for the end of a long one."""
    text = chained("promoting", "promoted", "promoting")
    assert [item.seq for item in parse_ledger(text).entries] == [1, 2, 3]
    rest = "".join(text.splitlines(keepends=True)[1:])
    assert [(item.seq, item.act) for item in parse_ledger(rest, first=7).entries] == [(7, "promoted"), (8, "promoting")]
    assert parse_ledger(rest, first=7).broken == ""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_edited_line_is_named(number: int) -> None:
    """With what it is and what the next line was written after; only the last one needs the head beside the file."""
    lines = chained("promoting", "promoted", "promoting", "promoted").splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace('"time": 5', '"time": 6')
    actual = hashlib.sha256(lines[number - 1].encode()).hexdigest()
    broken = parse_ledger("".join(lines)).broken
    assert broken.startswith(f"ledger.jsonl:{number}: was changed")
    assert actual in broken


def test_a_line_that_is_gone_is_missed() -> None:
    """Also the first."""
    lines = chained("promoting", "promoted", "promoting").splitlines(keepends=True)
    assert parse_ledger(lines[0] + lines[2]).broken
    assert parse_ledger(lines[1] + lines[2]).broken


def test_torn_lines_are_passed() -> None:
    """A power cut in the middle of a line: the next line vouches for its bytes; the last has built nothing."""
    text = chained("promoting")
    torn = text + '{"prev": "xyz", "ac\n'
    after = line(hashlib.sha256(b'{"prev": "xyz", "ac\n').hexdigest(), "promoted") + "\n"
    ledger = parse_ledger(torn + after + '{"prev"')
    assert ledger.broken == ""
    assert [item.act for item in ledger.entries] == ["promoting", "promoted"]


@given(st.text(), st.integers(1, 5))
def test_any_text_is_read(text: str, first: int) -> None:
    """Whatever lies there is no crash."""
    parse_ledger(text, first=first)


@given(st.lists(st.sampled_from("{}[]\"'ab1:, \n"), max_size=40).map("".join))
def test_json_of_another_shape_is_no_entry(text: str) -> None:
    """Only objects are lines."""
    for item in parse_ledger(f'[1]\n"x"\n7\nnull\n{text}').entries:
        assert isinstance(item.act, str)


def test_facts_are_one_line_of_json() -> None:
    """Whatever a user or a job is called."""
    smoke = [
        SmokeResult("s", "app", 'c"u', "k", SmokeStatus.PASSED, "1\n2", "n"),
        SmokeResult("s", "app", "x", "k", SmokeStatus.SKIPPED),
    ]
    facts = render_facts('me"\n@päc', "ab" * 32, smoke)
    assert facts.isascii()
    assert "\n" not in facts
    document = json.loads("{" + facts + "}")
    assert (document["by"], document["smoke"]) == ('me"\n@päc', [{"test": 'c"u', "job": "1\n2", "node": "n"}])


def test_what_is_promised() -> None:
    """The last move of each image."""
    entries = [
        entry("promoted", "A"),
        entry("promoting", "B"),
        entry("rolled-back", "C"),
        entry("promoted", "X", "other"),
    ]
    assert promised(entries) == {"app": "C", "other": "X"}


@pytest.mark.parametrize(
    ("acts", "found"),
    [
        ((), None),
        (("promoted",), None),
        (("promoting", "promoted"), None),
        (("promoted", "rolling-back"), "rolling-back"),
    ],
)
def test_what_is_unfinished(acts: tuple[str, ...], found: str | None) -> None:
    """Only the last act can be one that was begun and not ended."""
    last = unfinished([entry(act, "A") for act in acts])
    assert (last.act if last else None) == found


def test_the_path_back() -> None:
    """A rollback takes away what came after its target; another image's moves do not count."""
    moves = [("promoted", "A"), ("promoted", "B"), ("promoted", "B"), ("promoted", "C"), ("rolled-back", "B")]
    entries = [entry(*move) for move in moves]
    assert rollback_path(entries, "app") == ["A", "B"]
    entries += [entry("promoted", "D"), entry("promoted", "E", "other")]
    assert rollback_path(entries, "app") == ["A", "B", "D"]
    assert releases_by_age(entries, "app") == ["D", "B", "C", "A"]
