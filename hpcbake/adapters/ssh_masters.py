"""Connections of the user's own ssh that many calls share (ControlMaster): one per host and process.

Every call of `ssh` alone would connect and log in anew. Where a host asks for a password or a code, it is asked for
once per host, a bastion before many sites included. A user whose ssh configuration does this already, or who has opened
such a connection by hand, is left alone.
"""

from __future__ import annotations

import atexit
import shlex
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from hpcbake.adapters.processes import run_program
from hpcbake.adapters.ssh_config import Hop, jump_argv, resolve_hops, shares_connections, ssh_argv
from hpcbake.adapters.ssh_sockets import SocketFolder, is_open, log_options, note_host_key, said_in_log
from hpcbake.errors import ConfigError, PrereqError, SiteTrustError
from hpcbake.model.site import Login

#: Somebody looks for a token generator.
_TYPING_S = 300.0
#: A master outlives a killed process of ours by this much at most.
_PERSIST_S = 120


class Masters:
    """The shared connections of this process, in a folder that only the user can enter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._arranged: dict[Login, bool] = {}
        self._ways: dict[Login, list[Hop]] = {}
        self._sockets = SocketFolder()
        atexit.register(self.close)

    def options(self, login: Login, site: str) -> list[str]:
        """ssh options with which a call to this login shares its connection; asks on the terminal where it must.

        Raises SiteTrustError when a host lets nobody in.
        """
        if login.persist_s and not login.ask and is_open(self._of_site(login, site)):
            self._arranged[login] = False  # a run before this one opened it and has seen to everything else
            return ["-o", "LogLevel=ERROR", "-o", "ControlMaster=no", "-o", f"ControlPath={self._of_site(login, site)}"]
        if not login.ask:
            return ["-o", "LogLevel=ERROR"] if self._is_arranged(login) else self._automatic(login, site)
        with self._lock:  # one question at a time, and the second site behind a bastion finds it open
            if self._is_arranged(login):
                self._ask_once(f"{login}", [*ssh_argv(login), *_where(login), "--", login.host, "true"], login, site)
                return []
            return self._ask_along(login, site)

    def standing(self, login: Login, site: str) -> Path | None:
        """The socket of this site's connection, if it may stand already, from this run or one before it."""
        if login.ask or self._arranged.get(login) or (login not in self._arranged and not login.persist_s):
            return None
        socket = self._of_site(login, site)
        if not socket.exists():
            return None
        self._arranged[login] = False
        return socket

    def drop(self, login: Login, site: str) -> None:
        """Forget the connection of this site: it broke, or is not needed any more."""
        if not login.ask and self._arranged.get(login) is False:
            self._end(self._of_site(login, site))

    def leave(self, login: Login, site: str) -> None:
        """This run needs the connection no more: it ends, or is kept for the next run where the site says so."""
        if not login.persist_s:
            self.drop(login, site)

    def host_key(self, login: Login, site: str) -> str:
        """The host key that this site's connection was opened with, once it has answered; empty when not known here."""
        if login.ask or self._arranged.get(login) is not False:
            return ""  # ssh keeps to itself what it saw when the user opened it
        return note_host_key(self._of_site(login, site))

    def close(self) -> None:
        """End every connection that was opened here."""
        folder, self._sockets.own = self._sockets.own, None
        if folder is not None:
            for socket in [path for path in folder.iterdir() if not path.suffix]:
                self._end(socket)
            shutil.rmtree(folder, ignore_errors=True)

    # ---- one host ----

    def _is_arranged(self, login: Login) -> bool:
        if login not in self._arranged:
            self._arranged[login] = shares_connections(login)
        return self._arranged[login]

    def said(self, login: Login, site: str) -> str:
        """What ssh has complained of, that of the jump hosts first; the call itself shows nothing of it."""
        if login.ask or self._arranged.get(login):
            return ""
        log = self._jump_log(login, site)
        jumps = log.read_text(errors="backslashreplace") if log.exists() else ""
        return jumps + said_in_log(self._of_site(login, site))

    def _of_site(self, login: Login, site: str) -> Path:
        return self._socket(f"{site}:{login}", login)

    def _automatic(self, login: Login, site: str) -> list[str]:
        """The first call becomes the master. It throws away what its jump hosts complain of, unless that is kept."""
        socket = self._of_site(login, site)
        options = ["ControlMaster=auto", f"ControlPath={socket}", f"ControlPersist={_persist(login)}"]
        jumps = self._jumps(login)
        if jumps:
            words = shlex.join(jump_argv(login, jumps, "H")).replace("%", "%%").replace(" H ", " '[%h]:%p' ")
            log = str(self._jump_log(login, site))
            options.append(f"ProxyCommand=sh -c {shlex.quote(f'exec {words} 2>{shlex.quote(log)}')}")
        return [*log_options(socket), *(word for option in options for word in ("-o", option))]

    def _jumps(self, login: Login) -> list[Hop]:
        """The jump hosts on the way; none where the user's own ProxyCommand is the way."""
        if login not in self._ways:
            try:
                self._ways[login] = resolve_hops(login)[:-1]
            except ConfigError:
                self._ways[login] = []
        return self._ways[login]

    def _jump_log(self, login: Login, site: str) -> Path:
        return self._of_site(login, site).with_suffix(".jumps")

    def _ask_along(self, login: Login, site: str) -> list[str]:
        """A master for every hop, each through the one before."""
        through: list[str] = []
        socket = Path()
        for hop in resolve_hops(login):
            socket = self._socket(f"{login.ssh_config}:{hop.user}@{hop.host_key_name}:{hop.address}", login)
            where = ["-l", hop.user, "-p", str(hop.port), *through]
            master = ["-f", "-N", "-M", "-o", f"ControlPath={socket}", "-o", f"ControlPersist={_persist(login)}"]
            if not self._is_open(socket):
                self._ask_once(
                    str(socket), [*ssh_argv(login, *_SAFE, *master), *where, "--", hop.alias], login, site, again=True
                )
            through = ["-o", f"ProxyCommand={self._forward(login, hop, socket)}"]
        return ["-o", "ControlMaster=no", "-o", f"ControlPath={socket}"]

    def _forward(self, login: Login, hop: Hop, socket: Path) -> str:
        """The next hop's ProxyCommand: a channel of the master of this one."""
        options = ["-o", "ControlMaster=no", "-o", f"ControlPath={socket}", "-o", "BatchMode=yes"]
        words = [*ssh_argv(login, *options, "-l", hop.user, "-p", str(hop.port)), "-W", "[%h]:%p", "--", hop.alias]
        return " ".join(word if word == "[%h]:%p" else shlex.quote(word.replace("%", "%%")) for word in words)

    def _ask_once(self, key: str, argv: list[str], login: Login, site: str, *, again: bool = False) -> None:
        """Let ssh talk to the user, on the terminal or through SSH_ASKPASS, until it is in."""
        if key in self._asked and not again:
            return
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=said, timeout=_TYPING_S, check=False)
                code = done.returncode
            except FileNotFoundError as error:
                raise PrereqError("there is no ssh", remedy="install the OpenSSH client") from error
            except subprocess.TimeoutExpired:
                code = 124
            said.seek(0)
            output = said.read(4000).decode("utf-8", "backslashreplace").strip()
        if code != 0:
            raise SiteTrustError(
                f"{site}: {argv[-1] if argv[-2] == '--' else login.host} did not let you in",
                remedy="run it from a terminal where it can ask; try: " + shlex.join([*ssh_argv(login), login.host]),
                kind="ssh.auth",
                evidence={"output": output} if output else {},
            )
        self._asked.add(key)

    def _is_open(self, socket: Path) -> bool:
        return run_program(["ssh", "-o", f"ControlPath={socket}", "-O", "check", "x"], timeout_s=20).ok

    def _end(self, socket: Path) -> None:
        with suppress(PrereqError):
            run_program(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "x"], timeout_s=10)
        with suppress(OSError):
            socket.unlink()

    def _socket(self, key: str, login: Login) -> Path:
        return self._sockets.path(key, login)


_SAFE = (
    *("-o", "StrictHostKeyChecking=yes", "-o", "ForwardAgent=no", "-o", "ClearAllForwardings=yes"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3", "-o", "LogLevel=ERROR"),
)


def _persist(login: Login) -> int:
    return int(login.persist_s or 0) or _PERSIST_S


def _where(login: Login) -> list[str]:
    return [*(("-l", login.user) if login.user else ()), *(("-p", str(login.port)) if login.port else ())]


#: Shared by all nodes of the process: two sites behind one bastion ask once.
MASTERS = Masters()
