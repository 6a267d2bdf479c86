"""`hpcbake explain`: codes, kinds, exit codes, rules and logs; honest about what it does not know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcbake.catalogue import ENTRIES
from hpcbake.cli.explain import command
from hpcbake.cli.explain_topics import all_topics, find_topic
from hpcbake.errors import ExitCode, UsageError


def explain(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(command, words, input=given, standalone_mode=False)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("HB-PULL-007", "HB-PULL-007"), ("hb-pull-007", "HB-PULL-007"), ("pull-007", "HB-PULL-007"),
        ("[HB-PULL-007]", "HB-PULL-007"), ("HB-PULL-007:", "HB-PULL-007"), ("HB_PULL_7", "HB-PULL-007"),
        ("site.space", "HB-SITE-002"), ("42", "42"), ("exit 42", "42"), ("SITE_RESOURCE", "42"),
        ("HB-BAKE-020", "HB-BAKE-020"), ("hb-lint-003", "HB-LINT-003"), ("base-latest", "HB-LINT-003"),
        ("glibc-too-new", "glibc-too-new"),
    ],
)  # fmt: skip
def test_a_topic_is_found_as_people_type_it(word: str, name: str) -> None:
    """Any case, with the brackets of the message, without the front, with short numbers."""
    found = find_topic(word)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("word", "hint"), [("glibc-too-newx", "glibc-too-new"), ("HB-PULL-999", "HB-PULL-"), ("qqqq", "--list")]
)
def test_an_unknown_name_is_told_with_the_nearest(word: str, hint: str) -> None:
    """Exit code 2, and where to look."""
    failure = explain(word).exception
    assert isinstance(failure, UsageError)
    assert hint in failure.remedy


def test_an_error_is_explained_in_full() -> None:
    """What it means, how it looks, what to do, its exit code."""
    entry = next(entry for entry in ENTRIES if entry.code == "HB-PULL-007")
    shown = " ".join(explain(entry.code).stdout.split())
    for text in (entry.means, entry.looks, entry.remedy, entry.kind, "exit code 42 SITE_RESOURCE"):
        assert " ".join(text.split()) in shown


def test_every_topic_has_words_and_is_listed() -> None:
    """Errors, exit codes, bake codes, lint rules, check rules."""
    shown = explain("--list").stdout
    for topic in all_topics():
        assert topic.means
        assert f"\n{topic.name} " in f"\n{shown}"
    assert {int(code) for code in ExitCode} <= {int(t.name) for t in all_topics() if t.name.isdigit()}


def test_topics_and_logs_as_json() -> None:
    """One document, whatever was asked for."""
    done = explain("--json", "42", "-", given="sbatch: error: invalid partition specified: x\nwhatever\n")
    document = json.loads(done.stdout)
    assert (document["kind"], document["version"]) == ("hpcbake.explain", 1)
    assert document["topics"][0]["exit_codes"] == [42]
    assert document["logs"][0]["known"][0]["cause"] == "slurm-partition"
    assert document["logs"][0]["known"][0]["lines"] == [1]
    assert document["logs"][0]["lines"] == 2


def test_a_log_says_what_is_known_and_what_is_not(tmp_path: Path) -> None:
    """With line numbers, and units that agree."""
    (tmp_path / "x.log").write_bytes(b"fine\nFATAL:   x: no space left on device\nodd \xff error\n")
    shown = explain(str(tmp_path / "x.log")).stdout
    assert "line 2: no room left where the job writes [HB-SITE-002]" in shown
    assert "not known, and may matter:\n  3: odd \\xff error" in shown
    assert shown.endswith("3 lines read, 1 known\n")
    assert explain("-", given="").stdout == "0 lines read, 0 known: nothing here is known to hpcbake\n"
    assert explain("-", given="hello\n").stdout.startswith("1 line read, 0 known")


def test_a_log_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As a mistake of the command line."""
    failure = explain(str(tmp_path / "none.log")).exception
    assert isinstance(failure, UsageError)
    assert "none.log" in failure.message


@pytest.mark.parametrize("words", [[], ["--list", "42"]])
def test_one_thing_at_a_time(words: list[str]) -> None:
    """Names, or the list."""
    assert isinstance(explain(*words).exception, UsageError)


def test_escape_sequences_of_a_log_are_shown(tmp_path: Path) -> None:
    """A log does not steer the terminal."""
    assert "\x1b" not in explain("-", given="\x1b[31mFATAL:   x: no space left on device\n").stdout
