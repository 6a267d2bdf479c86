"""`hpcbake plan` as it is typed: one document, the right exit code, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hpcbake.cli.main import run
from hpcbake.errors import ConfigError, HpcbakeError, UsageError
from hpcbake.ship.forecast_document import plan_schema
from tests.fake_registry import FakeRegistry, running_registry

BAKE_FILE = 'target "default" {{\n  tags = ["{host}/team/app:1.0"]\n}}\n'


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_registry() as running:
        yield running


@pytest.fixture
def project(registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bake file, and one site that nobody can reach."""
    folder = tmp_path / "project"
    (folder / "site-configs").mkdir(parents=True)
    away = {
        "name": "away",
        "login": {"host": "127.0.0.1", "port": "1", "transport": "openssh", "connect_timeout": "1s"},
        "store": {"root": "/nowhere"},
        "runtime": {"plain_http": [registry.host]},
    }
    (folder / "site-configs/away.yaml").write_text(yaml.safe_dump(away))
    (folder / "docker-bake.hcl").write_text(BAKE_FILE.format(host=registry.host))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path / "state"))
    return folder


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the document, which fits its schema and says the same code."""
    capsys.readouterr()
    try:
        code = run(["plan", "--json", *words])
    except HpcbakeError as error:
        code = int(error.exit_code)
    assert isinstance(code, int)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(plan_schema()).validate(document)
    assert document["exit"]["code"] == code
    return code, document


def test_a_target_at_a_dead_site(project: Path, capsys: pytest.CaptureFixture[str], registry: FakeRegistry) -> None:
    """Blocked by the site, with the site's code; the registry was only read, and no run was noted."""
    code, document = ask(capsys)
    (image,) = document["sites"][0]["images"]
    assert (code, image["action"], image["code"]) == (40, "blocked", 40)
    assert image["reason"].startswith("site unreachable: ")
    assert document["targets"][0]["needs_build"]
    assert {line.split()[0] for line in registry.requests} <= {"GET", "HEAD"}
    assert not (project.parent / "state").exists()


def test_an_image_that_is_not_there(project: Path, capsys: pytest.CaptureFixture[str], registry: FakeRegistry) -> None:
    """By reference it is resolved exactly, so it is blocked by the registry's word; the site is not asked."""
    assert project
    code, document = ask(capsys, f"tool={registry.host}/team/tool:2")
    (image,) = document["sites"][0]["images"]
    assert (code, image["target"], image["error"]["kind"]) == (21, "tool", "registry.not-found")
    assert not document["targets"][0]["needs_build"]


def test_it_reads_well(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, and what to do."""
    assert project
    assert run(["plan", "--detailed-exitcode"]) == 40
    shown = capsys.readouterr().out
    assert "site unreachable" in shown
    assert "nothing was changed · exit 40 SITE_UNREACHABLE" in shown


@pytest.mark.parametrize("words", [["app:1", "-f", "x.hcl"], ["app:1", "--target", "app"], ["a=x:1", "a=y:1"]])
def test_what_makes_no_sense_is_a_mistake_of_use(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], registry: FakeRegistry
) -> None:
    """Nothing is asked of anybody; with --json there is a document all the same."""
    assert project
    with pytest.raises(UsageError):
        run(["plan", *words])
    code, document = ask(capsys, *words)
    assert (code, document["error"]["code"], document["sites"]) == (2, 2, [])
    assert registry.requests == []


def test_a_broken_site_config_ends_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or is left out when that is wanted, and told by the code."""
    (project / "site-configs/bent.yaml").write_text("name: bent\n")
    with pytest.raises(ConfigError):
        run(["plan"])
    assert ask(capsys)[0] == 10
    capsys.readouterr()
    assert run(["plan", "--keep-going-sites"]) == 3
