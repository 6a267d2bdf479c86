"""A registry in a thread, over real HTTP on the loopback address, with faults on demand."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from hpcbake.model.reference import Digest, ImageReference

#: A fault looks at a request and either answers it itself (True) or lets it pass (False).
Fault = Callable[[BaseHTTPRequestHandler], bool]


@dataclass
class FakeRegistry:
    """What the registry holds and what it was asked. `faults` are tried in order before every request."""

    port: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    #: `user:password` that the token realm or Basic auth wants.
    login: str = ""
    auth: str = ""  # "", "basic" or "bearer"

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def ref(self, repository: str = "team/app", tag: str = "1") -> ImageReference:
        return ImageReference(self.host, repository, tag)

    def add_blob(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self.blobs[str(digest)] = content
        return digest

    def add_manifest(
        self,
        document: object,
        *,
        repository: str = "team/app",
        tag: str = "1",
        media_type: str = "application/vnd.oci.image.manifest.v1+json",
    ) -> Digest:
        content = json.dumps(document).encode()
        digest = Digest.of(content)
        self.manifests[repository, tag] = self.manifests[repository, str(digest)] = (media_type, content)
        return digest


@contextmanager
def running_registry() -> Iterator[FakeRegistry]:
    """Serve an empty FakeRegistry until the block ends."""
    registry = FakeRegistry()

    class Handler(_Handler):
        shelf = registry

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shelf: FakeRegistry

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""

    def _serve(self) -> None:
        self.shelf.requests.append(f"{self.command} {self.path}")
        self.shelf.headers.append(dict(self.headers.items()))
        if any(fault(self) for fault in self.shelf.faults):
            return
        path = urlsplit(self.path).path
        if path == "/token":
            self._token()
        elif not self._is_let_in():
            self._ask_for_login()
        elif path == "/v2/":
            self.reply(200, b"{}")
        else:
            self._content(path)

    do_GET = do_HEAD = do_PUT = _serve  # noqa: N815  (the names http.server looks for)

    def reply(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _content(self, path: str) -> None:
        repository, _, rest = path.removeprefix("/v2/").partition("/manifests/")
        if not rest:
            digest = path.rpartition("/")[2]
            content = self.shelf.blobs.get(digest)
            if content is None:
                self._missing("BLOB_UNKNOWN")
            else:
                self._blob(content)
            return
        if self.command == "PUT":
            body = self.rfile.read(int(self.headers["Content-Length"]))
            digest = str(Digest.of(body))
            self.shelf.manifests[repository, rest] = (self.headers["Content-Type"], body)
            self.shelf.manifests[repository, digest] = (self.headers["Content-Type"], body)
            self.reply(201, Docker_Content_Digest=digest)
            return
        found = self.shelf.manifests.get((repository, rest))
        if found is None:
            self._missing("MANIFEST_UNKNOWN")
        else:
            self.reply(200, found[1], Content_Type=found[0], Docker_Content_Digest=str(Digest.of(found[1])))

    def _blob(self, content: bytes) -> None:
        wanted = self.headers.get("Range")
        if wanted and self.command == "GET":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.reply(206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.reply(200, content)

    def _missing(self, code: str) -> None:
        self.reply(404, json.dumps({"errors": [{"code": code, "message": "unknown"}]}).encode())

    def _is_let_in(self) -> bool:
        if not self.shelf.auth:
            return True
        given = self.headers.get("Authorization", "")
        if self.shelf.auth == "basic":
            return given == "Basic " + base64.b64encode(self.shelf.login.encode()).decode()
        return given.startswith("Bearer good-")

    def _ask_for_login(self) -> None:
        if self.command == "PUT":
            self.rfile.read(int(self.headers["Content-Length"]))
        challenge = (
            f'Bearer realm="http://{self.shelf.host}/token",service="fake",scope="repository:x:pull"'
            if self.shelf.auth == "bearer"
            else 'Basic realm="fake"'
        )
        self.reply(401, WWW_Authenticate=challenge)

    def _token(self) -> None:
        wanted = "Basic " + base64.b64encode(self.shelf.login.encode()).decode()
        if self.shelf.login and self.headers.get("Authorization") != wanted:
            self.reply(401)
            return
        scope = parse_qs(urlsplit(self.path).query)["scope"][0]
        self.reply(200, json.dumps({"token": f"good-{scope}", "expires_in": 300}).encode())
