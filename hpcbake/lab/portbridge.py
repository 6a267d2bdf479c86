"""Carries the lab's ports from this machine's loopback into the private engine's network namespace.

Run as `python -m hpcbake.lab.portbridge ENGINE-PID PORT...` by the lab itself. The sockets are bound first, in the
namespace where the user is; then the process moves into the engine's namespace and connects from there. It ends when
the engine ends, however that happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_CHUNK = 256 * 1024


def main(argv: list[str]) -> int:
    """Serve until the engine's process ends."""
    engine_pid, *ports = [int(text) for text in argv]
    engine = os.pidfd_open(engine_pid)
    listeners = {port: _listen(port) for port in ports}
    _enter_network_of(engine_pid)
    print("ready", flush=True)  # noqa: T201  (the one line that the starter waits for)
    asyncio.run(serve(listeners, engine))
    return 0


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _enter_network_of(pid: int) -> None:
    # os.setns exists from Python 3.12 only.
    with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"setns: {os.strerror(code)}")


async def serve(listeners: dict[int, socket.socket], engine: int) -> None:
    """Carry connections from each listener to its port number inside, until the descriptor `engine` is readable."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(engine, over.set)  # a pidfd becomes readable when its process ends
    loop.add_signal_handler(signal.SIGTERM, over.set)
    for port, listener in listeners.items():
        await asyncio.start_server(partial(_carry, port), sock=listener, limit=_CHUNK)
    await over.wait()


async def _carry(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
    except OSError:
        writer.transport.abort()  # nobody listens inside: the caller sees a reset, as it would without a bridge
        return
    for side in (writer, far_writer):
        side.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        for side in (writer, far_writer):
            side.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of the stream, and hand the end on: each direction ends by itself."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
