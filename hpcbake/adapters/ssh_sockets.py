"""Where the sockets of shared connections lie: in a folder of this process, or in one that outlives it.

A connection that is kept (`login.persist`) is found again by the next run of the same user for the same login; beside
its socket lies the host key that it was opened with.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket as socketlib
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from hpcbake.model.site import Login

_HOST_KEY = re.compile(r"^debug1: Server host (?:key|certificate): \S+ (SHA256:[A-Za-z0-9+/]{43})", re.MULTILINE)

#: A connection that is only being opened has a log and no socket yet.
_KEEP_NOTES_S = 24 * 3600.0

#: How the lines begin in which ssh tells of itself at this level, and complains of nothing.
_TOLD_BESIDES = ("debug", "OpenSSH_", "Authenticated to ", "Authenticating to ")


class SocketFolder:
    """A folder of sockets that only the user can enter: one of this process, and one that outlives it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # sites are reached from many threads
        self.own: Path | None = None
        self._kept: Path | None = None

    def path(self, key: str, login: Login) -> Path:
        """The socket of this connection: a name that fits into the 104 bytes that a socket's path may have."""
        with self._lock:
            if login.persist_s:
                self._kept = self._kept or _kept_folder()
                key, folder = f"{key}:{_config_stamp(login)}", self._kept
            else:
                self.own = self.own or Path(tempfile.mkdtemp(prefix="hpcbake-ssh-", dir=_runtime_folder()))
                folder = self.own
        return folder / hashlib.sha256(key.encode()).hexdigest()[:16]


def _runtime_folder() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return runtime if runtime and Path(runtime).is_dir() and len(runtime) < 50 else "/tmp"  # noqa: S108


def _kept_folder() -> Path:
    """The same one for every run of this user; a new one where somebody else has made what has its name."""
    folder = Path(_runtime_folder(), f"hpcbake-ssh-{os.getuid()}")
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        if stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o077:
            _clear_notes(folder)
            return folder
    return Path(tempfile.mkdtemp(prefix="hpcbake-ssh-", dir=_runtime_folder()))


def _clear_notes(folder: Path) -> None:
    """Forget what lies beside connections that have gone: ssh takes its socket away, and knows nothing of our notes."""
    long_ago = time.time() - _KEEP_NOTES_S
    for path in folder.iterdir():
        with suppress(OSError):
            if path.suffix and not path.with_suffix("").exists() and path.stat().st_mtime < long_ago:
                path.unlink()


def _config_stamp(login: Login) -> str:
    """Who changes the ssh configuration wants another connection than the one that is open."""
    path = Path(login.ssh_config or "~/.ssh/config").expanduser()
    with suppress(OSError):
        seen = path.stat()
        return f"{path}:{seen.st_mtime_ns}:{seen.st_size}"
    return str(path)


# ---- the host key ---------------------------------------------------------------------------------------------------


def connect_log(socket: Path) -> Path:
    """What ssh tells of connecting, while the host key is not known."""
    return socket.with_suffix(".log")


def said_in_log(socket: Path) -> str:
    """What ssh itself complained of in its log: all but its own account of what it does."""
    with suppress(OSError):
        lines = connect_log(socket).read_text(errors="backslashreplace").splitlines()
        return "".join(f"{line}\n" for line in lines if not line.startswith(_TOLD_BESIDES))
    return ""


def note_host_key(socket: Path) -> str:
    """The host key that this connection was opened with, noted beside its socket; empty when nobody knows."""
    note, log = socket.with_suffix(".key"), connect_log(socket)
    with suppress(OSError):
        seen = _HOST_KEY.search(log.read_text(errors="backslashreplace"))
        log.unlink()
        if seen:
            note.write_text(seen[1])
            return seen[1]
    with suppress(OSError):
        return note.read_text()
    return ""


def is_open(path: Path) -> bool:
    """Does a master of ssh listen there?"""
    with socketlib.socket(socketlib.AF_UNIX) as client, suppress(OSError):
        client.settimeout(5.0)
        client.connect(str(path))
        return True
    return False


def log_options(socket: Path) -> list[str]:
    """How ssh is asked to tell of connecting; nothing where the connection stands already."""
    if is_open(socket):
        return ["-o", "LogLevel=ERROR"]
    for path in (connect_log(socket), socket.with_suffix(".key")):
        path.unlink(missing_ok=True)
    return ["-o", "LogLevel=DEBUG1", "-E", str(connect_log(socket))]
