"""The journal of one run: what it set out to do and what it finished, on disk before and after each act.

A line is JSON and holds the hash of the line before it. What really is on a site is read from the site; the journal
only tells the next run that this one died, and where.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hpcbake.errors import CantWriteError
from hpcbake.model.late import dataclass

_FIRST = "0" * 64


class Journal:
    """Appends entries; each `note` is on disk when it returns. Safe to use from several threads.

    What many threads note at the same time reaches the disk together: an `fsync` takes longer than all else here.
    """

    def __init__(
        self,
        path: Path,
        *,
        redact: Callable[[dict[str, object]], dict[str, object]] = dict,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self.path = path
        self._redact, self._sync = redact, sync
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        self._written = self._synced = 0
        self._previous = _FIRST
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise self._cannot_write(error) from error

    def note(self, act: str, **facts: object) -> None:
        """Append one entry and bring it to disk with all before it. Raises CantWriteError."""
        self._bring_to_disk(self._append(act, facts))

    def mention(self, act: str, **facts: object) -> None:
        """Append one entry about what only looks: on disk with the next `note`. Raises CantWriteError."""
        self._append(act, facts)

    def _append(self, act: str, facts: dict[str, object]) -> int:
        with self._lock:
            line = (
                json.dumps({"prev": self._previous, "act": act, **self._redact(facts)}, ensure_ascii=True).encode()
                + b"\n"
            )
            try:
                self._file.write(line)
            except OSError as error:
                raise self._cannot_write(error) from error
            self._previous = hashlib.sha256(line).hexdigest()
            self._written += 1
            return self._written

    def _bring_to_disk(self, line: int) -> None:
        """Return once this line is on disk; whoever waited for another thread's turn may find that it is."""
        with self._sync_lock:
            if self._synced >= line:
                return
            written = self._written  # every line up to this one was written before
            try:
                self._sync(self._file.fileno())
            except OSError as error:
                raise self._cannot_write(error) from error
            self._synced = written

    def close(self) -> None:
        self._file.close()

    def _cannot_write(self, error: OSError) -> CantWriteError:
        return CantWriteError(
            f"{self.path}: the run's journal cannot be written: {error.strerror}",
            remedy="make room, or point HPCBAKE_STATE at a folder that can be written",
        )


@dataclass(frozen=True)
class PastRun:
    """What a journal tells of a run: its last step, and whether it came to an end."""

    id: str
    project: str
    pid: int
    boot_id: str
    last_stage: str
    last_site: str
    is_ended: bool
    is_intact: bool


def read_entries(path: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """Entries in order, each with whether its chain hash fits. A torn last line (a power cut) ends the reading.

    A whole line that cannot be read is an empty entry that does not fit.
    """
    previous = _FIRST
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {}
        entry = entry if isinstance(entry, dict) else {}
        yield entry, entry.get("prev") == previous
        previous = hashlib.sha256(line).hexdigest()


def read_past_run(path: Path) -> PastRun | None:
    """The run that this journal tells of, or None when it holds nothing readable."""
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    ended, intact = False, True
    try:
        for entry, fits in read_entries(path):
            first = first or entry
            intact = intact and fits
            ended = ended or entry.get("act") == "end"
            if "stage" in entry:
                last = entry
    except OSError:
        return None
    if first.get("act") != "begin":
        return None
    pid = first.get("pid")
    return PastRun(
        id=str(first.get("run", "")),
        project=str(first.get("project", "")),
        pid=pid if isinstance(pid, int) and pid > 0 else 0,
        boot_id=str(first.get("boot_id", "")),
        last_stage=str(last.get("stage", "start")),
        last_site=str(last.get("site", "")),
        is_ended=ended,
        is_intact=intact,
    )


def find_dead_run(runs: Path, project: str, *, boot_id: str) -> PastRun | None:
    """The latest run of this project, if it died without coming to an end."""
    try:
        folders = sorted((folder for folder in runs.iterdir() if folder.is_dir()), reverse=True)
    except OSError:
        return None
    for folder in folders[:50]:
        past = read_past_run(folder / "journal.jsonl")
        if past is not None and past.project == project:
            is_running = past.boot_id == boot_id and is_alive(past.pid)
            return None if past.is_ended or is_running else past
    return None


def is_alive(pid: int) -> bool:
    """Does a process of this number run on this machine? Works without /proc, as on macOS."""
    if pid <= 0:  # a process group to kill(2), and no process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def prune_runs(runs: Path, *, keep: int) -> None:
    """Remove the folders of all but the newest `keep` runs; one that cannot be removed stays."""
    try:
        folders = sorted((folder for folder in runs.iterdir() if folder.is_dir()), reverse=True)
    except OSError:
        return
    for folder in folders[keep:]:
        shutil.rmtree(folder, ignore_errors=True)
