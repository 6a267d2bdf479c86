"""The log of one run: a file of JSON lines, bounded, that never fails the run it tells of."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

LEVELS = ("debug", "info", "warning", "error")
#: A log that has grown so far begins anew; one old part is kept.
_LARGEST_BYTES = 10 * 1024 * 1024
_PROGRAM = logging.getLogger("hpcbake")


class RunLog:
    """Appends lines; use it as a context. Everything goes through `redact` first.

    At the level debug it also hears what hpcbake's adapters say by the standard `logging`: programs that were run,
    requests to registries.
    """

    def __init__(
        self,
        path: Path,
        *,
        level: str = "info",
        redact: Callable[[object], object] = lambda value: value,
        largest_bytes: int = _LARGEST_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        #: What went wrong with the log itself, in words.
        self.problem = ""
        self._level = LEVELS.index(level)
        self._redact = redact
        self._largest = largest_bytes
        self._now = now
        self._lock = threading.Lock()
        self._size = 0
        self._handler = _Handler(self)

    def __enter__(self) -> RunLog:
        if self._level == 0:
            self._before = _PROGRAM.level, _PROGRAM.propagate
            _PROGRAM.addHandler(self._handler)
            _PROGRAM.setLevel(logging.DEBUG)
            _PROGRAM.propagate = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.write("error", "the run ended with an exception", error=f"{type(error).__name__}: {error}")
        if self._level == 0:
            _PROGRAM.removeHandler(self._handler)
            _PROGRAM.setLevel(self._before[0])
            _PROGRAM.propagate = self._before[1]

    def write(self, level: str, text: str, **facts: object) -> None:
        """One line, on its way to the disk when this returns."""
        if LEVELS.index(level) < self._level:
            return
        moment = datetime.fromtimestamp(self._now(), timezone.utc).isoformat(timespec="milliseconds")
        known = {key: value for key, value in facts.items() if value not in ("", None)}
        entry = self._redact({"time": moment.replace("+00:00", "Z"), "level": level, "text": text, **known})
        line = json.dumps(entry, ensure_ascii=True, default=str).encode() + b"\n"
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                self.problem = f"{self.path}: the log cannot be written: {error.strerror}"

    def _append(self, line: bytes) -> None:
        if self._size + len(line) > self._largest and self._size:
            self.path.replace(self.path.with_name(f"{self.path.stem}.1{self.path.suffix}"))
            self._size = 0
        # Opened anew for each line: nobody holds a file that was pruned, and lines of two writers do not mix.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        self._size += len(line)


class _Handler(logging.Handler):
    """Brings records of the standard `logging` into the run's log."""

    def __init__(self, log: RunLog) -> None:
        super().__init__(logging.DEBUG)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for name in reversed(LEVELS) if record.levelno >= getattr(logging, name.upper())), "debug")
        facts = getattr(record, "facts", {})
        self._log.write(level, record.getMessage(), logger=record.name, **(facts if isinstance(facts, Mapping) else {}))
