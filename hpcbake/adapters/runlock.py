"""One run per project at a time on a machine: a file that its holder keeps locked, with the holder's name in it.

On this machine the kernel's lock decides: it falls with its process, whatever pid comes after it and however the
machine went down. Where the file system knows no locks, the holder's pid, the moment that process began and the boot
decide. A state folder that several machines share is the third case: a holder elsewhere shows by its heartbeat, read
by the file system's own clock, that it lives.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from hpcbake.errors import BusyError, CantWriteError
from hpcbake.model.late import dataclass

_HEARTBEAT_S = 30.0
#: A holder on another machine that has given no sign for so long is dead.
_SILENCE_S = 1800.0
_NO_LOCKS_HERE = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


@dataclass(frozen=True)
class Process:
    """A process as nobody can mistake it: its pid may be given again, not with the same beginning and boot."""

    host: str
    pid: int
    began: int
    boot_id: str


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: which process, since when by its clock and by its machine's uptime, doing what."""

    process: Process
    since: str
    uptime_s: float
    doing: str

    def describe(self, here: Process, uptime_s: float) -> str:
        """For people: `pid 7 on build1 since … (12 min)`. The age is left out where only clocks could tell it."""
        age = ""
        if self.process.boot_id == here.boot_id:
            age = f" ({_minutes(uptime_s - self.uptime_s)})"
        return f"pid {self.process.pid} on {self.process.host} since {self.since}{age}: {self.doing}"


class Machine:
    """This machine, as far as locks need to know it."""

    def __init__(self, proc: Path = Path("/proc"), host: str = "") -> None:
        self._proc = proc
        self._host = host or socket.gethostname()

    def process(self, pid: int) -> Process | None:
        """The process that has this pid now, or None."""
        try:
            stat = (self._proc / str(pid) / "stat").read_text(errors="replace")
            # The name in brackets may hold anything; the beginning is the 22nd field of all.
            fields = stat.rpartition(")")[2].split()
            return None if fields[0] in "ZX" else Process(self._host, pid, int(fields[19]), self.boot_id())
        except (OSError, IndexError, ValueError):
            return None if self._proc.is_dir() or not _answers(pid) else Process(self._host, pid, 0, "")

    def boot_id(self) -> str:
        try:
            return (self._proc / "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""

    def uptime_s(self) -> float:
        """Seconds since the machine started, whatever its clock says."""
        try:
            return float((self._proc / "uptime").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return time.monotonic()

    def me(self) -> Process:
        return self.process(os.getpid()) or Process(self._host, os.getpid(), 0, self.boot_id())


@dataclass(frozen=True)
class Held:
    """A lock that is held. `note` tells of a dead holder from whom it was taken over; empty when there was none."""

    path: Path
    note: str


@contextmanager
def run_lock(path: Path, *, doing: str, machine: Machine | None = None, now_s: float | None = None) -> Iterator[Held]:
    """Hold the lock at `path`, or raise BusyError at once. Raises CantWriteError where there can be no lock."""
    machine = machine or Machine()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _cannot(path, error) from error
    try:
        note = _take(file, path, machine)
        me = machine.me()
        since = datetime.fromtimestamp(time.time() if now_s is None else now_s, timezone.utc)
        _write(file, path, Holder(me, since.strftime("%Y-%m-%dT%H:%M:%SZ"), machine.uptime_s(), doing))
        with _heartbeat(path):
            try:
                yield Held(path, note)
            finally:
                with suppress(OSError):
                    os.ftruncate(file, 0)
    finally:
        os.close(file)


def read_holder(path: Path) -> Holder | None:
    """Whoever wrote their name into the lock last; None when it was given back, or cannot be read."""
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except OSError:
        return None


def _take(file: int, path: Path, machine: Machine) -> str:
    """Lock the file. What a dead holder left is told. Raises BusyError."""
    here, uptime_s = machine.me(), machine.uptime_s()
    is_locked = _lock(file, path)
    holder = read_holder(path)
    if is_locked is False:
        raise _busy(path, holder.describe(here, uptime_s) if holder else "another run, which has just begun")
    if holder is None:
        return ""
    why = _why_dead(holder, here, machine, path, by_kernel=bool(is_locked))
    if not why:
        raise _busy(path, holder.describe(here, uptime_s))
    return f"the last run of this project ({holder.describe(here, uptime_s)}) ended without a word: {why}"


def _lock(file: int, path: Path) -> bool | None:
    """True: ours. False: a living process has it. None: this file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS_HERE:
            return None
        raise _cannot(path, error) from error
    return True


def _why_dead(holder: Holder, here: Process, machine: Machine, path: Path, *, by_kernel: bool) -> str:
    """The proof that a holder is dead; empty when there is none."""
    process = holder.process
    if process.host != here.host:
        silence = _silence_s(path)
        return f"no sign of {process.host} for {_minutes(silence)}" if silence > _SILENCE_S else ""
    if process.boot_id != here.boot_id:
        return f"{here.host} has started again since"
    if by_kernel:
        return "its process is gone"
    now = machine.process(process.pid)
    if now is None:
        return "its process is gone"
    return "its pid is another process now" if now.began != process.began else ""


def _silence_s(path: Path) -> float:
    """How long ago the lock was last touched, both moments by the clock of the file system it lies on."""
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


@contextmanager
def _heartbeat(path: Path) -> Iterator[None]:
    """Touch the file now and then, for those who look from another machine."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_HEARTBEAT_S):
            with suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=beat, name="lock-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _write(file: int, path: Path, holder: Holder) -> None:
    content = json.dumps(asdict(holder)).encode() + b"\n"
    try:
        os.ftruncate(file, 0)
        if os.pwrite(file, content, 0) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    except OSError as error:
        with suppress(OSError):
            os.ftruncate(file, 0)
        raise _cannot(path, error) from error


def _parse(text: str) -> Holder | None:
    try:
        document = json.loads(text)
        process = document.pop("process")
        return Holder(Process(**process), **document)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _answers(pid: int) -> bool:
    """Does a process of this number run? For machines without /proc."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _minutes(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _busy(path: Path, holder: str) -> BusyError:
    return BusyError(
        f"another nightly run of this project is at work: {holder}",
        remedy=f"let it end, or end it (kill its pid), and run this again; the lock is {path}",
    )


def _cannot(path: Path, error: OSError) -> CantWriteError:
    return CantWriteError(
        f"{path}: cannot be locked: {error.strerror}",
        remedy="make room or mend the permissions there, or point HPCBAKE_STATE at another folder",
    )
