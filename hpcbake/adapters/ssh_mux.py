"""A command over a connection of OpenSSH that is open, without a process of `ssh` for it.

The master of a shared connection (ControlPath) listens on a socket and speaks the protocol that OpenSSH describes in
its PROTOCOL.mux, version 4, which every release since 5.4 does. `ssh` itself is such a client; starting it costs more
than a short script does, many times over where sixteen sites are asked at once.

Whatever is not as it should be before the command has begun is left to `ssh`, which knows all about it.
"""

from __future__ import annotations

import array
import os
import selectors
import socket
import struct
import time
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

from hpcbake.model.ports import Outcome

_VERSION = 4
_HELLO = 0x00000001
_NEW_SESSION = 0x10000002
_PERMISSION_DENIED = 0x80000002
_FAILURE = 0x80000003
_EXIT_MESSAGE = 0x80000004
_SESSION_OPENED = 0x80000006
_REQUEST = 1
_NO_ESCAPE = 0xFFFFFFFF
_MAX_PACKET_BYTES = 256 * 1024
_PIECE_BYTES = 64 * 1024
#: A master is a process of this machine.
_GREETING_S = 10.0
#: What `ssh` ends with when the connection breaks, and `timeout` at a deadline.
_BROKEN, _LATE = 255, 124


class _NotOursError(Exception):
    """The master does not answer as the protocol has it."""


class _RefusedError(Exception):
    """The master says no."""


def run_over_master(path: Path, command: str, content: bytes, *, timeout_s: float) -> Outcome | None:
    """Run one command on the connection whose master listens at `path`, with `content` as its standard input.

    None where it was surely not run: no master of that version is there, or it says no. Exit code 255 when the
    connection broke, 124 at the deadline; the session is closed then, as if `ssh` had been killed.
    """
    started = time.monotonic()
    deadline = started + timeout_s
    with ExitStack() as stack:
        control = stack.enter_context(socket.socket(socket.AF_UNIX))
        try:
            control.settimeout(min(_GREETING_S, timeout_s))
            control.connect(str(path))
            _greet(control)
            streams = _ask(control, command, stack)
        except (OSError, _NotOursError, struct.error):
            return None
        try:
            control.settimeout(max(0.001, deadline - time.monotonic()))
            _expect_session(control)
        except _RefusedError:
            return None
        except TimeoutError:
            return Outcome(_LATE, "", "", time.monotonic() - started)
        except (OSError, _NotOursError, struct.error):
            # Whether the server has got the command nobody can tell: it is not run a second time.
            return Outcome(_BROKEN, "", "", time.monotonic() - started)
        exchange = _Exchange(control, streams, content)
        code = exchange.run(deadline)
    return Outcome(code, _decoded(exchange.out), _decoded(exchange.err), time.monotonic() - started)


def _greet(control: socket.socket) -> None:
    _send(control, struct.pack(">II", _HELLO, _VERSION))
    kind, version = struct.unpack_from(">II", _receive(control))
    if (kind, version) != (_HELLO, _VERSION):
        raise _NotOursError


def _ask(control: socket.socket, command: str, stack: ExitStack) -> tuple[FileIO, FileIO, FileIO]:
    """Ask for a session: our ends of the command's standard input, output and error. The last byte makes it whole.

    They are files, not numbers: a number that is closed twice may be another thread's file the second time.
    """
    with ExitStack() as theirs:
        ours, given = [], []
        for is_input in (True, False, False):
            reader, writer = os.pipe()
            own, other = (writer, reader) if is_input else (reader, writer)
            ours.append(stack.enter_context(FileIO(own, "wb" if is_input else "rb")))
            given.append(theirs.enter_context(FileIO(other, "rb" if is_input else "wb")))
        no_terminal, no_x11, no_agent, no_subsystem = 0, 0, 0, 0
        head = struct.pack(">II", _NEW_SESSION, _REQUEST) + _text("")
        flags = struct.pack(">IIIII", no_terminal, no_x11, no_agent, no_subsystem, _NO_ESCAPE)
        _send(control, head + flags + _text("") + _text(command))
        for end in given:
            control.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [end.fileno()]))])
    return ours[0], ours[1], ours[2]


def _expect_session(control: socket.socket) -> None:
    kind, request = struct.unpack_from(">II", _receive(control))
    if kind in (_PERMISSION_DENIED, _FAILURE):
        raise _RefusedError
    if (kind, request) != (_SESSION_OPENED, _REQUEST):
        raise _NotOursError


class _Exchange:
    """Sends what there is to send and takes in both streams and the exit code, whichever comes first."""

    def __init__(self, control: socket.socket, streams: tuple[FileIO, FileIO, FileIO], content: bytes) -> None:
        self.out, self.err = bytearray(), bytearray()
        self._control, self._input = control, streams[0]
        self._left = memoryview(content)
        self._told = bytearray()
        self._code: int | None = None
        self._selector = selectors.DefaultSelector()
        os.set_blocking(self._input.fileno(), False)
        self._selector.register(self._input, selectors.EVENT_WRITE, self._write)
        for stream, taken in zip(streams[1:], (self.out, self.err), strict=True):
            self._selector.register(stream, selectors.EVENT_READ, taken)
        control.setblocking(False)
        self._selector.register(control, selectors.EVENT_READ, self._hear)

    def run(self, deadline: float) -> int:
        """The exit code of the command, once everything has been said."""
        with self._selector:
            while self._selector.get_map():
                ready = self._selector.select(max(0.0, deadline - time.monotonic()))
                if not ready and time.monotonic() >= deadline:
                    return _LATE
                for key, _ in ready:
                    if isinstance(key.data, bytearray):
                        self._take(key, key.data)
                    else:
                        key.data()
        return _BROKEN if self._code is None else self._code

    def _write(self) -> None:
        try:
            if self._left:
                self._left = self._left[os.write(self._input.fileno(), self._left[:_PIECE_BYTES]) :]
        except BlockingIOError:
            return
        except OSError:  # a command that ends without having read everything is no error
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(self._input)
            self._input.close()

    def _take(self, key: selectors.SelectorKey, taken: bytearray) -> None:
        piece = os.read(key.fd, _PIECE_BYTES)
        taken.extend(piece)
        if not piece:
            self._selector.unregister(key.fileobj)

    def _hear(self) -> None:
        """What the master says meanwhile: the exit code; it hangs up when the session is over."""
        try:
            piece = self._control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._told += piece
        while len(self._told) >= 4 and len(self._told) >= 4 + (length := struct.unpack_from(">I", self._told)[0]):
            packet, self._told = bytes(self._told[4 : 4 + length]), self._told[4 + length :]
            if len(packet) >= 12 and struct.unpack_from(">I", packet)[0] == _EXIT_MESSAGE:
                self._code = struct.unpack_from(">I", packet, 8)[0]
        if not piece:
            self._selector.unregister(self._control)


def _send(control: socket.socket, payload: bytes) -> None:
    control.sendall(struct.pack(">I", len(payload)) + payload)


def _receive(control: socket.socket) -> bytes:
    """One packet. Raises OSError, _NotOursError."""
    (length,) = struct.unpack(">I", _exactly(control, 4))
    if length > _MAX_PACKET_BYTES:
        raise _NotOursError
    return _exactly(control, length)


def _exactly(control: socket.socket, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        piece = control.recv(count - len(taken))
        if not piece:
            raise _NotOursError
        taken += piece
    return taken


def _decoded(content: bytearray) -> str:
    return content.decode("utf-8", "backslashreplace")


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack(">I", len(content)) + content
