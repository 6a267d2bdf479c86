"""`hpcbake report` and the same flags of `ship`: which runs count, which files are written, and how."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner

from hpcbake.cli.boot import boot_id
from hpcbake.cli.faces import Faces
from hpcbake.cli.kept import read_kept_runs
from hpcbake.cli.report import command
from hpcbake.cli.run import RunChoices, perform_run
from hpcbake.errors import HpcbakeError, StateError, UsageError
from hpcbake.model.plan import Plan
from hpcbake.report.document import render_report
from hpcbake.report.pages import MARK
from hpcbake.ship.journal import Journal
from hpcbake.ship.project import Project
from tests.reports import HOSTILE, full_report

NO_PROCESS = 2**22 + 1


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of this test; the project is an empty folder."""
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "state"


def keep(state: Path, identity: str, project: str | None = None, started: str = "2026-01-31T12:00:00Z") -> None:
    """A kept run of this folder, or of the one named."""
    run = replace(full_report().run, id=identity, project=project or str(Path.cwd()), started=started)
    folder = state / "runs" / identity
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(render_report(replace(full_report(), run=run)))


def report(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the verb; raises what main would turn into a message."""
    result = CliRunner().invoke(command, list(words), standalone_mode=False)
    if isinstance(result.exception, HpcbakeError | click.ClickException):
        raise result.exception
    assert result.exception is None, result.exception
    return int(result.return_value), result.stdout, result.stderr


def test_the_last_run_is_shown_again(state: Path) -> None:
    """As ship showed it; the exit code is that of the look."""
    keep(state, "01A", started="2026-01-30T12:00:00Z")
    keep(state, "01B")
    code, shown, _ = report()
    assert code == 0
    assert "run 01B · exit 3 PARTIAL" in shown
    assert json.loads(report("--json")[1])["run"]["id"] == "01B"
    assert "run 01A" in report("01A")[1]


def test_a_report_file_is_shown(state: Path, tmp_path: Path) -> None:
    """Also where no run was kept."""
    (tmp_path / "nightly.json").write_text(render_report(full_report()))
    assert "run 01RUN" in report(str(tmp_path / "nightly.json"))[1]


@pytest.mark.parametrize("words", [(), ("--all",), ("01NONE",), ("../state",), ("nowhere/x.json",)])
def test_what_is_not_there_is_told(state: Path, words: tuple[str, ...]) -> None:
    """With what would help."""
    with pytest.raises(UsageError) as caught:
        report(*words)
    assert caught.value.remedy


def test_a_file_that_is_no_report_is_told(state: Path) -> None:
    """By its name."""
    Path("x.json").write_text("{}")
    with pytest.raises(StateError, match=r"x\.json"):
        report("x.json")


def test_only_runs_of_this_folder_count(state: Path) -> None:
    """Unless all are asked for."""
    keep(state, "01A")
    keep(state, "01B", project="/other")
    assert "run 01A" in report()[1]
    assert "run 01B" in report("--all")[1]


def test_the_journal_tells_the_folder_of_older_reports(state: Path) -> None:
    """Those in which the field is not."""
    keep(state, "01A", project="")
    path = state / "runs/01A/report.json"
    document = json.loads(path.read_text())
    del document["run"]["project"]
    path.write_text(json.dumps(document))
    Journal(path.with_name("journal.jsonl")).note("begin", run="01A", project=str(Path.cwd()), pid=1, boot_id="b")
    assert "run 01A" in report()[1]


def test_a_damaged_report_hides_no_other(state: Path) -> None:
    """It is named on stderr."""
    keep(state, "01A")
    keep(state, "01B")
    (state / "runs/01B/report.json").write_text("{")
    (state / "runs/file").write_text("")
    _, shown, told = report()
    assert "run 01A" in shown
    assert "01B/report.json: is no report" in told


def test_a_run_that_died_is_told(state: Path) -> None:
    """Until a later run came, which took up what it left; one that goes on is not dead."""
    keep(state, "01A")
    for identity, pid in (("01B", NO_PROCESS), ("01C", os.getpid())):
        journal = Journal(state / f"runs/{identity}/journal.jsonl")
        journal.note("begin", run=identity, project=str(Path.cwd()), pid=pid, boot_id=boot_id())
        journal.note("start", stage="deliver", site="alder", image="app")
        journal.close()
    kept = read_kept_runs(state / "runs", str(Path.cwd()), last=50, boot_id=boot_id())
    (line,) = kept.lost
    assert line.startswith("Run 01B died in deliver for alder")
    report("--out", "public")
    assert "Run 01B died in deliver for alder" in Path("public/index.html").read_text()
    keep(state, "01D")
    assert read_kept_runs(state / "runs", str(Path.cwd()), last=50, boot_id=boot_id()).lost == ()


def test_all_faces_at_once(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file whole, with nothing beside it; the summary of GitHub's step is added to."""
    keep(state, "01A")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    code, shown, _ = report("--junit", "j.xml", "--prometheus", "m.prom", "--out", "public", "--github")
    assert (code, shown) == (0, "")
    assert ElementTree.parse("j.xml").getroot().attrib["failures"] == "1"
    assert "hpcbake_run_exit_code 3\n" in Path("m.prom").read_text()
    assert Path("summary.md").read_text().startswith("before\n## ❌ hpcbake: exit 3")
    assert {path.name for path in Path().iterdir()} == {"j.xml", "m.prom", "public", "summary.md"}
    assert {str(path.relative_to("public")) for path in Path("public").rglob("*.html")} == {
        "index.html",
        "runs/01A.html",
    }


def test_the_summary_may_be_any_file(state: Path) -> None:
    """--github FILE needs no variable; alone it does."""
    keep(state, "01A")
    assert report("--github", "s.md")[0] == 0
    assert Path("s.md").exists()
    with pytest.raises(UsageError, match="GITHUB_STEP_SUMMARY"):
        report("--github")


def test_pages_of_runs_that_are_no_longer_kept_go(state: Path) -> None:
    """And no other file of the folder."""
    for identity in ("01A", "01B", "01C"):
        keep(state, identity, started=f"2026-01-{ord(identity[-1])}T00:00:00Z")
    report("--out", "public")
    Path("public/runs/mine.html").write_text("<p>mine</p>")
    Path("public/notes.html").write_text(MARK)
    report("--out", "public", "--last", "2")
    assert sorted(path.name for path in Path("public").rglob("*.html")) == [
        "01B.html",
        "01C.html",
        "index.html",
        "mine.html",
        "notes.html",
    ]


def test_a_page_that_is_there_is_not_made_again(state: Path) -> None:
    """Unless the run's report is another one now, or the page was spoiled."""
    keep(state, "01A")
    keep(state, "01B")
    report("--out", "public")
    first, second = Path("public/runs/01A.html"), Path("public/runs/01B.html")
    before, text = first.stat().st_ino, second.read_text()
    second.write_text("half a pa")
    report("--out", "public")
    assert first.stat().st_ino == before
    assert second.read_text() == text


@pytest.mark.parametrize(
    "words",
    [("--junit", "/dev/full"), ("--prometheus", "nowhere/m.prom"), ("--github", "/dev/full"), ("--out", "file/public")],
)
def test_what_cannot_be_written_is_told(state: Path, words: tuple[str, str]) -> None:
    """By its name; the other faces are written, and the code is 73."""
    keep(state, "01A")
    Path("file").write_text("")
    other = ("--prometheus", "other.prom") if words[0] == "--junit" else ("--junit", "other.xml")
    code, _, told = report(*words, *other)
    assert code == 73
    assert f"error: cannot write {words[1]}" in told
    assert list(Path().glob("other.*"))


def test_ship_writes_the_same(state: Path) -> None:
    """At its end, this run included, whatever was kept before."""
    keep(state, "01A")
    faces = Faces(Path("j.xml"), Path("s.md"), Path("m.prom"), Path("public"))
    assert perform_run(Plan({}, {}), [], [], Project(), RunChoices(faces=faces), images=[]) == 0
    assert "exit 0 OK" in Path("s.md").read_text()
    assert "hpcbake_run_exit_code 0\n" in Path("m.prom").read_text()
    assert 'image="app",site="birch"' in Path("m.prom").read_text()
    assert len(list(Path("public/runs").iterdir())) == 2
    assert ElementTree.parse("j.xml").getroot().attrib["tests"] == "0"


def test_ship_tells_what_it_could_not_write(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run itself is done."""
    assert perform_run(Plan({}, {}), [], [], Project(), RunChoices(faces=Faces(Path("/dev/full"))), images=[]) == 73
    assert "cannot write /dev/full" in capsys.readouterr().err


def test_nothing_hostile_reaches_the_terminal(state: Path) -> None:
    """A run's folder may have any name."""
    keep(state, "01A")
    odd = state / "runs" / HOSTILE.replace("\0", "").replace("/", "").encode("utf-8", "replace").decode()
    odd.mkdir()
    (odd / "report.json").write_text("{")
    assert "\x1b" not in "".join(map(str, report()))
