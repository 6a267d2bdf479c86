"""The server of pages: loopback, GET and HEAD, the pages that there are and no others."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator

import pytest

from hpcbake.adapters.pageserver import PageServer
from hpcbake.errors import UsageError

pytestmark = pytest.mark.stand

PAGES = {"": "<h1>first é</h1>", "runs/a b.html": "<h1>run</h1>"}


@pytest.fixture
def port() -> Iterator[int]:
    server = PageServer(PAGES.get)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield int(server.url.rsplit(":", 1)[1].rstrip("/"))
    finally:
        server.stop()
        thread.join()


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_a_page_comes_with_its_type(port: int) -> None:
    """And is asked about at every look."""
    status, headers, body = ask(port, "GET", "/")
    assert (status, body.decode()) == (200, PAGES[""])
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache, private"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(port, "GET", "/runs/a%20b.html?x=1")[0] == 200


def test_a_page_that_has_not_changed_is_not_sent_again(port: int) -> None:
    """The browser shows what it has."""
    tag = ask(port, "GET", "/")[1]["ETag"]
    assert ask(port, "GET", "/", If_None_Match=tag)[::2] == (304, b"")
    assert ask(port, "GET", "/", If_None_Match='"other"')[0] == 200


def test_head_is_get_without_the_page(port: int) -> None:
    """With the same length."""
    status, headers, body = ask(port, "HEAD", "/")
    assert (status, headers["Content-Length"], body) == (200, str(len(PAGES[""].encode())), b"")


@pytest.mark.parametrize("path", ["/runs/", "/runs", "/../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd", "/index"])
def test_there_are_no_other_pages(port: int, path: str) -> None:
    """No listing, no file of this machine."""
    status, _, body = ask(port, "GET", path)
    assert status == 404
    assert b"root:" not in body


def test_nothing_can_be_written(port: int) -> None:
    """Any other method is not there."""
    assert {ask(port, method, "/")[0] for method in ("POST", "PUT", "DELETE", "OPTIONS")} == {501}


def test_another_name_is_refused(port: int) -> None:
    """A page from elsewhere that points its own name at this machine reads nothing."""
    assert ask(port, "GET", "/", Host="evil.example.org")[0] == 421
    assert ask(port, "GET", "/", Host=f"localhost:{port}")[0] == 200


def test_a_port_that_is_taken_is_told(port: int) -> None:
    """With what to do."""
    with pytest.raises(UsageError, match=f"port {port}"):
        PageServer(PAGES.get, port=port)
