"""How a script reaches a login with a gate, and what its refusals are turned into."""

from __future__ import annotations

import base64

import pytest

from hpcbake.adapters.gate import fed_call, gate_refusal, script_call
from hpcbake.errors import BugError, SiteTrustError
from hpcbake.model.script import body_sum
from hpcbake.model.site import Login
from hpcbake.sites.scripts import render_site_script

GATED = Login("alder", gate=True)
SCRIPT = render_site_script("hello", root="/it's $HOME", run="x")


def test_no_text_of_a_script_travels() -> None:
    """Only its name, its sum, and its values in base64, of which the gate is told the length."""
    call = script_call(GATED, SCRIPT, b"user\npassword")
    word, version, name, digest, nonce, length = call.command.split(" ")
    assert (word, version, name, digest) == ("hpcbake-gate", "1", "hello", body_sum(SCRIPT.body))
    values, rest = call.envelope.content[: int(length)], call.envelope.content[int(length) :]
    assert f"root {base64.b64encode(b'/it' + bytes([39]) + b's $HOME').decode()}\n".encode() in values
    assert rest == b"user\npassword\n"
    assert call.envelope.nonce == nonce
    assert b"say hello" not in call.envelope.content


def test_a_file_follows_the_values() -> None:
    """Nothing stands between them: the script reads the file's bytes from its first."""
    call = fed_call(GATED, SCRIPT)
    assert len(call.envelope.content) == int(call.command.rsplit(" ", 1)[1])


def test_a_text_without_a_name_cannot_pass() -> None:
    """A gate runs what it knows; anything else here is a mistake of ours."""
    with pytest.raises(BugError):
        script_call(GATED, "id")


def test_without_a_gate_nothing_changes() -> None:
    """The shell gets the script's text, as ever."""
    call = script_call(Login("alder"), SCRIPT)
    assert call.command == "exec /bin/sh -s"
    assert b"say hello" in call.envelope.content


@pytest.mark.parametrize(
    ("login", "stderr", "said"),
    [
        (GATED, b"motd\nhpcbake-gate refuses: value `root` is not it\n", "restrict alder --install"),
        (Login("alder"), b"hpcbake-gate refuses: this key runs\n", "gate: true"),
        (GATED, b"sh: 1: hpcbake-gate: not found\n", "restrict the key"),
    ],
)
def test_a_refusal_says_what_to_do(login: Login, stderr: bytes, said: str) -> None:
    """Each of the three ways to disagree has its own remedy."""
    refusal = gate_refusal(login, "alder", stderr)
    assert isinstance(refusal, SiteTrustError)
    assert refusal.kind == "ssh.gate"
    assert said in refusal.remedy


def test_other_errors_are_not_the_gates() -> None:
    """A broken connection stays one."""
    assert gate_refusal(Login("alder"), "alder", b"Connection reset") is None
    assert gate_refusal(GATED, "alder", b"Connection reset") is None
