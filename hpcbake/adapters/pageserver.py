"""Shows pages to browsers on this machine: loopback alone, GET and HEAD alone, nothing but the pages that there are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from hpcbake.errors import UsageError

#: What a browser on this machine calls it. Another name means that a page from elsewhere has pointed its name here.
_OWN_NAMES = frozenset({"localhost", "127.0.0.1"})
_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    # Kept, and asked about each time: a night may have passed.
    ("Cache-Control", "no-cache, private"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
)


class PageServer:
    """A server of HTML pages. `page` gives the text of a path without its slash (`` is the first page), or None."""

    def __init__(self, page: Callable[[str], str | None], *, port: int = 0) -> None:
        """Port 0 is any that is free. Raises UsageError for one that is taken or not ours to take."""

        class Handler(_Handler):
            find_page = staticmethod(page)

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise UsageError(
                f"port {port} of this machine cannot be listened on: {error.strerror}",
                remedy="name another one: --port N, or leave --port away for any that is free",
            ) from error
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def serve(self) -> None:
        """Serve until `stop`, or until a signal raises."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self._server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """One connection. Who says nothing for long is hung up on."""

    timeout = 15
    protocol_version = "HTTP/1.1"
    server_version = "hpcbake"
    sys_version = ""
    find_page: Callable[[str], str | None]

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def _answer(self, *, has_body: bool) -> None:
        name = (self.headers.get("Host") or "localhost").rsplit(":", 1)[0]
        if name.lower() not in _OWN_NAMES:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        text = self.find_page(unquote(urlsplit(self.path).path).removeprefix("/"))
        if text is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = text.encode("utf-8", "replace")
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        is_known = tag in (self.headers.get("If-None-Match") or "")
        self.send_response(HTTPStatus.NOT_MODIFIED if is_known else HTTPStatus.OK)
        self.send_header("ETag", tag)
        for header, value in _HEADERS:
            self.send_header(header, value)
        if not is_known:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if has_body and not is_known:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who looks at which page is nobody's business."""
