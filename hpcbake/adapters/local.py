"""This machine as a site: the same scripts, run by the local /bin/sh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpcbake.adapters.feed import open_feed
from hpcbake.adapters.processes import feed_program, run_program
from hpcbake.adapters.remote_script import Envelope, feeding_command, parse_answer, wrap_fed_script, wrap_script
from hpcbake.errors import SiteUnreachableError
from hpcbake.model.ports import Outcome
from hpcbake.model.site import Site


class LocalNode:
    """A Node without a network."""

    def __init__(self, site: Site) -> None:
        self.name = site.name
        self.host_key = ""

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        envelope = wrap_script(script, secret_stdin)
        outcome = run_program(["/bin/sh", "-s"], timeout_s=timeout_s, stdin=envelope.content)
        return self._answer(envelope, outcome)

    def send_file(
        self,
        source: Path,
        script: str,
        *,
        timeout_s: float,
        stall_s: float = 60.0,
        on_sent: Callable[[int], None] | None = None,
    ) -> Outcome:
        envelope = wrap_fed_script(script)
        argv = ["/bin/sh", "-c", feeding_command(envelope)]
        with open_feed(envelope.content, source, on_sent) as feed:
            outcome = feed_program(argv, feed, timeout_s=timeout_s, stall_s=stall_s)
        return self._answer(envelope, outcome)

    def _answer(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        answer = parse_answer(envelope.nonce, outcome.stdout.encode(), outcome.stderr.encode(), outcome.duration_s)
        if answer is None:
            raise SiteUnreachableError(
                f"{self.name}: the local shell gave no answer within {outcome.duration_s:.0f} s",
                remedy="this machine is very busy, or a prelude of the site waits for input; run it again",
                kind="ssh.timeout",
                evidence={"output": outcome.tail()},
            )
        return answer

    def close(self) -> None:
        """Nothing is held open."""
