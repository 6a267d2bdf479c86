"""The Tab key: the right words, in the real shells, offline, and never an error."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpcbake.cli.complete import FILES, FOLDERS, complete, load_words
from hpcbake.cli.completion import SCRIPTS, command
from hpcbake.cli.main import VERBS
from tests.unit.cli.test_startup import HEAVY, loaded_by

pytestmark = pytest.mark.stand


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with two sites and two targets, and the state of one run."""
    (tmp_path / "site-configs").mkdir()
    for name in ("alder", "birch"):
        (tmp_path / f"site-configs/{name}.yaml").write_text("")
    (tmp_path / "docker-bake.hcl").write_text(
        'group "default" { targets = ["app"] }\ntarget "app" {}\ntarget "db" {}\n'
    )
    run = tmp_path / "state/runs/01RUN"
    run.mkdir(parents=True)
    (run / "report.json").write_text('{"targets": [{"name": "old"}]}')
    return tmp_path


def offered(project: Path, *words: str) -> list[str]:
    environment = {"HOME": str(project), "HPCBAKE_STATE": str(project / "state")}
    return [word for word, _ in complete(words, folder=project, environment=environment)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["shi"], ["ship"]),
        (["sites", "li"], ["list"]),
        (["ship", "--site", ""], ["alder", "birch"]),
        (["ship", "--site=b"], ["--site=birch"]),
        (["ship", "--site", "=", "b"], ["birch"]),
        (["ship", "--site", "="], ["alder", "birch"]),
        (["ship", "--dry-run", "--target", ""], ["default", "app", "db"]),
        (["ship", "--target", "A"], ["app"]),
        (["print", "d"], ["default", "db"]),
        (["rollback", ""], ["default", "app", "db", "old"]),
        (["report", ""], ["01RUN"]),
        (["ship", "--way", "st"], ["stream"]),
        (["ship", "--report", ""], [FILES]),
        (["ship", "--site-configs", ""], [FOLDERS]),
        (["explain", "hb-pull-007"], ["HB-PULL-007"]),
        (["explain", "site.sp"], ["site.space"]),
        (["nonsense", ""], None),
        (["ship", "--", "--si"], []),
        ([], list(VERBS)),
    ],
    ids=str,
)  # fmt: skip
def test_the_words_that_fit(project: Path, words: list[str], expected: list[str] | None) -> None:
    """Verbs, parts of verbs, options, and values by what they are."""
    assert offered(project, *words) == (list(VERBS) if expected is None else expected)


def test_options_are_offered_with_their_help(project: Path) -> None:
    """One line each."""
    found = dict(complete(["ship", "--si"], folder=project, environment={}))
    assert list(found) == ["--site", "--site-configs"]
    assert all(found.values())


def test_targets_of_a_matrix_are_evaluated(project: Path) -> None:
    """A quick look at the file does not tell their names."""
    (project / "docker-bake.hcl").write_text(
        'target "default" {\n  name = "app-${v}"\n  matrix = { v = ["one", "two"] }\n}\n'
    )
    assert {"app-one", "app-two"} <= set(offered(project, "ship", "--target", "app"))


def test_a_broken_or_missing_project_is_no_error(tmp_path: Path) -> None:
    """Fewer words, nothing printed, exit code 0."""
    (tmp_path / "docker-bake.hcl").write_bytes(b"\xff{{{ matrix")
    assert offered(tmp_path, "ship", "--target", "") == []
    assert offered(tmp_path, "ship", "--site", "") == []
    done = subprocess.run(
        [sys.executable, "-m", "hpcbake", "__complete", "zsh", "ship", "--target", ""],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_verb_is_known_to_the_table() -> None:
    """It is made from the verbs."""
    assert list(load_words()["commands"][""]["commands"]) == list(VERBS)


def test_completing_loads_nothing_heavy(project: Path) -> None:
    """Not even click: a Tab key is pressed often."""
    code, modules = loaded_by("__complete", "bash", "ship", "--site", "", folder=project)
    assert code == 0
    assert modules.isdisjoint((*HEAVY, "click", "hpcbake.bakefile", "hpcbake.errors"))


# ---- the real shells ------------------------------------------------------------------------------------------------


def shell(name: str) -> str:
    """The shell's path. Without it the test is skipped, or fails in CI."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") and name == "bash":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path


def shell_environment(project: Path) -> dict[str, str]:
    """`hpcbake` on PATH is the one under test."""
    folder = project / "bin"
    folder.mkdir()
    (folder / "hpcbake").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hpcbake "$@"\n')
    (folder / "hpcbake").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(project), "TERM": "dumb", "LC_ALL": "C.UTF-8",
            "HPCBAKE_STATE": str(project / "state"), "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip


BASH = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p hpcbake | sed 's/.* -F \([^ ]*\) .*/\1/') hpcbake "${COMP_WORDS[COMP_CWORD]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ship", "--site", "al"], "alder"),
        (["ship", "--si"], "--site\n--site-configs"),
        (["ship", "--site", "=", "b"], "birch"),
        (["ship", "--report", "docker"], "docker-bake.hcl"),
        (["ship", "--site-configs", "si"], "site-configs"),
        (["ship", "--lock-wait", "1"], ""),
    ],
)
def test_bash_completes(project: Path, words: list[str], expected: str) -> None:
    """The function that `complete -p` names, called as bash calls it."""
    (project / "script").write_text(SCRIPTS["bash"])
    done = subprocess.run(
        [shell("bash"), "--norc", "-c", BASH, "bash", str(project / "script"), "hpcbake", *words],
        cwd=project, env=shell_environment(project), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("line", "expected"), [("hpcbake ship --site ", {"alder", "birch"}), ("hpcbake expl", {"explain"})]
)
def test_fish_completes(project: Path, line: str, expected: set[str]) -> None:
    """By its own `complete -C`."""
    (project / "script").write_text(SCRIPTS["fish"])
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", f"source script; complete -C '{line}'"],
        cwd=project, env=shell_environment(project), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert {item.split("\t")[0] for item in done.stdout.splitlines()} == expected, done.stderr


@pytest.mark.parametrize(
    ("name", "start", "keys", "expected"),
    [
        ("bash", ["--norc", "-i"], "echo ~ hpcbake ship --site al\t", None),
        ("bash", ["--norc", "-i"], "hpcbake ship --site al\t", "--site alder"),
        ("zsh", ["-f", "-i"], "hpcbake ship --site al\t", "--site alder"),
        ("zsh", ["-f", "-i"], "hpcbake ship --site-c\t", "--site-configs"),
    ],
)
def test_the_tab_key_itself(project: Path, name: str, start: Sequence[str], keys: str, expected: str | None) -> None:
    """An interactive shell on a terminal, as a person has it."""
    (project / "script").write_text(SCRIPTS[name])
    loads = "source ./script; echo re''ady\n"
    if name == "zsh":
        loads = "autoload -Uz compinit; compinit -u -D; " + loads
    seen = on_a_terminal([shell(name), *start], project, [(loads, "ready"), (keys, expected)])
    assert expected is None or expected in seen
    assert "rror" not in seen


def on_a_terminal(argv: list[str], folder: Path, talk: list[tuple[str, str | None]]) -> str:
    """Type each text and wait until its answer shows; everything that was shown."""
    environment = shell_environment(folder)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe(argv[0], argv, environment)
    shown = ""
    try:
        for keys, answer in talk:
            os.write(terminal, keys.encode())
            since, deadline = len(shown), time.monotonic() + (60 if answer else 1)
            while time.monotonic() < deadline and not (answer and answer in plain(shown[since:])):
                if select.select([terminal], [], [], 0.2)[0]:
                    shown += os.read(terminal, 65536).decode("utf-8", "replace")
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    return plain(shown)


def plain(shown: str) -> str:
    """Without escape sequences and carriage returns."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r|\x07", "", shown)


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_a_script_is_printed_whole(name: str) -> None:
    """And says how to use it."""
    done = CliRunner().invoke(command, [name], standalone_mode=False)
    assert done.return_value == 0
    assert done.stdout == SCRIPTS[name]
    assert "hpcbake completion" in done.stdout
