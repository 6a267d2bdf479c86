"""`hpcbake history --runs`: filled by every run, caught up with what is kept, made again when it is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpcbake.cli.group import hpcbake
from hpcbake.cli.past import past_figures, remember
from hpcbake.report.document import render_report
from hpcbake.report.records import ShipReport
from tests.reports import RUN, full_report


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "state/runs"


def kept(runs: Path, identity: str, project: str | None = None) -> ShipReport:
    run = replace(RUN, id=identity, project=project or str(Path.cwd()), started=f"2026-01-31T12:00:{identity[-2:]}Z")
    report = replace(full_report(), run=run)
    (runs / identity).mkdir(parents=True)
    (runs / identity / "report.json").write_text(render_report(report))
    return report


def history(*words: str) -> str:
    outcome = CliRunner().invoke(hpcbake, ["history", "--runs", *words], catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.output


def test_kept_runs_are_caught_up_with(runs: Path) -> None:
    """Also those of before there was a history; the newest comes first, those of other folders with --all."""
    for number in ("01", "02"):
        kept(runs, f"01A{number}")
    kept(runs, "01A03", "/elsewhere")
    lines = history().splitlines()
    assert [line.split()[-1] for line in lines] == ["run", "01A02", "01A01"]
    assert "/elsewhere" in history("--all")
    assert [run["id"] for run in json.loads(history("--json"))["runs"]] == ["01A02", "01A01"]


def test_an_image_is_shown_site_by_site(runs: Path) -> None:
    """With the reason, where it did not end well; one of no run is told."""
    report = kept(runs, "01A01")
    error = report.sites[1].images[0].error
    assert error is not None
    text = history("app")
    assert "alder" in text
    assert error.message.splitlines()[0][:30] in text
    assert "alder" not in history("app", "--site", "birch")
    assert "no run with nobody in this folder is known" in history("nobody")


def test_the_history_outlives_the_reports(runs: Path) -> None:
    """That is what it is for."""
    report = kept(runs, "01A01")
    assert remember(report, runs) == []
    (runs / "01A01/report.json").unlink()
    assert "01A01" in history()


def test_a_damaged_history_is_made_again(runs: Path) -> None:
    """From the reports that are kept, without a word about it."""
    kept(runs, "01A01")
    (runs.parent / "history.db").write_bytes(b"\xff" * 9000)
    assert "01A01" in history()


def test_a_report_that_cannot_be_read_is_passed_over(runs: Path) -> None:
    """As is a copy under another name, and a run that has none."""
    report = kept(runs, "01A01")
    for name, text in (("01A02", "{"), ("01A03", render_report(report))):
        (runs / name).mkdir()
        (runs / name / "report.json").write_text(text)
    (runs / "01A04").mkdir()
    assert [run["id"] for run in json.loads(history("--json"))["runs"]] == ["01A01"]


def test_a_history_that_cannot_be_written_is_a_line(runs: Path) -> None:
    """The run and its report are what counts."""
    report = kept(runs, "01A01")
    (runs.parent / "history.db").mkdir()
    (line,) = remember(report, runs)
    assert "history of runs cannot be used" in line
    assert past_figures(runs, None) == ((), [line])
