"""How a script reaches a remote shell and how its answer is told from everything else the login prints.

The script travels over standard input to `/bin/sh -s`, so that neither the login shell (which may be csh) nor any
argv sees it. Nonce lines mark where its output begins and ends: banners, noisy rc files and logout messages fall
outside. The end line carries the exit code; without it nobody knows how the script ended.
"""

from __future__ import annotations

import secrets

from hpcbake.errors import BugError
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Outcome

#: What the login shell is asked to run: valid in sh, bash, zsh, csh, tcsh and fish.
REMOTE_COMMAND = "exec /bin/sh -s"


@dataclass(frozen=True)
class Envelope:
    """A script ready to be sent, and the nonce by which its answer is known."""

    nonce: str
    content: bytes

    @property
    def end_mark(self) -> bytes:
        """What the end line of the answer begins with."""
        return f"\n{self.nonce} end ".encode()


def wrap_script(script: str, secret_stdin: bytes = b"", *, nonce: str | None = None) -> Envelope:
    """Put a script into its envelope. `secret_stdin` (text, no NUL) becomes the script's standard input."""
    nonce = nonce or "hpcbake-" + secrets.token_hex(12)
    if nonce.encode() in secret_stdin or nonce in script or b"\0" in secret_stdin or "\0" in script:
        raise BugError("a script or its input holds a NUL or the envelope's own nonce")
    given = b""
    redirect = "</dev/null"
    if secret_stdin:
        redirect = f"<<'{nonce}-input'"
        given = secret_stdin + (b"" if secret_stdin.endswith(b"\n") else b"\n") + f"{nonce}-input\n".encode()
    return _envelope(script, nonce, redirect, given)


def wrap_fed_script(script: str, *, nonce: str | None = None) -> Envelope:
    """Put a script into an envelope after which its standard input follows: any bytes, any number of them."""
    nonce = nonce or "hpcbake-" + secrets.token_hex(12)
    if nonce in script or "\0" in script:
        raise BugError("a script holds a NUL or the envelope's own nonce")
    return _envelope(script, nonce, "", b"")


def feeding_command(envelope: Envelope) -> str:
    """What the login shell is asked to run for a fed script, in any shell.

    A shell that reads its own script from standard input may read ahead, beyond it; dd takes exactly this many bytes.
    """
    return f"exec /bin/sh -c 'eval \"$(dd ibs=1 obs=65536 count={len(envelope.content)} 2>/dev/null)\"'"


def _envelope(script: str, nonce: str, redirect: str, given: bytes) -> Envelope:
    head = (
        "LC_ALL=C; LANG=C; export LC_ALL LANG\n"
        "hpcbake_script() (\n"
        f"{script}\n"
        ")\n"
        f"printf '\\n%s\\n' '{nonce} begin'; printf '\\n%s\\n' '{nonce} begin' >&2\n"
        f"hpcbake_script {redirect}\n"
    )
    tail = (
        f"hpcbake_rc=$?; printf '\\n%s %s\\n' '{nonce} end' \"$hpcbake_rc\"\n"
        f"printf '\\n%s\\n' '{nonce} end' >&2\nexit 0\n"
    )
    return Envelope(nonce, head.encode() + given + tail.encode())


def parse_answer(nonce: str, stdout: bytes, stderr: bytes, duration_s: float) -> Outcome | None:
    """The script's own outcome, or None when the end line never came (cut off, killed, never started)."""
    begin, end = f"\n{nonce} begin\n".encode(), f"\n{nonce} end ".encode()
    at_begin, at_end = stdout.find(begin), stdout.rfind(end)
    if at_begin < 0 or at_end < 0:
        return None
    code = stdout[at_end + len(end) :].split(b"\n", 1)[0]
    if not code.isdigit():
        return None
    err = stderr.split(begin, 1)[-1].rsplit(f"\n{nonce} end\n".encode(), 1)[0]
    return Outcome(int(code), _text(stdout[at_begin + len(begin) : at_end]), _text(err), duration_s)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
