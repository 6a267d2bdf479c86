"""This machine as a site: the same scripts, run by the local /bin/sh."""

from __future__ import annotations

from hpcbake.adapters.processes import run_program
from hpcbake.adapters.remote_script import parse_answer, wrap_script
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
        answer = parse_answer(envelope.nonce, outcome.stdout.encode(), outcome.stderr.encode(), outcome.duration_s)
        if answer is None:
            raise SiteUnreachableError(
                f"{self.name}: the local shell gave no answer within {timeout_s:.0f} s",
                kind="ssh.timeout",
                evidence={"output": outcome.tail()},
            )
        return answer

    def close(self) -> None:
        """Nothing is held open."""
