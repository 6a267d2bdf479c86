"""Runs a local program: an argv list, bounded time, both streams kept apart."""

from __future__ import annotations

import logging
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from hpcbake.adapters.feed import PIECE_BYTES, Feed
from hpcbake.errors import PrereqError
from hpcbake.model.ports import Outcome

_LOG = logging.getLogger(__name__)


def run_program(
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    missing_remedy: str = "",
    grace_s: float = 5.0,
) -> Outcome:
    """Run one program in a session of its own and wait for it; the whole session dies at the deadline.

    It is asked to end first and made to after `grace_s`. Exit code 124 stands for "deadline passed", as `timeout`
    has it; −N for "killed by signal N".
    Raises PrereqError when the program is not there.
    """
    started = time.monotonic()
    process = _start(argv, environment, folder, missing_remedy)
    try:
        out, err = process.communicate(stdin, timeout=timeout_s)
        code = process.returncode
    except subprocess.TimeoutExpired:
        # It may have ended in time and left its output open with a child of another session (ssh's ControlPersist).
        code = 124 if process.poll() is None else process.returncode
        _kill_session(process, grace_s)
        out, err = _read_rest(process)
    except BaseException:
        _kill_session(process, grace_s)
        process.wait()
        raise
    outcome = _outcome(code, out, err, started)
    _LOG.debug("%s ended with %d after %.1f s", shlex.join(argv), outcome.exit_code, outcome.duration_s)
    return outcome


def feed_program(
    argv: Sequence[str], feed: Feed, *, timeout_s: float, stall_s: float, missing_remedy: str = "", grace_s: float = 5.0
) -> Outcome:
    """Run one program as `run_program` does and send it a feed of any length.

    It is ended at the deadline, and earlier when it takes nothing for `stall_s` while there is something to send.
    A program that ends without having read everything is no error.
    """
    started = time.monotonic()
    process = _start(argv, None, None, missing_remedy)
    try:
        with _Exchange(process, feed) as exchange:
            ended = exchange.run(deadline=started + timeout_s, stall_s=stall_s)
    except BaseException:
        _kill_session(process, grace_s)
        process.wait()
        raise
    if not ended:
        _kill_session(process, grace_s)
    return _outcome(process.wait() if ended else 124, bytes(exchange.out), bytes(exchange.err), started)


class _Exchange:
    """Feeds a process and reads both of its streams, without ever waiting for one of the three alone."""

    def __init__(self, process: subprocess.Popen[bytes], feed: Feed) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.out, self.err = bytearray(), bytearray()
        self._process, self._feed, self._stdin = process, feed, process.stdin
        self._selector = selectors.DefaultSelector()
        os.set_blocking(self._stdin.fileno(), False)
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        self._selector.register(process.stdout, selectors.EVENT_READ, self.out)
        self._selector.register(process.stderr, selectors.EVENT_READ, self.err)

    def __enter__(self) -> _Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):  # what was not taken any more
                if stream is not None:
                    stream.close()

    def run(self, *, deadline: float, stall_s: float) -> bool:
        """Until the program has ended and said everything: True. False at the deadline, or when it takes nothing."""
        taken_at = time.monotonic()
        while self._selector.get_map():
            ready = self._selector.select(timeout=0.25)
            # A stranger that holds the output open (ssh's ControlPersist) is not waited for.
            if not ready and self._process.poll() is not None:
                return True
            for key, _ in ready:
                if key.fileobj is self._stdin:
                    taken_at = time.monotonic()
                    self._send()
                else:
                    self._receive(key)
            now = time.monotonic()
            if now > deadline or (not self._stdin.closed and now - taken_at > stall_s):
                return False
        while self._process.poll() is None:  # it closed its streams and goes on
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _send(self) -> None:
        piece = self._feed.rest()
        try:
            if piece:
                self._feed.advance(os.write(self._stdin.fileno(), piece))
                return
        except BlockingIOError:
            return
        except BrokenPipeError:
            pass
        self._selector.unregister(self._stdin)
        self._stdin.close()

    def _receive(self, key: selectors.SelectorKey) -> None:
        stream: IO[bytes] = key.fileobj  # type: ignore[assignment]  # typeshed cannot know what was registered
        piece = os.read(stream.fileno(), PIECE_BYTES)
        key.data.extend(piece)
        if not piece:
            self._selector.unregister(stream)


def _start(
    argv: Sequence[str], environment: Mapping[str, str] | None, folder: Path | None, missing_remedy: str
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment) if environment is not None else None,
            cwd=folder,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise PrereqError(
            f"cannot run `{argv[0]}`: {error.strerror}",
            remedy=missing_remedy or f"install {argv[0]} and put it on PATH",
            kind="config.missing-program",
        ) from error


def _outcome(code: int, out: bytes, err: bytes, started: float) -> Outcome:
    duration_s = time.monotonic() - started
    return Outcome(code, out.decode("utf-8", "backslashreplace"), err.decode("utf-8", "backslashreplace"), duration_s)


def _read_rest(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What was printed so far; a stranger that holds the output open is not waited for."""
    try:
        return process.communicate(timeout=1)
    except subprocess.TimeoutExpired as left:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return left.output or b"", left.stderr or b""


def _kill_session(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Ask the program's whole session to end, then make it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=grace_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
