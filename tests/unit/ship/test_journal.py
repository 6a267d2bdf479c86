"""The journal of a run: on disk before the act, chained, and read back whatever became of it."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcbake.errors import CantWriteError
from hpcbake.ship.journal import Journal, find_dead_run, is_alive, prune_runs, read_entries, read_past_run

#: A process number that no process has: the kernel's largest is below it.
NOBODY = 4_194_999


def begun(runs: Path, name: str, *, project: str = "/p", pid: int = NOBODY, boot_id: str = "b") -> Journal:
    journal = Journal(runs / name / "journal.jsonl")
    journal.note("begin", run=name, project=project, pid=pid, boot_id=boot_id)
    return journal


def ended(runs: Path, name: str, **facts: object) -> None:
    journal = begun(runs, name, **facts)  # type: ignore[arg-type]
    journal.note("end", code=0)
    journal.close()


def test_a_note_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    """Another reader sees it at once."""
    journal = begun(tmp_path, "01")
    journal.note("do", stage="deliver", site="alder", text="é\n\"'\u2028\ud800")
    entries = [entry for entry, fits in read_entries(journal.path) if fits]
    assert [entry["act"] for entry in entries] == ["begin", "do"]
    assert entries[1]["text"] == "é\n\"'\u2028\ud800"


def test_each_line_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    """A line that was changed is found by the next."""
    journal = begun(tmp_path, "01")
    for number in range(3):
        journal.note("do", stage="check", number=number)
    path = journal.path
    path.write_text(path.read_text().replace('"number": 1', '"number": 9'))
    assert [fits for _, fits in read_entries(path)] == [True, True, True, False]


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    """Sites run side by side; the chain holds."""
    journal = begun(tmp_path, "01")

    def write() -> None:
        for _ in range(10):
            journal.note("do", stage="x" * 2000)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = list(read_entries(journal.path))
    assert (len(read), all(fits for _, fits in read)) == (81, True)


def test_many_notes_reach_the_disk_together(tmp_path: Path) -> None:
    """Each is on disk when its note returns, also where it was another thread that saw to it."""
    path = tmp_path / "journal.jsonl"
    on_disk: list[int] = [0]

    def slow_sync(_file: int) -> None:
        size = path.stat().st_size
        time.sleep(0.02)
        on_disk.append(size)

    journal = Journal(path, sync=slow_sync)
    late: list[int] = []

    def work(number: int) -> None:
        for part in range(5):
            journal.note("do", stage="deliver", number=number, part=part)
            line = f'"number": {number}, "part": {part}'.encode()
            if path.read_bytes()[: on_disk[-1]].count(line) != 1:
                late.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert late == []
    assert len(on_disk) - 1 < 40
    assert len(list(read_entries(path))) == 40


def test_what_only_looks_reaches_the_disk_with_the_next_act(tmp_path: Path) -> None:
    """It is in the file at once, where a killed run leaves it, and waits for no disk."""
    synced: list[int] = []
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, sync=lambda _file: synced.append(path.read_bytes().count(b"\n")))
    journal.mention("do", stage="check")
    journal.mention("done", stage="check")
    assert (synced, path.read_bytes().count(b"\n")) == ([], 2)
    journal.note("do", stage="deliver")
    assert synced == [3]
    assert all(fits for _, fits in read_entries(path))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_ends_the_reading(tmp_path: Path, cut: int) -> None:
    """As a power cut leaves it: what is whole counts, and is intact."""
    journal = begun(tmp_path, "01")
    journal.note("do", stage="deliver", site="alder")
    journal.note("done", stage="deliver", site="alder")
    journal.path.write_bytes(journal.path.read_bytes()[:-cut])
    past = read_past_run(journal.path)
    assert past is not None
    assert (past.is_intact, past.last_stage, past.is_ended) == (True, "deliver", False)


@pytest.mark.parametrize("line", ["garbage\n", "[]\n", "\n", '{"act": "do"}\n', "\xff\n"])
def test_a_line_that_was_put_in_is_found(tmp_path: Path, line: str) -> None:
    """A whole line that does not fit is no power cut."""
    journal = begun(tmp_path, "01")
    journal.path.write_bytes(journal.path.read_bytes() + line.encode("latin-1"))
    past = read_past_run(journal.path)
    assert past is not None
    assert not past.is_intact


@pytest.mark.parametrize("pid", ["x", None, -1, 0, 1.5, [], 10**30])
def test_a_journal_of_nonsense_is_no_crash(tmp_path: Path, pid: object) -> None:
    """A process number may be anything in a file that was damaged."""
    path = tmp_path / "01/journal.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps({"act": "begin", "project": "/p", "pid": pid, "boot_id": "b"}) + "\n")
    assert read_past_run(path) is not None
    find_dead_run(tmp_path, "/p", boot_id="b")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read(tmp_path: Path, content: bytes) -> None:
    """Whatever lies in the file."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    read_past_run(path)


def test_a_journal_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CantWriteError) as caught:
        Journal(tmp_path / "file/01/journal.jsonl")
    assert "HPCBAKE_STATE" in caught.value.remedy


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """At the note that did not fit."""
    (tmp_path / "journal.jsonl").symlink_to("/dev/full")
    with pytest.raises(CantWriteError):
        Journal(tmp_path / "journal.jsonl").note("begin")


# ---- the run before -------------------------------------------------------------------------------------------------


def test_a_run_that_died_is_found(tmp_path: Path) -> None:
    """With the stage and the site where it was."""
    journal = begun(tmp_path, "01")
    journal.note("do", stage="deliver", site="alder")
    past = find_dead_run(tmp_path, "/p", boot_id="b")
    assert past is not None
    assert (past.id, past.pid, past.last_stage, past.last_site) == ("01", NOBODY, "deliver", "alder")


def test_a_run_that_ended_is_not(tmp_path: Path) -> None:
    """Nor one that died before it."""
    begun(tmp_path, "01")
    ended(tmp_path, "02")
    assert find_dead_run(tmp_path, "/p", boot_id="b") is None


def test_a_run_that_lives_is_not(tmp_path: Path) -> None:
    """The process is there; after a reboot the number means nothing."""
    begun(tmp_path, "01", pid=os.getpid())
    assert find_dead_run(tmp_path, "/p", boot_id="b") is None
    assert find_dead_run(tmp_path, "/p", boot_id="another boot") is not None


def test_other_projects_runs_are_theirs(tmp_path: Path) -> None:
    """The latest run of this project counts, whatever others did since."""
    begun(tmp_path, "01")
    ended(tmp_path, "02", project="/other")
    found = find_dead_run(tmp_path, "/p", boot_id="b")
    assert found is not None
    assert found.id == "01"


def test_no_runs_at_all_are_no_dead_run(tmp_path: Path) -> None:
    """On a new machine, or with rubbish in the folder."""
    assert find_dead_run(tmp_path / "nowhere", "/p", boot_id="b") is None
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert find_dead_run(tmp_path, "/p", boot_id="b") is None


@pytest.mark.parametrize(
    ("pid", "lives"),
    [(os.getpid(), True), (NOBODY, False), (0, False), (-1, False)],
    ids=["this", "nobody's", "zero", "negative"],
)
def test_a_process_lives_or_not(pid: int, lives: bool) -> None:
    """0 and -1 mean process groups to the kernel, and no process."""
    assert is_alive(pid) is lives


def test_old_runs_are_pruned(tmp_path: Path) -> None:
    """The newest stay; what is no folder stays."""
    for number in range(5):
        ended(tmp_path, f"0{number}")
    (tmp_path / "file").write_text("")
    prune_runs(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["03", "04", "file"]
    prune_runs(tmp_path / "nowhere", keep=2)
