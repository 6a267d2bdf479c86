"""A registry in front of a real one, on loopback: it passes everything on, except what it was told to spoil."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Act = Literal["status", "cut", "flip", "hang", "reset", "swallow"]


@dataclass
class Fault:
    """What happens to requests of this method whose path matches, `times` times (None: always).

    status: answered with `code` and `headers`. cut: half of the body, then the connection ends. flip: one bit of the
    body. hang: the head, then silence. reset: the connection is torn down. swallow: acknowledged, not passed on.
    """

    act: Act
    path: str = ""
    method: str = "GET"
    times: int | None = None
    code: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    #: only for clients whose User-Agent matches
    agent: str = ""
    hits: int = 0


class RegistryProxy:
    """Use it as a context. `address` is its `localhost:PORT`; `requests` what was asked, in order."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.address = f"localhost:{self.port}"

    def __enter__(self) -> RegistryProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def find_fault(self, method: str, path: str, agent: str) -> Fault | None:
        with self.lock:
            self.requests.append(f"{method} {path}")
            for fault in self.faults:
                is_left = fault.times is None or fault.hits < fault.times
                is_meant = fault.method == method and re.search(fault.path, path) and re.search(fault.agent, agent)
                if is_left and is_meant:
                    fault.hits += 1
                    return fault
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                fault = proxy.find_fault(self.command, self.path, self.headers.get("User-Agent", ""))
                if fault is not None and fault.act == "reset":
                    # Linger 0: the other side gets RST, not the end of a stream.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    return
                if fault is not None and fault.act == "status":
                    self._answer(fault.code, {"Content-Type": "application/json", **fault.headers}, b'{"errors":[]}')
                    return
                if fault is not None and fault.act == "swallow":
                    self._answer(201, {}, b"")
                    return
                upstream = http.client.HTTPConnection(proxy._upstream, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                upstream.request(self.command, self.path, body or None, headers)
                answer = upstream.getresponse()
                content = answer.read()
                kept = {
                    name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "date")
                }
                upstream.close()
                self._answer(answer.status, kept, content, fault)

            def _answer(self, code: int, headers: Mapping[str, str], body: bytes, fault: Fault | None = None) -> None:
                self.send_response(code)
                for name, value in headers.items():
                    if name.lower() != "content-length":
                        self.send_header(name, value)
                size = headers.get("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", size or str(len(body)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                if fault is not None and fault.act in ("cut", "hang"):
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    if fault.act == "hang":
                        proxy.ended.wait(600)
                    self.close_connection = True
                    return
                if fault is not None and fault.act == "flip" and body:
                    at = len(body) // 2
                    body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
                self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the requests are kept."""

        return Handler
