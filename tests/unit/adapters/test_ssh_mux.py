"""Masters of ssh connections that are none, or say no: then nothing was run, and ssh itself is asked."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hpcbake.adapters.ssh_mux import run_over_master

HELLO = struct.pack(">III", 8, 1, 4)


@contextmanager
def master(act: Callable[[socket.socket], None]) -> Iterator[Path]:
    """Something that listens where a master would, and does `act` with whoever comes."""
    with tempfile.TemporaryDirectory(prefix="mux-") as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder, "s")
        server.bind(str(path))
        server.listen(1)

        def serve() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                with client:
                    act(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join()


def after_hello(answer: bytes) -> Callable[[socket.socket], None]:
    """A master that greets rightly, takes the whole request, and answers it so."""

    def act(client: socket.socket) -> None:
        client.recv(12, socket.MSG_WAITALL)
        client.sendall(HELLO)
        (length,) = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))
        left = length + 3  # and a byte with each of the three streams
        while left:
            left -= len(client.recv(left))
        client.sendall(answer)

    return act


def packet(*numbers: int, text: bytes = b"") -> bytes:
    body = b"".join(struct.pack(">I", number) for number in numbers) + text
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    "act",
    [
        lambda client: None,
        lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda client: client.sendall(struct.pack(">I", 0xFFFFFFFF)),
        lambda client: client.sendall(packet(1, 5)),
        lambda client: client.sendall(packet(1)),
        lambda client: client.sendall(struct.pack(">I", 8) + b"\0\0"),
        after_hello(packet(0x80000003, 1, 4, text=b"nope")),
        after_hello(packet(0x80000002, 1, 4, text=b"nope")),
    ],
    ids=["hangs-up", "no-ssh", "endless", "version-5", "short", "cut", "failure", "denied"],
)
def test_where_no_session_is_opened_nothing_was_run(act: Callable[[socket.socket], None]) -> None:
    """The caller goes on with ssh."""
    with master(act) as path:
        assert run_over_master(path, "true", b"x", timeout_s=5) is None


def test_a_socket_that_is_gone(tmp_path: Path) -> None:
    """A file, or nothing at all."""
    (tmp_path / "file").write_text("")
    assert run_over_master(tmp_path / "file", "true", b"", timeout_s=5) is None
    assert run_over_master(tmp_path / "none", "true", b"", timeout_s=5) is None


def test_a_master_that_never_greets_is_not_waited_for() -> None:
    """Up to the deadline at most."""
    held = threading.Event()

    def act(_: socket.socket) -> None:
        held.wait(10)

    with master(act) as path:
        assert run_over_master(path, "true", b"", timeout_s=0.2) is None
        held.set()


@pytest.mark.parametrize(
    "answer", [b"", packet(0x80000006, 2, 0), packet(0x80000006, 1, 0), b"\0\0"], ids=["mute", "other", "dies", "cut"]
)
def test_what_may_have_been_run_is_not_run_again(answer: bytes) -> None:
    """Once it has got the whole request, a master that is gone is a broken connection."""
    with master(after_hello(answer)) as path:
        outcome = run_over_master(path, "true", b"", timeout_s=5)
        assert outcome is not None
        assert outcome.exit_code == 255


def test_a_session_that_is_never_opened_ends_at_the_deadline() -> None:
    """The server may hang; whether it has got the command nobody can tell."""
    held = threading.Event()

    def act(client: socket.socket) -> None:
        after_hello(b"")(client)
        held.wait(10)

    with master(act) as path:
        outcome = run_over_master(path, "true", b"", timeout_s=0.3)
        held.set()
        assert outcome is not None
        assert outcome.exit_code == 124
