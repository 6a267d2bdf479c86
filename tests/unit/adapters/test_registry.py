"""The registry client against a real HTTP server: what it verifies, what it retries, what it refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from hpcbake.adapters.credentials import Credential
from hpcbake.adapters.registry import RegistryClient
from hpcbake.adapters.registry_http import Limits, is_loopback
from hpcbake.errors import IntegrityError, RegistryError, RegistryTempError
from hpcbake.model.reference import Digest
from tests.fake_registry import FakeRegistry, Fault, running_registry

#: A busy machine may answer late; who waits for nothing is another matter.
QUICK = Limits(attempts=3, backoff_s=0.001, progress_timeout_s=10, connect_timeout_s=10)
HASTY = replace(QUICK, progress_timeout_s=0.2)
MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}


class OneLogin:
    """A credential store with one login."""

    def __init__(self, username: str = "ada", secret: str = "s3cret-value") -> None:
        self.credential = Credential(username, secret, "a test")

    def find(self, registry: str) -> Credential | None:
        return self.credential


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_registry() as running:
        yield running


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def client(naps: list[float]) -> RegistryClient:
    return RegistryClient(limits=QUICK, sleep=naps.append)


def answering(status: int, times: int = 10**6, **headers: str) -> Fault:
    """A fault that answers the next requests (not the ping) with `status`."""
    left = [times]

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        if handler.path == "/v2/" or not left[0]:
            return False
        left[0] -= 1
        handler.reply(status, b"", **headers)  # type: ignore[attr-defined]
        return True

    return fault


def cutting(after: int, times: int = 10**6) -> Fault:
    """A fault that promises a whole blob and closes the connection after some bytes."""
    left = [times]

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        if "/blobs/" not in handler.path or not left[0]:
            return False
        left[0] -= 1
        shelf: FakeRegistry = handler.shelf  # type: ignore[attr-defined]
        content = shelf.blobs[handler.path.rpartition("/")[2]]
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + after])
        handler.close_connection = True
        return True

    return fault


def test_manifest_comes_with_the_digest_of_its_bytes(registry: FakeRegistry, client: RegistryClient) -> None:
    """A manifest by tag says what it is and which digest it has."""
    digest = registry.add_manifest(MANIFEST)
    manifest = client.fetch_manifest(registry.ref())
    assert (manifest.digest, manifest.media_type) == (digest, MANIFEST["mediaType"])
    assert json.loads(manifest.content) == MANIFEST
    assert client.head_manifest(registry.ref()) == digest


def test_manifest_that_is_not_its_digest_is_refused(registry: FakeRegistry, client: RegistryClient) -> None:
    """A registry that serves other bytes under a digest is caught, after one more try."""
    digest = registry.add_manifest(MANIFEST)
    registry.manifests["team/app", str(digest)] = ("application/json", b'{"layers": [], "x": 1}')
    with pytest.raises(IntegrityError, match=str(digest)):
        client.fetch_manifest(registry.ref().with_digest(digest))
    assert sum("manifests" in request for request in registry.requests) == 2


def test_blob_streams_whole(registry: FakeRegistry, client: RegistryClient) -> None:
    """A blob of several chunks arrives byte for byte, and its size is known beforehand."""
    content = bytes(range(256)) * 12_000
    digest = registry.add_blob(content)
    assert b"".join(client.open_blob(registry.ref(), digest, size=len(content))) == content
    assert client.head_blob(registry.ref(), digest) == len(content)


@pytest.mark.parametrize("size_known", [True, False])
def test_flipped_blob_is_an_integrity_error(registry: FakeRegistry, client: RegistryClient, size_known: bool) -> None:
    """One flipped bit is found although the size is right."""
    content = b"x" * 5000
    digest = registry.add_blob(content)
    registry.blobs[str(digest)] = b"x" * 2500 + b"y" + b"x" * 2499
    with pytest.raises(IntegrityError, match=f"{digest} expected"):
        list(client.open_blob(registry.ref(), digest, size=len(content) if size_known else None))


@pytest.mark.parametrize("length", [0, 4999, 5001])
def test_blob_of_wrong_length_is_an_integrity_error(
    registry: FakeRegistry, client: RegistryClient, length: int
) -> None:
    """A server that holds (and cleanly serves) fewer or more bytes than the manifest says is caught."""
    digest = registry.add_blob(b"x" * 5000)
    registry.blobs[str(digest)] = b"x" * length
    with pytest.raises(IntegrityError):
        list(client.open_blob(registry.ref(), digest, size=5000))


def test_cut_blob_is_resumed(registry: FakeRegistry, client: RegistryClient) -> None:
    """A connection that breaks twice costs two more requests, not the blob."""
    content = bytes(range(256)) * 40
    digest = registry.add_blob(content)
    registry.faults.append(cutting(after=3000, times=2))
    assert b"".join(client.open_blob(registry.ref(), digest, size=len(content))) == content
    assert [headers.get("Range") for headers in registry.headers[-2:]] == ["bytes=3000-", "bytes=6000-"]


def test_cut_blob_without_ranges_starts_over(registry: FakeRegistry, client: RegistryClient) -> None:
    """A server that ignores Range sends everything again; the bytes already seen are skipped."""
    content = bytes(range(256)) * 40
    digest = registry.add_blob(content)

    def no_range(handler: BaseHTTPRequestHandler) -> bool:
        del handler.headers["Range"]
        return False

    registry.faults += [cutting(after=3000, times=1), no_range]
    assert b"".join(client.open_blob(registry.ref(), digest, size=len(content))) == content


def test_blob_that_always_breaks_gives_up(registry: FakeRegistry, client: RegistryClient) -> None:
    """After all attempts the failure is a passing one that says how far it came."""
    digest = registry.add_blob(b"x" * 10_000)
    registry.faults.append(cutting(after=10))
    with pytest.raises(RegistryTempError, match="30 of 10000 bytes"):
        list(client.open_blob(registry.ref(), digest, size=10_000))


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_passing_trouble_is_retried(registry: FakeRegistry, client: RegistryClient, status: int) -> None:
    """Two failures of the passing kind do not fail a fetch."""
    digest = registry.add_manifest(MANIFEST)
    registry.faults.append(answering(status, times=2))
    assert client.fetch_manifest(registry.ref()).digest == digest


def test_retry_after_is_honoured_and_capped(registry: FakeRegistry, client: RegistryClient, naps: list[float]) -> None:
    """The client waits as long as it is told to, but never more than the cap."""
    registry.add_manifest(MANIFEST)
    registry.faults += [answering(429, times=1, Retry_After="7"), answering(429, times=1, Retry_After="99999")]
    client.fetch_manifest(registry.ref())
    assert naps == [7.0, 60.0]


def test_lasting_trouble_says_what_and_how_often(registry: FakeRegistry, client: RegistryClient) -> None:
    """When retries are used up the error names the status and the attempts."""
    registry.faults.append(answering(429))
    with pytest.raises(RegistryTempError, match=r"429.*3 attempts") as caught:
        client.fetch_manifest(registry.ref())
    assert caught.value.kind == "registry.rate-limited"


def test_silent_server_ends_by_its_deadline(registry: FakeRegistry, naps: list[float]) -> None:
    """A server that accepts and never answers costs the progress timeout, not for ever."""

    def hang(handler: BaseHTTPRequestHandler) -> bool:
        if handler.path != "/v2/":
            time.sleep(0.3)
        return False

    registry.faults.append(hang)
    with pytest.raises(RegistryTempError, match="timed out"):
        RegistryClient(limits=HASTY, sleep=naps.append).fetch_manifest(registry.ref())


@pytest.mark.parametrize(("status", "kind"), [(403, "registry.unauthorized"), (404, "registry.not-found")])
def test_refusals_are_not_retried(registry: FakeRegistry, client: RegistryClient, status: int, kind: str) -> None:
    """A clear no is asked for once."""
    registry.faults.append(answering(status))
    with pytest.raises(RegistryError) as caught:
        client.fetch_manifest(registry.ref())
    assert caught.value.kind == kind
    assert sum("manifests" in request for request in registry.requests) == 1


def test_absent_things_are_none_when_only_asked_about(registry: FakeRegistry, client: RegistryClient) -> None:
    """head_* answers None for what is not there."""
    assert client.head_manifest(registry.ref()) is None
    assert client.head_blob(registry.ref(), Digest.of(b"nothing")) is None


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_login_is_used_when_asked_for(registry: FakeRegistry, naps: list[float], auth: str) -> None:
    """Basic and Bearer registries let a known user in; a token is fetched once for many requests."""
    digest = registry.add_manifest(MANIFEST)
    registry.auth, registry.login = auth, "ada:s3cret-value"
    client = RegistryClient(credentials=OneLogin(), limits=QUICK, sleep=naps.append)
    assert client.fetch_manifest(registry.ref()).digest == digest
    assert client.head_manifest(registry.ref()) == digest
    assert sum(request.startswith("GET /token") for request in registry.requests) == (auth == "bearer")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_wrong_login_is_named_but_never_shown(registry: FakeRegistry, auth: str) -> None:
    """The error names registry, repository and where the login came from; the secret is nowhere in it."""
    registry.auth, registry.login = auth, "ada:other"
    client = RegistryClient(credentials=OneLogin(), limits=QUICK)
    with pytest.raises(RegistryError, match=r"localhost:.*team/app.*a test") as caught:
        client.fetch_manifest(registry.ref())
    said = (
        f"{caught.value!r} {caught.value.message} {caught.value.evidence} {caught.value.remedy} {OneLogin().credential}"
    )
    assert "s3cret-value" not in said


def test_login_does_not_follow_a_redirect_to_another_host(registry: FakeRegistry) -> None:
    """Blobs often live elsewhere; the registry's login must not go there."""
    content = b"payload"
    digest = registry.add_blob(content)
    registry.auth, registry.login = "basic", "ada:s3cret-value"
    with running_registry() as elsewhere:
        elsewhere.add_blob(content)

        def away(handler: BaseHTTPRequestHandler) -> bool:
            if "/blobs/" not in handler.path or "Authorization" not in handler.headers:
                return False
            handler.reply(307, b"", Location=f"http://{elsewhere.host}{handler.path}")  # type: ignore[attr-defined]
            return True

        registry.faults.append(away)
        client = RegistryClient(credentials=OneLogin(), limits=QUICK)
        assert b"".join(client.open_blob(registry.ref(), digest, size=7)) == content
        assert all("Authorization" not in headers for headers in elsewhere.headers)


def test_put_moves_a_tag_and_reads_it_back(registry: FakeRegistry, client: RegistryClient) -> None:
    """A tag points at the new manifest afterwards."""
    registry.add_manifest(MANIFEST)
    content = json.dumps({**MANIFEST, "annotations": {"a": "b"}}).encode()
    digest = client.put_manifest(registry.ref(), content, "application/vnd.oci.image.manifest.v1+json")
    assert client.head_manifest(registry.ref()) == digest == Digest.of(content)


def test_put_that_is_acknowledged_but_lost_is_noticed(registry: FakeRegistry, client: RegistryClient) -> None:
    """A registry may say 201 and keep nothing: that is a failure."""

    def lose(handler: BaseHTTPRequestHandler) -> bool:
        if handler.command != "PUT":
            return False
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.reply(201)  # type: ignore[attr-defined]
        return True

    registry.faults.append(lose)
    with pytest.raises(RegistryError, match="serves nothing") as caught:
        client.put_manifest(registry.ref(), b"{}", "application/vnd.oci.image.manifest.v1+json")
    assert caught.value.kind == "registry.unconfirmed"


def test_unreachable_registry_is_a_passing_failure(client: RegistryClient) -> None:
    """Nobody listens: said as such, after the retries."""
    with running_registry() as gone:
        ref = gone.ref()
    with pytest.raises(RegistryTempError, match="refused"):
        client.fetch_manifest(ref)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:80", True),
        ("127.8.9.1", True),
        ("[::1]:5000", True),
        ("registry.localhost:1", True),
        ("10.0.0.1:5000", False),
        ("localhost.example.org", False),
        ("127.example.org", False),
    ],
)
def test_only_this_machine_may_fall_back_to_http(host: str, expected: bool) -> None:
    """Plain HTTP unasked is for loopback names only."""
    assert is_loopback(host) is expected
