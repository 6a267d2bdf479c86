"""One run from the command line: its journal, its reports, and what is told when they cannot be written."""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpcbake.cli.run import RunChoices, perform_run
from hpcbake.errors import CantWriteError
from hpcbake.model.plan import Plan
from hpcbake.ship.journal import Journal
from hpcbake.ship.project import Project


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's runs are kept; the project is an empty folder."""
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path / "state"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "state"


def perform(**choices: Any) -> int:
    """A run over no images and no sites: everything around the chain, and nothing of it."""
    return perform_run(Plan({}, {}), [], [], Project(), RunChoices(**choices), images=[])


def runs(state: Path) -> list[Path]:
    return sorted((state / "runs").iterdir())


def test_a_run_keeps_its_journal_and_its_report(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both under the run's name, which the report says."""
    assert perform(as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    (folder,) = runs(state)
    assert document["run"]["id"] == folder.name
    assert json.loads((folder / "report.json").read_text()) == document
    entries = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert [entry["act"] for entry in entries] == ["begin", "end"]


def test_json_is_the_only_thing_on_standard_output(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, whatever else is told."""
    perform(as_json=True, report_path=Path("/dev/full"))
    json.loads(capsys.readouterr().out)


def test_the_report_is_also_written_where_one_wants_it(state: Path, tmp_path: Path) -> None:
    """Whole, and with nothing beside it."""
    (tmp_path / "out").mkdir()
    assert perform(report_path=tmp_path / "out/report.json") == 0
    assert json.loads((tmp_path / "out/report.json").read_text())["exit"]["code"] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]


@pytest.mark.parametrize("path", ["/dev/full", "/nowhere/report.json", "/proc/report.json", "file/report.json"])
def test_a_report_that_cannot_be_written_is_told(state: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    """The run itself is done, and shown; the code says that a file is missing."""
    Path("file").write_text("")
    assert perform(report_path=Path(path)) == 73
    printed = capsys.readouterr()
    assert "exit 0 OK" in printed.out
    assert path in printed.err


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 4 kB: the journal fits, the report of a long command does not."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_a_state_folder_that_fills_up_does_not_hide_the_result(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done at the sites is shown although it cannot be kept."""
    monkeypatch.setattr(sys, "argv", ["hpcbake", "x" * 8192])
    assert perform(as_json=True) == 73
    printed = capsys.readouterr()
    assert json.loads(printed.out)["exit"]["code"] == 0
    assert "cannot write the report" in printed.err


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is begun."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path / "file"))
    with pytest.raises(CantWriteError):
        perform()


def test_the_next_run_knows_of_one_that_died(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And its report names it."""
    journal = Journal(state / "runs/00DEAD/journal.jsonl")
    journal.note("begin", run="00DEAD", project=str(Path.cwd()), pid=4_194_999, boot_id="earlier")
    journal.note("do", stage="deliver", site="alder")
    perform(as_json=True)
    printed = capsys.readouterr()
    assert "previous run 00DEAD (pid 4194999) died in deliver for alder; resuming" in printed.err
    assert json.loads(printed.out)["run"]["resumes"] == "00DEAD"


def test_signals_are_as_before_after_a_run(state: Path) -> None:
    """A run borrows them."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    perform()
    assert [signal.getsignal(number) for number in numbers] == before
