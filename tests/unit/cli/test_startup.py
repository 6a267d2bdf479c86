"""What starting costs: a verb loads what it needs and nothing else, and a plain `print` does without click."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpcbake.cli.main import VERBS
from hpcbake.cli.print import command
from hpcbake.cli.print_words import OPTIONS, read_words

#: What takes long to load; no help text needs any of it.
HEAVY = (
    *("hcl2", "lark", "fabric", "paramiko", "spython", "yaml", "jinja2", "rich", "cryptography", "bcrypt", "urllib3"),
    *("platformdirs", "tenacity", "zstandard", "isal", "regex"),
)
LIST_MODULES = """
import atexit, sys
atexit.register(lambda: print("LOADED", *sorted(sys.modules), file=sys.stderr))
sys.argv = ["hpcbake", *sys.argv[1:]]
from hpcbake.cli.main import main
main()
"""


def loaded_by(*words: str, folder: Path) -> tuple[int, set[str]]:
    """The exit code of a command line, and the modules that were loaded in the end."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *words],
        cwd=folder,
        env={**os.environ, "HPCBAKE_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    line = next(line for line in done.stderr.splitlines() if line.startswith("LOADED "))
    return done.returncode, set(line.split()[1:])


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("print", "--help"), ("lint", "--help")])
def test_help_and_version_load_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    """No parser, no SSH, no Jinja, no terminal library."""
    _, modules = loaded_by(*words, folder=tmp_path)
    assert modules.isdisjoint(HEAVY)
    assert not any(name.startswith("hpcbake.bakefile") for name in modules)


def test_help_does_not_look_the_version_up(tmp_path: Path) -> None:
    """Reading the metadata of installed packages takes as long as the rest."""
    code, modules = loaded_by("--help", folder=tmp_path)
    assert code == 0
    assert "importlib.metadata" not in modules


def test_the_version_is_told_without_click(tmp_path: Path) -> None:
    """Looking it up takes as long as loading click does: both would be too much. --verbose and -h are left to click."""
    code, modules = loaded_by("--version", folder=tmp_path)
    assert code == 0
    assert modules.isdisjoint(("click", "rich", "dataclasses"))
    assert "click" in loaded_by("--version", "--verbose", folder=tmp_path)[1]


def test_help_loads_one_verb_at_most(tmp_path: Path) -> None:
    """The list of verbs needs none of them."""
    _, modules = loaded_by("--help", folder=tmp_path)
    assert modules.isdisjoint(module for module, _ in VERBS.values())


def test_a_known_bake_file_is_printed_without_click_and_without_a_parser(tmp_path: Path) -> None:
    """The second run takes the tree from the cache."""
    (tmp_path / "docker-bake.hcl").write_text('target "default" {\n  tags = ["a:${1 + 1}"]\n}\n')
    loaded_by("print", folder=tmp_path)
    code, modules = loaded_by("print", folder=tmp_path)
    assert code == 0
    assert modules.isdisjoint((*HEAVY, "click", "dataclasses", "inspect", "importlib.metadata"))


PLAIN = [
    [],
    ["app", "db"],
    ["-f", "a.hcl", "--file", "-", "--file=b", "app"],
    ["--set", "a.tags=x", "--set=*.push=true", "--var", "A=1"],
    ["--no-cache", "app", "--pull=false", "--push=true", "--load", "--print"],
    ["--sbom=true", "--provenance", "mode=max", "--call", "check", "--check"],
    ["--list", "targets", "--list=variables"],
    ["--", "--set", "-x"],
    ["--call=", "--set="],
]


@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_plain_words_are_read_as_click_reads_them(words: list[str]) -> None:
    """One table, two readers, the same parameters."""
    context = command.make_context("print", list(words))
    assert read_words(words) == context.params


@pytest.mark.parametrize(
    "words",
    [["--help"], ["-h"], ["--nope"], ["-fX"], ["-f"], ["-f=X"], ["--set"], ["--set", "--push"], ["-"], ["--push=yes"],
     ["--push="], ["--no-cache=maybe"], ["--pus"]],
    ids=" ".join,
)  # fmt: skip
def test_everything_else_is_left_to_click(words: list[str]) -> None:
    """Help, mistakes, and spellings that are click's."""
    assert read_words(words) is None


def test_the_help_of_print_names_every_option() -> None:
    """They come from the table."""
    shown = CliRunner().invoke(command, ["--help"]).stdout
    assert all(spelling in shown for option in OPTIONS for spelling in option.spellings)
