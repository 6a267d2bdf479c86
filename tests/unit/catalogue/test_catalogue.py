"""The catalogue of errors and the code say the same, in both directions; a code never changes its meaning."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

import pytest

from hpcbake.catalogue import AREAS, ENTRIES, RETIRED, Entry, error_code, find_entry, with_code
from hpcbake.catalogue.exits import EXITS
from hpcbake.cli.explain_topics import find_topic
from hpcbake.errors import ExitCode
from tests.unit.catalogue.messages import ANY, ROOT, message_patterns, named_kinds, without_remedy

sys.path.append(str(ROOT / "docs"))
generate: Any = importlib.import_module("generate")

RECORDED = ROOT / "tests/golden/catalogue/codes.txt"
HOW = (
    "give it an entry in hpcbake/catalogue/<area>.py with the next free number of its area, add the line "
    "`CODE kind` to tests/golden/catalogue/codes.txt, and run `python docs/generate.py`"
)


@pytest.mark.stand
def test_every_kind_of_the_code_is_in_the_catalogue() -> None:
    """A new failure gets a code, and words for the person who meets it."""
    known = {entry.kind for entry in ENTRIES}
    raised = {kind for kind, _ in generate.find_kinds()} | set(named_kinds())
    assert sorted(raised - known) == [], HOW


@pytest.mark.stand
def test_every_entry_of_the_catalogue_is_raised_somewhere() -> None:
    """No words about errors that cannot happen: a kind that goes away moves to RETIRED."""
    raised = {kind for kind, _ in generate.find_kinds()}
    assert sorted({entry.kind for entry in ENTRIES} - raised) == []


@pytest.mark.stand
def test_an_entry_has_the_exit_codes_of_its_kind() -> None:
    """As the exceptions that carry it have them. A signal's is 128 and its number."""
    raised = dict(generate.find_kinds())
    signals = {ExitCode.HUP, ExitCode.TERM}
    wrong = [
        entry.code for entry in ENTRIES if not raised[entry.kind] <= set(entry.exits) <= raised[entry.kind] | signals
    ]
    assert wrong == []


def test_a_code_is_given_once() -> None:
    """What was recorded stays: a code keeps its kind or retires, and new ones are recorded."""
    recorded = dict(line.split() for line in RECORDED.read_text().splitlines())
    now = {entry.code: entry.kind for entry in ENTRIES}
    assert len(now) == len(ENTRIES) == len({entry.kind for entry in ENTRIES})
    assert {code: kind for code, kind in recorded.items() if code not in RETIRED} == now, HOW
    assert set(recorded) >= RETIRED
    assert not RETIRED & set(now)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_a_code_has_its_form_and_an_area(entry: Entry) -> None:
    """`HB-<AREA>-<NNN>`, and every text is there, in sentences."""
    form = re.fullmatch(r"HB-([A-Z]+)-\d{3}", entry.code)
    assert form
    assert form[1] in AREAS
    assert form[1] not in ("BAKE", "LINT"), "those are codes of bake files"
    for text in (entry.means, entry.remedy):
        assert text[0].isupper() or text[0] == "`" or text.startswith(("hpcbake", "apptainer", "docker"))
        assert text.endswith((".", "?"))
    assert entry.looks
    assert "\n" not in entry.means + entry.remedy


@pytest.mark.stand
def test_the_example_of_an_entry_is_a_message_that_the_code_prints() -> None:
    """The example fits a text that is written where the exception is made, with something in its holes."""
    patterns = message_patterns()
    written = [entry for entry in ENTRIES if entry.kind in patterns]
    assert len(written) > len(ENTRIES) / 2
    assert [entry.code for entry in written if not _fits_one(entry, [*patterns[entry.kind], *patterns[ANY]])] == []


def _fits_one(entry: Entry, patterns: list[re.Pattern[str]]) -> bool:
    shown = entry.looks.removeprefix("error: ")
    texts = [shown, shown.partition(": ")[2]]
    return any(pattern.fullmatch(text) for pattern in patterns for text in texts)


def test_every_exit_code_is_explained() -> None:
    """Each with what to do."""
    assert set(EXITS) == set(ExitCode)
    assert all(means and remedy for means, remedy in EXITS.values())


def test_every_code_in_the_docs_exists() -> None:
    """A page that names a code names one that `hpcbake explain` knows."""
    unknown = {
        f"{path.relative_to(ROOT)}: {code}"
        for path in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
        for code in re.findall(r"\bHB-[A-Z]+-\d{3}\b", path.read_text(encoding="utf-8"))
        if find_topic(code) is None
    }
    assert unknown == set()


def test_the_page_has_a_place_for_every_entry() -> None:
    """What `explain` points at is there."""
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert [entry.code for entry in ENTRIES if f"\n### {entry.code}\n" not in page] == []


def test_codes_and_kinds_are_found_in_any_case() -> None:
    """As people type them."""
    entry = find_entry("hb-pull-007")
    assert entry is not None
    assert find_entry(entry.kind) is entry
    assert find_entry("HB-PULL-999") is None
    assert error_code(entry.kind) == entry.code
    assert error_code("of.tomorrow") == ""


@pytest.mark.parametrize(
    ("message", "kind", "shown"),
    [
        ("no site 'x'", "config.usage", "no site 'x' [HB-CONF-002]"),
        ("first\nsecond", "config.usage", "first [HB-CONF-002]\nsecond"),
        ("a.hcl:1:1: nothing is named X [HB-BAKE-020]\n  X\n  ^", "config.bakefile", None),
        ("of a newer hpcbake", "of.tomorrow", None),
    ],
)
def test_a_message_shows_its_code_once(message: str, kind: str, shown: str | None) -> None:
    """Behind the first line; a bake file's mistakes have finer codes of their own."""
    assert with_code(message, kind) == (shown or message)


@pytest.mark.stand
def test_every_failure_says_what_comes_next() -> None:
    """A message without a remedy leaves somebody alone at two in the morning."""
    assert list(without_remedy()) == []
