"""`hpcbake init`: files that pass every check untouched, all of them or none, and never over one that is there."""

from __future__ import annotations

import datetime
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from hpcbake.bakefile import BakeRequest
from hpcbake.bakefile.lint import lint
from hpcbake.bakefile.resolve import plan_of, read_request
from hpcbake.cli.init import command
from hpcbake.errors import CantWriteError, UsageError
from hpcbake.model.verdict import Severity
from hpcbake.scaffold import TEMPLATES, Answers, guess_name, guess_registry, guess_template, place_files
from hpcbake.validation import render_validation, validate

NEW = tuple(name for name in TEMPLATES if name != "existing")
BAKE = (
    'group "default" {\n  targets = ["one"]\n}\ntarget "one" {\n  tags = ["r.example.org/one:1"]\n}\ntarget "two" {}\n'
)


def call(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(command, [str(folder), *words], standalone_mode=False)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_validates(folder: Path) -> None:
    found = validate([], folder=folder, site_configs=Path("site-configs"), environment={}, local_platform="linux/amd64")
    assert found.problems == (), render_validation(found)


@pytest.mark.parametrize("template", NEW)
def test_a_new_project_passes_every_check_untouched(tmp_path: Path, template: str) -> None:
    """validate, lint and print find no mistake, and the image is called as asked."""
    folder = tmp_path / "project"
    assert call(folder, "--template", template, "--name", "my-app", "--registry", "ghcr.io/me").exit_code == 0
    assert_validates(folder)
    request = BakeRequest()
    read = read_request(request, folder=folder, environment={}, local_platform="linux/amd64")
    plan = plan_of(read, request, folder=folder, environment={})
    assert {name: t.attributes["tags"] for name, t in plan.targets.items()} == {"my-app": ["ghcr.io/me/my-app:0.1.0"]}
    assert plan.warnings == ()
    found = lint(read, plan, folder=folder, today=datetime.date(2026, 1, 1)).findings
    # A digest would be another one every week: that it belongs there is told, and is no mistake.
    assert {(finding.name, finding.severity) for finding in found} == {("base-floating", Severity.INFO)}


@pytest.mark.parametrize("template", NEW)
def test_nothing_of_a_template_stays_in_the_files(tmp_path: Path, template: str) -> None:
    """No placeholder, no suffix; what CI runs is YAML; what the Dockerfile copies is there and not ignored."""
    call(tmp_path / "p", "--template", template, "--name", "my-app")
    files = tree(tmp_path / "p")
    assert not [name for name in files if "tmpl" in name or "NAME" in name or "dot-" in name]
    assert not [name for name, text in files.items() if b"@NAME@" in text or b"@REGISTRY@" in text]
    for name in (".github/workflows/hpcbake.yml", ".gitlab-ci.yml"):
        assert "hpcbake validate" in files[name].decode()
        assert isinstance(yaml.safe_load(files[name]), dict)
    ignored = files[".dockerignore"].decode().split("\n")
    copied = [line.split()[-2] for line in files["Dockerfile"].decode().split("\n") if line.startswith("COPY ")]
    for source in [word for word in copied if not word.startswith("/") and "[" not in word]:
        assert source in files
        assert f"!{source}" in ignored or f"!{source.partition('/')[0]}/" in ignored


@pytest.mark.parametrize("template", NEW)
def test_editors_find_the_schemas_and_nothing_to_complain_of(tmp_path: Path, template: str) -> None:
    """The first line of each YAML file names a schema that lies there, and the file fits it."""
    call(tmp_path / "p", "--template", template)
    for path in (tmp_path / "p/hpcbake.yaml", tmp_path / "p/site-configs/mycluster.yaml"):
        modeline = path.read_text().splitlines()[0]
        assert modeline.startswith("# yaml-language-server: $schema=")
        schema = json.loads((path.parent / modeline.partition("=")[2]).read_text())
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_the_program_of_the_python_template_runs(tmp_path: Path) -> None:
    """It is what the smoke test will run."""
    call(tmp_path / "p", "--template", "python", "--name", "my-app")
    argv = [sys.executable, str(tmp_path / "p/src/my-app"), "--verify"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "VERIFIED")


def test_an_existing_bake_file_is_kept_and_the_rest_written(tmp_path: Path) -> None:
    """Without being told which template; smoke tests for its default targets; a second time there is nothing to do."""
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    done = call(tmp_path)
    assert done.exit_code == 0, done.exception
    files = tree(tmp_path)
    assert files["docker-bake.hcl"] == BAKE.encode()
    assert "Dockerfile" not in files
    assert yaml.safe_load(files["hpcbake.yaml"]) == {"smoke": [{"name": "cpu", "targets": ["one"]}]}
    assert {".dockerignore", ".gitlab-ci.yml", "site-configs/mycluster.yaml"} <= set(files)
    assert_validates(tmp_path)
    again = call(tmp_path)
    assert again.exit_code == 0
    assert "every file is there" in again.output
    assert tree(tmp_path) == files


def test_site_configs_that_are_there_get_no_example_beside_them(tmp_path: Path) -> None:
    """An example would be taken for a site by every run."""
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    (tmp_path / "site-configs").mkdir()
    text = "name: alder\nlogin: {host: a}\nstore: {root: /scratch}\n"
    (tmp_path / "site-configs/alder.yaml").write_text(text)
    assert call(tmp_path).exit_code == 0
    assert [name for name in tree(tmp_path) if name.endswith(".yaml") and "site" in name] == ["site-configs/alder.yaml"]
    assert (tmp_path / "site-configs/alder.yaml").read_text() == text


def test_what_is_there_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    """Every file in the way, and the words that replace them."""
    (tmp_path / "Dockerfile").write_text("mine")
    (tmp_path / "hpcbake.yaml").symlink_to("nowhere")
    done = call(tmp_path, "--template", "python")
    assert isinstance(done.exception, UsageError)
    assert "Dockerfile, hpcbake.yaml are there already; nothing was written" in done.exception.message
    assert "--force Dockerfile --force hpcbake.yaml" in done.exception.remedy
    assert names_in(tmp_path) == ["Dockerfile", "hpcbake.yaml"]


def test_a_forced_file_is_kept_beside_its_successor(tmp_path: Path) -> None:
    """Each time under a new name, so that no old one is lost."""
    (tmp_path / "Dockerfile").write_text("first")
    assert call(tmp_path, "--template", "python", "--force", "Dockerfile").exit_code == 0
    assert (tmp_path / "Dockerfile.old-1").read_text() == "first"
    (tmp_path / "Dockerfile").write_text("second")
    every = [word for name in tree(tmp_path) if "old-" not in name for word in ("--force", name)]
    done = call(tmp_path, "--template", "python", *every)
    assert done.exit_code == 0, done.exception
    assert (tmp_path / "Dockerfile.old-2").read_text() == "second"
    assert (tmp_path / "Dockerfile.old-1").read_text() == "first"
    with pytest.raises(UsageError, match="no such file would be written"):
        place_files(tmp_path / "x", {"a": ""}, replace=["b"])


def test_all_or_nothing(tmp_path: Path) -> None:
    """A file that cannot be placed takes back those before it: old ones, new ones, folders."""
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "a").write_text("old")
    (folder / "z").write_text("a file where a folder must be")
    before = tree(folder)
    with pytest.raises(CantWriteError, match="nothing was written"):
        place_files(folder, {"a": "new", "b/c": "new", "z/y": "new"}, replace=["a"])
    assert tree(folder) == before
    assert names_in(folder) == ["a", "z"]
    assert names_in(tmp_path) == ["p"]


def test_a_new_folder_is_made_whole_and_with_usual_modes(tmp_path: Path) -> None:
    """By one rename; readable by those whom the umask allows."""
    placed = place_files(tmp_path / "deep/new", {"x/y": "1", "z": "2"})
    assert placed.written == ("x/y", "z")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "deep/new").stat().st_mode) == 0o777 & ~mask
    assert names_in(tmp_path / "deep") == ["new"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "My App"), "cannot be the name"),
        (("--name", "../x"), "cannot be the name"),
        (("--registry", "https://ghcr.io/you"), "no place to push to"),
        (("--registry", "ghcr.io/You"), "no place to push to"),
        (("--template", "existing"), "no bake file"),
    ],
)
def test_answers_that_cannot_be(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    """Told before anything is written."""
    done = call(tmp_path / "p", *words)
    assert done.exception is not None
    assert message in str(done.exception)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("name", "guess"),
    [("solver", "solver"), ("My Solver 2", "my-solver-2"), ("…", "app"), ("-_x", "x"), ("a" * 80, "a" * 63)],
)
def test_a_folder_s_name_becomes_an_image_s(tmp_path: Path, name: str, guess: str) -> None:
    """Whatever the folder is called, the guess is one that the answers take."""
    assert guess_name(tmp_path / name) == guess
    assert Answers("python", guess_name(tmp_path / name)).name == guess


@pytest.mark.parametrize(
    ("file", "template"),
    [
        ("docker-bake.json", "existing"),
        ("compose.yaml", "existing"),
        ("pixi.toml", "pixi"),
        ("environment.yml", "conda"),
        ("requirements.txt", "python"),
        ("x.c", "python"),
    ],
)
def test_the_template_is_guessed_by_what_lies_there(tmp_path: Path, file: str, template: str) -> None:
    """The bake file first."""
    (tmp_path / file).write_text("")
    assert guess_template(tmp_path) == template


@pytest.mark.parametrize(
    ("said", "registry"),
    [("ghcr.io/me", "ghcr.io/me"), ("", "registry.example.org/you"), ("https://x y", "registry.example.org/you")],
)
def test_the_registry_is_the_one_that_the_environment_names(said: str, registry: str) -> None:
    """The bake file would take that one instead of its own default anyway."""
    assert guess_registry({"REGISTRY": said}) == registry
