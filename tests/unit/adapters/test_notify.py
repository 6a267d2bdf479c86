"""Telling addresses of runs, against a real HTTP server on loopback that takes, refuses, fails, hangs or is gone."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
from pathlib import Path

import pytest

from hpcbake.adapters.notify import Delivery, Message, Notifier
from hpcbake.model.notification import Address, SecretSource
from tests.hook_server import Hook, serving

pytestmark = pytest.mark.stand


def send(message: Message, *, patience_s: float = 60.0, **environment: str) -> Delivery:
    notifier = Notifier(environment, user_agent="hpcbake/0", first_wait_s=0.01)
    (delivery,) = notifier.send([message], give_up_after_s=patience_s)
    return delivery


def message(url: str, **more: object) -> Message:
    values: dict[str, object] = {"body": b'{"a": 1}', "timeout_s": 30.0, **more}
    return Message("chat", "failed", Address(url), **values)  # type: ignore[arg-type]


def test_a_message_arrives_as_it_is() -> None:
    """One POST with the body, the headers and who asks."""
    with serving(Hook()) as hook:
        delivery = send(message(hook.url, headers=(("Content-Type", "application/json"),)))
    assert (delivery.problem, delivery.attempts) == ("", 1)
    ((method, path, headers, body),) = hook.requests
    assert (method, path, body) == ("POST", "/hook/secret-part", b'{"a": 1}')
    assert (headers["User-Agent"], headers["Content-Type"]) == ("hpcbake/0", "application/json")


def test_a_ping_is_a_get_below_the_address() -> None:
    """What is asked for of the address stays asked for."""
    with serving(Hook()) as hook:
        assert send(message(hook.url + "?rid=1", body=None, path="/fail")).problem == ""
    assert [request[:2] for request in hook.requests] == [("GET", "/hook/secret-part/fail?rid=1")]


def test_what_passes_is_tried_again() -> None:
    """Two failures of the server cost two more attempts, and nothing else."""
    with serving(Hook([503, 500, 204])) as hook:
        delivery = send(message(hook.url))
    assert (delivery.problem, delivery.attempts, len(hook.requests)) == ("", 3, 3)
    assert len({request[3] for request in hook.requests}) == 1


def test_a_server_that_only_fails_is_given_up() -> None:
    """After a handful of attempts."""
    with serving(Hook([500])) as hook:
        delivery = send(message(hook.url))
    assert (delivery.problem, delivery.attempts) == ("answered 500", 5)


@pytest.mark.parametrize(("status", "says"), [(404, "answered 404"), (401, "answered 401"), (302, "not followed")])
def test_a_refusal_is_final(status: int, says: str) -> None:
    """A second try would hear the same; a redirect is not followed with secrets in hand."""
    with serving(Hook([status])) as hook:
        delivery = send(message(hook.url))
    assert says in delivery.problem
    assert len(hook.requests) == 1


def test_the_servers_wish_to_wait_is_heeded_within_the_deadline() -> None:
    """A wait beyond it ends the matter at once."""
    with serving(Hook([429], retry_after="3000")) as hook:
        delivery = send(message(hook.url))
    assert (delivery.problem, len(hook.requests)) == ("answered 429", 1)


def test_a_server_that_hangs_is_left() -> None:
    """It takes the connection and says nothing: all patience together is bounded."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        delivery = send(message(url), patience_s=0.5)
    assert delivery.problem
    assert "secret" not in delivery.problem


def test_a_server_that_drips_is_left() -> None:
    """A byte now and then is no answer."""
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        delivery = send(message(f"http://127.0.0.1:{listener.getsockname()[1]}/x"), patience_s=0.5)
        stop.set()
        thread.join()
    assert delivery.problem


def test_an_address_that_is_gone_is_named_by_its_cause() -> None:
    """In our words: those of a library hold the address, which may be the secret."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    delivery = send(message(f"http://127.0.0.1:{port}/hook/secret-part"))
    assert (delivery.problem, delivery.attempts) == ("connection refused", 5)


def test_one_address_does_not_hold_up_another() -> None:
    """All are told at once."""
    with serving(Hook()) as hook, socket.create_server(("127.0.0.1", 0)) as listener:
        hanging = message(f"http://127.0.0.1:{listener.getsockname()[1]}/x", timeout_s=0.2)
        notifier = Notifier({}, user_agent="hpcbake/0", first_wait_s=0.01)
        slow, quick = notifier.send([hanging, message(hook.url)], give_up_after_s=60.0)
    assert (bool(slow.problem), quick.problem) == (True, "")


def test_secrets_come_from_variables_and_files(tmp_path: Path) -> None:
    """The address, a header's value and the key of the signature; white space around them is not meant."""
    (tmp_path / "key").write_text("k3y\n")
    (tmp_path / "token").write_text("Bearer t0ken\n")
    with serving(Hook()) as hook:
        delivery = send(
            Message(
                "chat",
                "failed",
                Address(source=SecretSource("HOOK")),
                b"body",
                secret_headers=(("Authorization", SecretSource(file=str(tmp_path / "token"))),),
                secret=SecretSource(file=str(tmp_path / "key")),
            ),
            HOOK=hook.url,
        )
    assert delivery.problem == ""
    ((_, _, headers, body),) = hook.requests
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["X-Hpcbake-Signature"] == "sha256=" + hmac.new(b"k3y", body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (SecretSource("GONE"), "$GONE is not set"),
        (SecretSource("TWO"), "$TWO holds more than one line"),
        (SecretSource("WORD"), "$WORD holds no http or https address"),
        (SecretSource(file="/nowhere/x"), "file /nowhere/x cannot be read: No such file"),
        (SecretSource(file="/"), "cannot be read"),
    ],
)
def test_a_secret_that_is_not_there_is_told_by_its_place(source: SecretSource, says: str) -> None:
    """And never by itself; nothing is tried again."""
    delivery = send(Message("a", "failed", Address(source=source), b""), TWO="se\ncret", WORD="secret")
    assert says in delivery.problem
    assert "secret" not in delivery.problem
    assert delivery.attempts == 1


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Not tried again, and not taken for the address's fault."""
    (tmp_path / "ca.pem").write_text("nothing")
    for path in (tmp_path / "ca.pem", tmp_path / "gone.pem"):
        delivery = send(message("https://127.0.0.1:1/"), HPCBAKE_CA_FILE=str(path))
        assert delivery.problem.startswith(f"HPCBAKE_CA_FILE ({path}) cannot be read: ")
        assert delivery.attempts == 1
