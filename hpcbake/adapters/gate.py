"""How a script reaches a login node: as a text for its shell, or by its name through the gate of a restricted key.

A gate holds the scripts itself. It is sent a name, a sha256 and values in base64, on the standard input, where what the
script is to read follows; its answer stands between the same marks as a shell's.
"""

from __future__ import annotations

import base64
import secrets

from hpcbake.adapters.remote_script import REMOTE_COMMAND, Envelope, feeding_command, wrap_fed_script, wrap_script
from hpcbake.errors import BugError, SiteTrustError
from hpcbake.model.late import dataclass
from hpcbake.model.script import SiteScript, body_sum
from hpcbake.model.site import Login

_REFUSES = b"hpcbake-gate refuses: "


@dataclass(frozen=True)
class Call:
    """What the login is asked to run, and what is sent to it."""

    command: str
    envelope: Envelope


def script_call(login: Login, script: str, secret_stdin: bytes = b"") -> Call:
    """How `script` is run at this login; `secret_stdin` becomes its standard input."""
    if login.gate:
        given = secret_stdin + (b"" if secret_stdin.endswith(b"\n") or not secret_stdin else b"\n")
        return _gated(script, given)
    return Call(REMOTE_COMMAND, wrap_script(script, secret_stdin))


def fed_call(login: Login, script: str) -> Call:
    """How `script` is run at this login with a file after it as its standard input."""
    if login.gate:
        return _gated(script, b"")
    envelope = wrap_fed_script(script)
    return Call(feeding_command(envelope), envelope)


def _gated(script: str, given: bytes) -> Call:
    if not isinstance(script, SiteScript):
        raise BugError("a gate runs the scripts of slurm/site only, by their names")
    nonce = "hpcbake-" + secrets.token_hex(12)
    values = "".join(f"{key} {base64.b64encode(value.encode()).decode()}\n" for key, value in script.values.items())
    command = f"hpcbake-gate 1 {script.name} {body_sum(script.body)} {nonce} {len(values)}"
    return Call(command, Envelope(nonce, values.encode() + given))


def gate_refusal(login: Login, site: str, stderr: bytes) -> SiteTrustError | None:
    """The error for a login that said no at its gate, or that has none where one is declared."""
    if _REFUSES in stderr:
        why = stderr.split(_REFUSES, 1)[1].split(b"\n", 1)[0].decode("utf-8", "backslashreplace")
        return SiteTrustError(
            f"{site}: the gate of this key refuses: {why}",
            remedy=f"where the config or hpcbake has changed: hpcbake sites restrict {site} --install, with a full key"
            if login.gate
            else "write `gate: true` under `login` of the site config, or use a key without a gate",
            kind="ssh.gate",
        )
    if login.gate and b"hpcbake-gate" in stderr:
        return SiteTrustError(
            f"{site}: the login says `gate: true`, and this key opens a shell there",
            remedy=f"restrict the key: hpcbake sites restrict {site} prints the line for authorized_keys",
            kind="ssh.gate",
        )
    return None
