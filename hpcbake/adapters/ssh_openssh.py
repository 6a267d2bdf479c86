"""A login node reached with the user's own `ssh`: Kerberos, hardware keys, ControlMaster, all of ssh_config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpcbake.adapters.feed import open_feed
from hpcbake.adapters.gate import fed_call, gate_refusal, script_call
from hpcbake.adapters.processes import feed_program, run_program
from hpcbake.adapters.remote_script import Envelope, parse_answer
from hpcbake.adapters.ssh_config import ssh_argv
from hpcbake.adapters.ssh_masters import MASTERS, Masters
from hpcbake.adapters.ssh_mux import run_over_master
from hpcbake.catalogue.causes import find_cause
from hpcbake.errors import SiteTrustError, SiteUnreachableError
from hpcbake.model.ports import Outcome
from hpcbake.model.site import Login, Site


class OpenSshNode:
    """A Node whose first script is a call of `ssh`, and whose others go over the connection that it has opened."""

    def __init__(self, site: Site, masters: Masters = MASTERS) -> None:
        self.name = site.name
        self._login = site.login
        self._masters = masters
        self.host_key = ""

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        call = script_call(self._login, script, secret_stdin)
        standing = self._masters.standing(self._login, self.name)
        outcome = (
            run_over_master(standing, call.command, call.envelope.content, timeout_s=timeout_s) if standing else None
        )
        if outcome is None:
            outcome = run_program(self._argv(call.command), timeout_s=timeout_s, stdin=call.envelope.content)
        return self._answer(call.envelope, outcome)

    def send_file(
        self,
        source: Path,
        script: str,
        *,
        timeout_s: float,
        stall_s: float = 60.0,
        on_sent: Callable[[int], None] | None = None,
    ) -> Outcome:
        call = fed_call(self._login, script)
        argv = self._argv(call.command)
        with open_feed(call.envelope.content, source, on_sent) as feed:
            outcome = feed_program(argv, feed, timeout_s=timeout_s, stall_s=stall_s)
        return self._answer(call.envelope, outcome)

    def _answer(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        answer = parse_answer(envelope.nonce, outcome.stdout.encode(), outcome.stderr.encode(), outcome.duration_s)
        if answer is not None:
            self.host_key = self.host_key or self._masters.host_key(self._login, self.name)
            return answer
        if refused := gate_refusal(self._login, self.name, outcome.stderr.encode()):
            raise refused
        told = self._masters.said(self._login, self.name)
        said = told + outcome.stderr
        self._masters.drop(self._login, self.name)
        if outcome.exit_code == 255 and (refusal := _refusal(said, self._login, self.name)):
            raise refusal
        why = f"no answer for {outcome.duration_s:.0f} s" if outcome.exit_code == 124 else "the connection broke"
        cause = find_cause(said, "ssh") if outcome.exit_code == 255 else None
        raise SiteUnreachableError(
            f"{self.name}: cannot reach {self._login.host}: {cause.meaning if cause else why}",
            remedy=f"{cause.remedy}; run the same command again later: what was done stays done"
            if cause
            else "run the same command again later: what was done stays done",
            kind="ssh.timeout" if outcome.exit_code == 124 else "ssh.lost",
            evidence={"output": (told + outcome.tail()).strip()},
        )

    def _argv(self, command: str) -> list[str]:
        login = self._login
        options = [
            *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ForwardAgent=no", "-T"),
            # What a user's own configuration may ask for in a terminal has no place here.
            *("-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"),
            *("-o", f"ConnectTimeout={max(1, int(login.connect_timeout_s))}"),
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"),
            *(("-l", login.user) if login.user else ()),
            *(("-p", str(login.port)) if login.port else ()),
            *self._masters.options(login, self.name),
        ]
        return [*ssh_argv(login, *options), "--", login.host, command]

    def close(self) -> None:
        """End this site's connection, unless it is to be kept. One that was asked for stays until the process ends."""
        self._masters.leave(self._login, self.name)


def _refusal(said: str, login: Login, site: str) -> SiteTrustError | None:
    """Imported where it is needed: it may have to speak SSH itself, which takes long to load."""
    from hpcbake.adapters.ssh_refusals import ssh_refusal

    return ssh_refusal(said, login, site)
