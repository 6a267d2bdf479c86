"""`hpcbake print` takes the command lines of `docker buildx bake` and prints what that prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcbake.cli.print import command
from hpcbake.cli.printing import local_platform, parse_variables
from hpcbake.errors import UsageError

BAKE = """
variable "TAG" {
  default = "1"
}
group "default" {
  targets = ["app"]
}
target "app" {
  tags = ["app:${TAG}"]
}
"""


def run(folder: Path, *arguments: str, stdin: str = "", monkeypatch: pytest.MonkeyPatch) -> Result:
    (folder / "docker-bake.hcl").write_text(BAKE)
    monkeypatch.chdir(folder)
    return CliRunner().invoke(command, list(arguments), input=stdin)


def target_of(result: Result) -> dict[str, object]:
    assert result.exception is None, result.exception
    document = json.loads(result.stdout)
    app = document["target"]["app"]
    assert isinstance(app, dict)
    return app


def test_the_output_is_the_json_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two spaces, a final line end, nothing on standard error."""
    result = run(tmp_path, monkeypatch=monkeypatch)
    assert result.stdout == json.dumps(json.loads(result.stdout), indent=2) + "\n"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "attribute", "value"),
    [
        (["--set", "app.tags=x"], "tags", ["x"]),
        (["--var", "TAG=7"], "tags", ["app:7"]),
        (["--push"], "output", [{"push": "true", "type": "image"}]),
        (["--load"], "output", [{"type": "docker"}]),
        (["--no-cache"], "no-cache", True),
        (["--no-cache=false"], "no-cache", False),
        (["--no-cache", "app"], "no-cache", True),
        (["--pull", "--print"], "pull", True),
        (["--check"], "call", "lint"),
        (["--call", "outline"], "call", "outline"),
        (["--sbom=true"], "attest", [{"type": "sbom"}]),
        (["--provenance", "false"], "attest", [{"disabled": True, "type": "provenance"}]),
        (["--push=false"], "output", None),
    ],
)
def test_flags_are_taken_as_docker_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], attribute: str, value: object
) -> None:
    """Boolean flags stand alone or carry a value, and never swallow a target's name."""
    assert target_of(run(tmp_path, *arguments, monkeypatch=monkeypatch)).get(attribute) == value


def test_a_bake_file_may_come_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-f -` reads it, in any language."""
    stdin = '{"target": {"app": {"tags": ["in"]}}}'
    assert target_of(run(tmp_path, "-f", "-", "app", stdin=stdin, monkeypatch=monkeypatch))["tags"] == ["in"]


def test_lists_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets and variables, as a table or as JSON."""
    assert run(tmp_path, "--list=targets", monkeypatch=monkeypatch).stdout.startswith("TARGET\tDESCRIPTION\n")
    variables = run(tmp_path, "--list=type=variables,format=json", monkeypatch=monkeypatch)
    assert json.loads(variables.stdout) == [{"name": "TAG", "value": "1"}]


def test_print_and_list_exclude_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in buildx."""
    result = run(tmp_path, "--print", "--list=targets", monkeypatch=monkeypatch)
    assert isinstance(result.exception, UsageError)


def test_warnings_go_to_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With place, code and help; standard output stays clean."""
    (tmp_path / "typo.hcl").write_text('target "app" {\n  tagz = []\n}\n')
    result = run(tmp_path, "-f", "typo.hcl", "app", monkeypatch=monkeypatch)
    assert "warning: typo.hcl:2:3: " in result.stderr
    assert "help: did you mean tags?" in result.stderr
    json.loads(result.stdout)


def test_variables_are_pairs() -> None:
    """The last of a name wins; anything else is refused."""
    assert parse_variables(("A=1", "A=2", "B=x=y", "")) == {"A": "2", "B": "x=y"}
    for wrong in ("A", "=1"):
        with pytest.raises(UsageError):
            parse_variables((wrong,))


def test_the_local_platform_is_spelt_as_buildx_spells_it() -> None:
    """System and architecture in Go's words."""
    system, _, architecture = local_platform().partition("/")
    assert system in ("linux", "darwin", "windows")
    assert architecture not in ("x86_64", "aarch64", "")
