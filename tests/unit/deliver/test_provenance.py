"""The provenance file: JSON to programs, one key per line to the shell, and nothing believed that is damaged."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.deliver.provenance import parse_provenance, render_provenance
from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from hpcbake.model.verdict import CompatReport
from tests.golden.chain_texts import IMAGE


def provenance(**figures: str) -> str:
    smoke = [SmokeResult("s", "app", "cpu", "key", SmokeStatus.PASSED, "12", "n1", figures=figures)]
    return render_provenance(
        IMAGE,
        run="01RUN",
        created="2026-01-31T12:00:00Z",
        tool_version="0",
        check=CompatReport("s", str(IMAGE.digest), ()),
        smoke=smoke,
        facts={"sif_sha256": "ab" * 32, "size_bytes": 12},
    )


def filled(text: str) -> str:
    """As the site fills in what it measured."""
    return (
        text.replace("@MTIME@", "1769860800").replace("@DELIVERED@", "2026-01-31T12:00:00Z").replace("@TESTED@", "null")
    )


def test_it_says_what_how_and_who() -> None:
    """Image, digest, reference, tool, check and smoke tests."""
    document = parse_provenance(filled(provenance()))
    assert (document["kind"], document["version"], document["digest"]) == ("hpcbake.provenance", 1, str(IMAGE.digest))
    assert document["check"] == {"verdict": "PASS", "site": "s"}
    assert document["smoke"][0]["job_id"] == "12"


@given(st.dictionaries(st.text(), st.text()))
def test_figures_are_a_jobs_words_and_spoil_nothing(figures: dict[str, str]) -> None:
    """Whatever a container printed, the file is JSON, and the shell finds the keys of the top level only."""
    text = filled(provenance(**{f"f{key}": value for key, value in figures.items()}))
    document = json.loads(text)
    assert (document["sif_sha256"], document["size_bytes"]) == ("ab" * 32, 12)
    tops = [line for line in text.splitlines() if line.startswith('  "')]
    assert [line.split('"')[1] for line in tops] == list(document)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"kind": "other"}', "\0", '{"kind": "hpcbake.provenance"'])
def test_a_damaged_file_proves_nothing(text: str) -> None:
    """It is no crash and no proof."""
    assert parse_provenance(text) == {}
