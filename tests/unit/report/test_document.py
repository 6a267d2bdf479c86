"""The report as JSON: it fits its schema whatever is in it, and agrees with the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.errors import ExitCode, RegistryTempError
from hpcbake.model.reference import Digest
from hpcbake.report.document import render_report, report_document
from hpcbake.report.records import ErrorRecord, Outcome, ShipReport, SiteRecord, error_record
from hpcbake.report.schema import render_report_schema, report_schema
from tests.reports import HOSTILE, RUN, empty_report, failed, full_report, read_back, stage, target

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("report", [full_report(), empty_report(), empty_report(ExitCode.SITE_RESOURCE)])
def test_a_report_fits_its_schema(report: ShipReport) -> None:
    """Also one of a run that came to nothing."""
    document = read_back(report)
    assert document["exit"] == {"code": int(report.code), "name": report.code.name, "retryable": False}


def test_the_schema_itself_is_one() -> None:
    """And the file in docs is the code's."""
    jsonschema.Draft202012Validator.check_schema(report_schema())
    committed = (ROOT / "docs/reference/report.schema.json").read_text()
    assert committed == render_report_schema(), "write it anew: python tests/golden/regenerate.py"


def test_a_report_is_ascii() -> None:
    """No terminal, log or mail spoils it, and no text is lost."""
    text = render_report(full_report())
    assert text.isascii()
    assert HOSTILE in json.loads(text)["sites"][1]["notes"]


def test_errors_are_listed_once_each_with_what_comes_next() -> None:
    """Site, target, stage, kind, and the command for just that."""
    (error,) = report_document(full_report())["errors"]
    assert (error["site"], error["target"], error["stage"]) == ("birch", "app", "smoke")
    assert error["next"] == "hpcbake ship --site birch --target app"
    assert error["code"] == int(ExitCode.SMOKE_FAILED)


def test_a_target_that_failed_is_among_the_errors() -> None:
    """A tag that could not move is nobody's site."""
    broken = replace(target(), error=error_record("promote", RegistryTempError("429", kind="registry.rate-limit")))
    (error,) = report_document(ShipReport("0", RUN, (broken,), ()))["errors"]
    assert (error["site"], error["target"], error["kind"]) == (None, "app", "registry.rate-limit")


def test_a_passing_failure_is_worth_a_retry() -> None:
    """An unattended caller reads it from one place."""
    error = error_record("build", RegistryTempError("x"))
    exits = report_document(ShipReport("0", RUN, (), (), error=error))["exit"]
    assert exits == {"code": 22, "name": "REGISTRY_TEMP", "retryable": True}


@pytest.mark.parametrize(
    "value",
    [
        Digest.of(b""),
        Path("/x"),
        {"a": Path("/x"), 1: {2}},
        (1, (2.5, None)),
        float("nan"),
        float("inf"),
        b"\xff",
        Outcome.OK,
        ValueError("x"),
    ],
)
def test_no_evidence_spoils_the_report(value: object) -> None:
    """What JSON has no word for becomes text."""
    error = ErrorRecord("smoke", "slurm.failed", ExitCode.SMOKE_FAILED, "m", evidence={"seen": value})
    image = replace(failed(), stages=(stage("smoke", seen=value),), error=error)
    read_back(ShipReport("0", RUN, (target(),), (SiteRecord("alder", (image,)),)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=15)
@given(st.dictionaries(st.text(), JSON), st.text())
def test_any_text_survives(evidence: dict[str, object], text: str) -> None:
    """Every text comes back as it was."""
    image = replace(failed(output=text), stages=(stage("smoke", evidence=evidence),))
    document = read_back(ShipReport("0", RUN, (target(),), (SiteRecord("alder", (image,), notes=(text,)),)))
    assert document["sites"][0]["notes"] == [text]
