"""Runs a local program: an argv list, bounded time, both streams kept apart."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcbake.errors import PrereqError
from hpcbake.model.ports import Outcome


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
    try:
        process = subprocess.Popen(
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
    return Outcome(
        code,
        out.decode("utf-8", "backslashreplace"),
        err.decode("utf-8", "backslashreplace"),
        time.monotonic() - started,
    )


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
