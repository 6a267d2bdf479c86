"""`hpcbake report --serve`: prints its address, shows what is so now, stops when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpcbake.cli.group import hpcbake
from hpcbake.cli.kept import KeptRuns
from hpcbake.cli.serve import LivePages
from hpcbake.errors import UsageError
from hpcbake.report.document import render_report
from tests.reports import RUN, full_report

pytestmark = pytest.mark.stand

_MAIN = "import sys; from hpcbake.cli.main import main; sys.argv = ['hpcbake', *sys.argv[1:]]; main()"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """The address is the only line on standard output; a run of meanwhile is shown; the end is clean."""
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", _MAIN, "report", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            assert b"Nothing yet" in _get(url)
            folder = tmp_path / "state/runs/01A"
            folder.mkdir(parents=True)
            run = replace(RUN, id="01A", project=str(tmp_path))
            (folder / "report.json").write_text(render_report(replace(full_report(), run=run)))
            assert b"runs/01A.html" in _get(url)
            assert b"Run of" in _get(f"{url}runs/01A.html")
            process.send_signal(number)
            assert process.wait(timeout=60) == 0
            assert process.stderr is not None
            assert process.stderr.read().splitlines()[-1] == "stopped"
        finally:
            process.kill()


def _get(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def test_pages_are_those_that_are_linked() -> None:
    """By the very names that the files would have."""
    pages = LivePages(lambda: KeptRuns((full_report(),)), lambda: 0.0)
    assert pages.page("") == pages.page("index.html")
    first = pages.page("")
    assert first is not None
    assert 'href="runs/01RUN.html"' in first
    assert pages.page("runs/01RUN.html") is not None
    assert [pages.page(path) for path in ("runs/", "runs/other.html", "report.json", "../x")] == [None] * 4


@pytest.mark.parametrize("words", [["--port", "80"], ["--serve", "--json"], ["--serve", "--junit", "x.xml"]])
def test_odd_flags_are_refused(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is served or written."""
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path))
    with pytest.raises(UsageError):
        CliRunner().invoke(hpcbake, ["report", *words], catch_exceptions=False)
    assert not Path("x.xml").exists()
