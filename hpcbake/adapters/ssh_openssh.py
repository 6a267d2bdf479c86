"""A login node reached with the user's own `ssh`: Kerberos, hardware keys, ControlMaster, all of ssh_config."""

from __future__ import annotations

import re
import shlex

from hpcbake.adapters.processes import run_program
from hpcbake.adapters.remote_script import REMOTE_COMMAND, parse_answer, wrap_script
from hpcbake.adapters.ssh_config import ssh_argv
from hpcbake.errors import SiteTrustError, SiteUnreachableError
from hpcbake.model.ports import Outcome
from hpcbake.model.site import Site

_TRUST = re.compile(
    r"Host key verification failed|Permission denied|REMOTE HOST IDENTIFICATION HAS CHANGED|No .* host key is known"
)


class OpenSshNode:
    """A Node whose every script is one `ssh` call; let ssh_config's ControlMaster make them cheap."""

    def __init__(self, site: Site) -> None:
        self.name = site.name
        self._login = site.login
        self.host_key = ""

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        envelope = wrap_script(script, secret_stdin)
        outcome = run_program(self._argv(), timeout_s=timeout_s, stdin=envelope.content)
        answer = parse_answer(envelope.nonce, outcome.stdout.encode(), outcome.stderr.encode(), outcome.duration_s)
        if answer is not None:
            return answer
        if outcome.exit_code == 255 and _TRUST.search(outcome.stderr):
            raise SiteTrustError(
                f"{self.name}: ssh refused {self._login.host}",
                remedy=f"try it yourself: {shlex.join([*ssh_argv(self._login), self._login.host])}",
                kind="ssh.trust",
                evidence={"output": outcome.tail()},
            )
        why = f"no answer for {timeout_s:.0f} s" if outcome.exit_code == 124 else f"ssh ended with {outcome.exit_code}"
        raise SiteUnreachableError(
            f"{self.name}: cannot reach {self._login.host}: {why}",
            remedy="run the same command again later: what was done stays done",
            kind="ssh.timeout" if outcome.exit_code == 124 else "ssh.lost",
            evidence={"output": outcome.tail()},
        )

    def _argv(self) -> list[str]:
        login = self._login
        options = [
            *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ForwardAgent=no", "-T"),
            # What a user's own configuration may ask for in a terminal has no place here.
            *("-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", "-o", "LogLevel=ERROR"),
            *("-o", f"ConnectTimeout={max(1, int(login.connect_timeout_s))}"),
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"),
            *(("-l", login.user) if login.user else ()),
            *(("-p", str(login.port)) if login.port else ()),
        ]
        return [*ssh_argv(login, *options), "--", login.host, REMOTE_COMMAND]

    def close(self) -> None:
        """Nothing is held open: ControlMaster's lifetime is ssh's own affair."""
