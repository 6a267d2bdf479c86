"""Local programs: what they print is kept apart, and no program outlives its deadline."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from hpcbake.adapters.processes import run_program
from hpcbake.errors import PrereqError

pytestmark = pytest.mark.stand


def sh(script: str, *words: str, timeout_s: float = 20, stdin: bytes = b"") -> list[object]:
    outcome = run_program(["/bin/sh", "-c", script, "sh", *words], timeout_s=timeout_s, stdin=stdin)
    return [outcome.exit_code, outcome.stdout, outcome.stderr]


def test_both_streams_are_kept_apart() -> None:
    """What went wrong is on stderr and nowhere else."""
    assert sh("echo out; echo err >&2; exit 3") == [3, "out\n", "err\n"]


def test_words_reach_the_program_as_they_are() -> None:
    """No shell reads an argv."""
    words = ["", " ", "a b", "$(id)", "`id`", "'\"", "-rf", "*", "a\nb", "é"]
    assert sh('for word; do printf "<%s>" "$word"; done', *words)[1] == "".join(f"<{word}>" for word in words)


def test_input_reaches_the_program() -> None:
    """All of it, also more than a pipe holds."""
    assert sh("wc -c", stdin=b"x" * 1_000_000)[1] == "1000000\n"


def test_a_program_need_not_read_its_input() -> None:
    """One that ends early is no error."""
    assert sh("echo done", stdin=b"x" * 1_000_000) == [0, "done\n", ""]


def test_much_output_on_both_streams_does_not_block() -> None:
    """Both are read together."""
    code, out, err = sh("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2")
    assert (code, len(str(out)), len(str(err))) == (0, 1_000_000, 1_000_000)


def test_bytes_that_are_no_text_are_shown_as_escapes() -> None:
    """A program may print anything."""
    assert sh(r"printf 'a\377b'")[1] == "a\\xffb"


def test_a_signal_is_told() -> None:
    """-N, as Python has it."""
    assert sh("kill -9 $$")[0] == -9


@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM; sleep 60", "sleep 60 & wait"])
def test_a_deadline_ends_the_program_and_its_children(script: str, tmp_path: Path) -> None:
    """124, once the grace is over, and nobody of the session is left."""
    pid_file = tmp_path / "pid"
    argv = ["/bin/sh", "-c", f"echo $$ >'{pid_file}'; {script}"]
    assert run_program(argv, timeout_s=0.8, grace_s=0.3).exit_code == 124
    assert living_members(int(pid_file.read_text())) == []


def living_members(session: int) -> list[str]:
    """The processes of this session that are no zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, its_session = stat.read_text().rpartition(") ")[2].split()[:4]
            if its_session == str(session) and state not in "ZX":
                found.append(stat.parent.name)
    return found


def test_what_was_printed_before_the_deadline_is_kept() -> None:
    """It may be the only evidence."""
    assert sh("echo before; exec sleep 60", timeout_s=0.3)[1] == "before\n"


def test_a_stranger_that_holds_the_output_is_not_waited_for() -> None:
    """A background process of another session, as ssh's ControlPersist leaves one, costs the deadline and no more."""
    began = time.monotonic()
    code, out, _ = sh("setsid sleep 5 & echo done", timeout_s=0.5)
    assert (code, out) == (0, "done\n")
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("program", ["/nonexistent/program", "no-such-program", "/etc"])
def test_a_missing_program_is_a_prerequisite(program: str) -> None:
    """Its name and what to do."""
    with pytest.raises(PrereqError, match=program) as caught:
        run_program([program], timeout_s=5, missing_remedy="install it")
    assert caught.value.remedy == "install it"


def test_folder_and_environment_are_the_callers(tmp_path: Path) -> None:
    """Nothing of ours leaks into a program that is given an environment."""
    outcome = run_program(["/bin/sh", "-c", "pwd; env"], timeout_s=5, environment={"ONLY": "1"}, folder=tmp_path)
    assert outcome.stdout.splitlines()[0] == str(tmp_path)
    assert {line.partition("=")[0] for line in outcome.stdout.splitlines()[1:]} <= {"ONLY", "PWD", "_", "OLDPWD"}
