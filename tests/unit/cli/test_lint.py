"""`hpcbake lint` in a folder: text, JSON, SARIF, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcbake.cli.lint import command


def run(folder: Path, dockerfile: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    (folder / "docker-bake.hcl").write_text('target "default" {}\n')
    (folder / "Dockerfile").write_text(dockerfile)
    monkeypatch.chdir(folder)
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


ERROR = "FROM rockylinux:8.10\n"
WARNING = "FROM ubuntu@sha256:" + "0" * 64 + "\nWORKDIR /root\n"
FINE = "FROM ubuntu@sha256:" + "0" * 64 + "\n"


@pytest.mark.parametrize(
    ("dockerfile", "arguments", "code"),
    [(ERROR, [], 10), (WARNING, [], 0), (WARNING, ["--strict"], 10), (FINE, ["--strict"], 0)],
)
def test_the_exit_code_tells_whether_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dockerfile: str, arguments: list[str], code: int
) -> None:
    """Errors fail, warnings fail only when asked to."""
    result = run(tmp_path, dockerfile, *arguments, monkeypatch=monkeypatch)
    assert result.exception is None
    assert result.return_value == code


def test_json_and_sarif_are_whole_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For other programs to read."""
    document = json.loads(run(tmp_path, ERROR, "--json", monkeypatch=monkeypatch).stdout)
    assert document["findings"][0]["code"] == "HB-LINT-001"
    sarif = json.loads(run(tmp_path, ERROR, "--sarif", monkeypatch=monkeypatch).stdout)
    assert sarif["runs"][0]["results"][0]["ruleId"] == "HB-LINT-001"


def test_the_text_ends_with_a_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says it all."""
    assert run(tmp_path, FINE, monkeypatch=monkeypatch).stdout.strip() == (
        "nothing found in 1 target (docker-bake.hcl, Dockerfile)"
    )
