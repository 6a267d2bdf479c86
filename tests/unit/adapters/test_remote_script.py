"""The envelope of a script: whatever a login prints around it, the answer is the script's own."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.adapters.remote_script import Envelope, parse_answer, wrap_script
from hpcbake.errors import BugError
from hpcbake.model.ports import Outcome

NOISE = b"Welcome to the cluster!\n\x1b[31mYour quota is 99 % used\x1b[0m\nhpcbake-0 begin\n"


def answer_of(envelope: Envelope, *, before: bytes = b"", after: bytes = b"", shell: str = "/bin/sh") -> Outcome | None:
    done = subprocess.run([shell, "-s"], input=envelope.content, capture_output=True, check=False)
    return parse_answer(envelope.nonce, before + done.stdout + after, before + done.stderr + after, 1.0)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_the_answer_is_the_scripts_own(shell: str) -> None:
    """Banners before and logout messages after it fall outside; exit code and both streams are the script's."""
    envelope = wrap_script("echo out; echo err >&2; exit 7")
    assert answer_of(envelope, before=NOISE, after=NOISE, shell=shell) == Outcome(7, "out\n", "err\n", 1.0)


@pytest.mark.parametrize("script", ["", ":", "# only a comment", "printf 'no newline'", "printf '\\n\\n'"])
def test_any_script_has_an_answer(script: str) -> None:
    """Also one that says nothing."""
    expected = {"printf 'no newline'": "no newline", "printf '\\n\\n'": "\n\n"}.get(script, "")
    assert answer_of(wrap_script(f":\n{script}")) == Outcome(0, expected, "", 1.0)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0; false", 0), ("false", 1), ("set -e; false; echo no", 1), ("set -u; echo $nothing_of_that_name", 2)],
)
def test_the_end_of_a_script_is_told(script: str, code: int) -> None:
    """However it ends, the envelope outlives it and says how."""
    outcome = answer_of(wrap_script(script))
    assert outcome is not None
    assert (outcome.exit_code != 0) == (code != 0)


def test_a_killed_shell_gives_no_answer() -> None:
    """Without the end line nobody knows how the script ended."""
    assert answer_of(wrap_script("echo begun; kill -9 $$")) is None


def test_half_an_answer_is_none() -> None:
    """A connection that broke in the middle of the end line said nothing."""
    envelope = wrap_script("echo out")
    done = subprocess.run(["/bin/sh", "-s"], input=envelope.content, capture_output=True, check=True)
    for length in range(len(done.stdout) - 1):
        assert parse_answer(envelope.nonce, done.stdout[:length], b"", 0.0) is None


def test_a_script_cannot_fake_its_end() -> None:
    """The nonce is not known to what runs inside, and the last end line counts."""
    outcome = answer_of(wrap_script("echo 'hpcbake-000000 end 0'; exit 5"))
    assert outcome is not None
    assert outcome.exit_code == 5


@pytest.mark.parametrize("secret", [b"s3cret", b" a 'b' \"c\" $(touch owned) `x` \\ ", b"two\nlines\n", "é\n".encode()])
def test_a_secret_reaches_standard_input_as_it_is(secret: bytes) -> None:
    """No shell reads it, and it is in no argv."""
    outcome = answer_of(wrap_script("cat", secret))
    assert outcome is not None
    assert outcome.stdout.encode() == (secret if secret.endswith(b"\n") else secret + b"\n")


def test_without_a_secret_standard_input_is_empty() -> None:
    """A program that reads it does not eat the script."""
    outcome = answer_of(wrap_script("cat; echo after"))
    assert outcome is not None
    assert outcome.stdout == "after\n"


@pytest.mark.parametrize(("script", "secret"), [("\0", b""), ("", b"\0"), ("N end 0", b""), ("", b"N-input")])
def test_what_would_break_the_envelope_is_a_bug(script: str, secret: bytes) -> None:
    """NUL and our own nonce are not sent."""
    with pytest.raises(BugError):
        wrap_script(script, secret, nonce="N")


@given(st.binary(), st.binary())
def test_any_bytes_are_an_answer_or_none(stdout: bytes, stderr: bytes) -> None:
    """What comes back from a login is no crash."""
    parse_answer("N", stdout, stderr, 0.0)
    parse_answer("N", b"\nN begin\n" + stdout + b"\nN end 0\n", stderr, 0.0)
