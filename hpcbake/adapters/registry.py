"""A registry over HTTP (the OCI distribution API): manifests, blobs, and the one write that moves a tag.

Everything that comes back is verified: manifests by the digest of their bytes, blobs while they stream. What passes
(429, 5xx, cut connections) is tried again within a deadline; what does not (401, 403, 404) fails at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import urllib3

from hpcbake import __version__
from hpcbake.adapters.credentials import CredentialStore, DockerCredentials
from hpcbake.adapters.registry_auth import Authenticator, Scope, parse_challenges, refused
from hpcbake.adapters.registry_failures import cut_off, error_text, odd_answer, retry_after, wrong_bytes, wrong_size
from hpcbake.adapters.registry_http import Connections, Limits, Passing, read_bounded, retrying
from hpcbake.errors import IntegrityError, RegistryError, RegistryTempError
from hpcbake.image.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    MAX_MANIFEST_BYTES,
    Manifest,
    detect_media_type,
    parse_object,
    verify_bytes,
)
from hpcbake.model.reference import Digest, ImageReference

#: What a processor still has at hand when it has summed it up and begins to unpack it.
_CHUNK_BYTES = 256 * 1024
_ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
#: What a token must allow for each method.
_ACTIONS = {"PUT": "pull,push", "POST": "pull,push", "DELETE": "pull,push,delete"}


class RegistryClient:
    """Talks to any number of registries; safe to use from several threads.

    `plain_http` holds the registries (`host:port`) that speak plain HTTP, or is a function that says so. One on the
    loopback address may do so unasked, as with docker.
    """

    def __init__(
        self,
        *,
        credentials: CredentialStore | None = None,
        plain_http: Container[str] | Callable[[str], bool] = (),
        ca_file: str | None = None,
        user_agent: str = f"hpcbake/{__version__}",
        limits: Limits | None = None,
        proxies: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = limits or Limits()
        self._sleep = sleep
        self._web = Connections(plain_http, ca_file, user_agent, self._limits, proxies or {})
        self._auth = Authenticator(credentials, self._fetch_from_realm)

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        *,
        plain_http: Container[str] | Callable[[str], bool] = (),
        ca_file: str | None = None,
    ) -> RegistryClient:
        """The client that a user at this terminal expects: docker's logins, the usual proxy and CA variables."""
        lower = {name.lower(): value for name, value in environ.items()}
        proxies = {key: lower[f"{key}_proxy"] for key in ("http", "https", "no") if lower.get(f"{key}_proxy")}
        ca_file = ca_file or environ.get("HPCBAKE_CA_FILE") or environ.get("SSL_CERT_FILE")
        credentials = DockerCredentials.from_environment(environ)
        return cls(credentials=credentials, plain_http=plain_http, ca_file=ca_file, proxies=proxies)

    def fetch_manifest(self, ref: ImageReference) -> Manifest:
        """The manifest or index that `ref` names, with the digest of its bytes.

        Raises IntegrityError when the registry serves other bytes than asked for, twice.
        """
        try:
            return self._fetch_manifest(ref)
        except IntegrityError:
            return self._fetch_manifest(ref)

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        """The digest that `ref` stands for now, or None when the registry has no such manifest."""
        status, headers, _ = self._call("HEAD", ref, f"manifests/{_target(ref)}", missing_ok=True)
        if status == 404:
            return None
        stated = headers.get("Docker-Content-Digest", "")
        return Digest(stated) if stated.startswith("sha256:") else self.fetch_manifest(ref).digest

    def head_blob(self, ref: ImageReference, digest: Digest) -> int | None:
        """The size of a blob as the registry states it, or None when it does not have it."""
        status, headers, _ = self._call("HEAD", ref, f"blobs/{digest}", missing_ok=True)
        length = headers.get("Content-Length", "")
        if status == 404:
            return None
        if not length.isdigit():
            raise odd_answer(ref, f"it states no size for blob {digest}")
        return int(length)

    def put_manifest(self, ref: ImageReference, content: bytes, media_type: str) -> Digest:
        """Store a manifest under the tag (or digest) of `ref`, and read it back: an acknowledged push can be lost."""
        digest = Digest.of(content)
        self._call("PUT", ref, f"manifests/{_target(ref)}", body=content, headers={"Content-Type": media_type})
        served = self.head_manifest(ref)
        if served != digest:
            raise RegistryError(
                f"{ref.registry} acknowledged {digest} as {ref} but serves {served or 'nothing'} there",
                remedy="if the registry was garbage-collected while running, restart it; then run again",
                kind="registry.unconfirmed",
            )
        return digest

    def delete_manifest(self, ref: ImageReference) -> None:
        """Give up the manifest with this digest, and with it every tag that names it; one that is gone is fine.

        Raises RegistryError where the registry removes nothing (many do not, unless told to).
        """
        self._call("DELETE", ref, f"manifests/{_target(ref)}", missing_ok=True)

    def push_blob(self, ref: ImageReference, path: Path, digest: Digest) -> bool:
        """Upload a file as a blob unless the registry has it, and ask for it afterwards. True when bytes were sent.

        Raises RegistryError when the registry acknowledges the upload and does not have the blob then.
        """
        size = path.stat().st_size
        if self.head_blob(ref, digest) == size:
            return False
        retrying(
            lambda: self._upload(ref, path, digest, size),
            f"upload of {digest} to {ref.name}",
            self._limits,
            self._sleep,
        )
        if self.head_blob(ref, digest) != size:
            raise RegistryError(
                f"{ref.registry} acknowledged blob {digest} of {ref.repository} but does not serve it",
                remedy="if the registry was garbage-collected while running, restart it; then run again",
                kind="registry.unconfirmed",
            )
        return True

    def speaks_http(self, registry: str) -> bool:
        """Whether a registry is reached without TLS."""
        return self._web.base_url(registry).startswith("http:")

    def open_blob(self, ref: ImageReference, digest: Digest, *, size: int | None = None) -> Iterator[bytes]:
        """The bytes of a blob, verified while they stream.

        A cut connection is resumed where it broke. Raises IntegrityError at the end when the bytes are not the
        digest's, or are more or fewer than `size`: only an iterator that ended by itself delivered the blob.
        """
        checksum, received = hashlib.sha256(), 0
        started, cuts = time.monotonic(), 0
        while True:
            response = self._open(ref, digest, received)
            try:
                for chunk in self._chunks(response, received):
                    received += len(chunk)
                    if size is not None and received > size:
                        raise wrong_size(ref, digest, f"more than {size}", size)
                    checksum.update(chunk)
                    yield chunk
                    self._check_deadline(ref, digest, started, received, size)
                cause = None
            except (urllib3.exceptions.HTTPError, OSError) as failure:
                cause = failure
            finally:
                response.close()
            if cause is None and (size is None or received == size):
                break
            cuts += 1
            if cuts >= self._limits.attempts:
                raise cut_off(ref, digest, received, size, cuts, cause) from cause
            self._sleep(self._limits.backoff_s * cuts)
        if checksum.hexdigest() != digest.hex:
            raise wrong_bytes(ref, digest, checksum.hexdigest(), received, size)

    def _upload(self, ref: ImageReference, path: Path, digest: Digest, size: int) -> None:
        """One upload in one piece: a session is opened, then the whole file goes to where the registry says."""
        with self._send("POST", ref, "blobs/uploads/", {"Content-Length": "0"}, b"") as opened:
            location = opened.headers.get("Location", "")
        if not location:
            raise odd_answer(ref, "it opened an upload and did not say where")
        url = urljoin(f"{self._web.base_url(ref.registry)}/v2/{ref.repository}/blobs/uploads/", location)
        url += ("&" if urlsplit(url).query else "?") + f"digest={digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with path.open("rb") as file:
            self._send("PUT", ref, f"blobs/{digest}", headers, file, url=url).close()

    def _fetch_manifest(self, ref: ImageReference) -> Manifest:
        _, headers, content = self._call("GET", ref, f"manifests/{_target(ref)}")
        stated = headers.get("Docker-Content-Digest", "")
        what = f"manifest {ref}"
        if ref.digest:
            verify_bytes(content, ref.digest, what)
        elif stated.startswith("sha256:"):
            verify_bytes(content, Digest(stated), what)
        document = parse_object(content, what)
        return Manifest(content, detect_media_type(document, headers.get("Content-Type", "")), Digest.of(content))

    def _call(
        self,
        method: str,
        ref: ImageReference,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        missing_ok: bool = False,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One small request with all retries: status, headers, body."""
        accept = {"Accept": _ACCEPT, **(headers or {})}

        def attempt() -> tuple[int, Mapping[str, str], bytes]:
            response = self._send(method, ref, path, accept, body, missing_ok=missing_ok)
            try:
                return response.status, response.headers, read_bounded(response, MAX_MANIFEST_BYTES, str(ref))
            finally:
                response.close()

        return retrying(attempt, f"{method} {path} of {ref.name}", self._limits, self._sleep)

    def _open(self, ref: ImageReference, digest: Digest, offset: int) -> urllib3.BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        path = f"blobs/{digest}"
        return retrying(
            lambda: self._send("GET", ref, path, headers, None), f"GET {path} of {ref.name}", self._limits, self._sleep
        )

    def _chunks(self, response: urllib3.BaseHTTPResponse, offset: int) -> Iterator[bytes]:
        """The body from `offset` on, also when the server ignored the range and starts from the beginning."""
        to_skip = offset if response.status == 200 else 0
        for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
            if to_skip >= len(chunk):
                to_skip -= len(chunk)
            else:
                yield chunk[to_skip:] if to_skip else chunk
                to_skip = 0

    def _send(
        self,
        method: str,
        ref: ImageReference,
        path: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes] | None,
        *,
        missing_ok: bool = False,
        url: str = "",
    ) -> urllib3.BaseHTTPResponse:
        """One attempt: authenticates when asked to, follows redirects, and sorts what the registry answers.

        Raises Passing for what may be tried again, RegistryError for what may not.
        """
        scope = Scope(ref.registry, ref.repository, _ACTIONS.get(method, "pull"))
        url = url or f"{self._web.base_url(ref.registry)}/v2/{ref.repository}/{path}"
        for is_last in (False, True):
            granted = self._auth.find_header(scope)
            sent = {**headers, "Authorization": granted} if granted else dict(headers)
            response = self._follow(method, url, sent, body)
            if response.status != 401 or not (body is None or isinstance(body, bytes)):
                break  # a file that was sent is used up: the session in front of it has settled the login
            challenges = parse_challenges(response.headers.getlist("WWW-Authenticate"))
            response.close()
            self._auth.forget(scope)
            if is_last:
                raise refused(scope, self._auth.describe(scope), "401 unauthorized")
            self._auth.answer(challenges, scope)
        if response.status < 300 or (missing_ok and response.status == 404):
            return response
        try:
            raise self._sort(response, ref, scope, method, path)
        finally:
            response.close()

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | IO[bytes] | None
    ) -> urllib3.BaseHTTPResponse:
        """Send, and go where redirects point; a login never follows to another host."""
        origin = urlsplit(url)
        for _ in range(_MAX_REDIRECTS):
            response = self._web.send(method, url, headers, body)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location or method in ("PUT", "POST", "DELETE"):
                return response
            response.close()
            url = urljoin(url, location)
            there = urlsplit(url)
            if there.scheme not in ("https", origin.scheme):
                raise RegistryError(
                    f"{origin.netloc} redirects to {there.scheme}://{there.netloc}, which is not encrypted",
                    remedy="tell the registry's operator",
                    kind="registry.malformed",
                )
            if there.netloc != origin.netloc:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
        raise RegistryError(
            f"{origin.netloc} redirects in circles", remedy="tell the registry's operator", kind="registry.malformed"
        )

    def _sort(
        self, response: urllib3.BaseHTTPResponse, ref: ImageReference, scope: Scope, method: str, path: str
    ) -> Exception:
        status, detail = response.status, error_text(response)
        if status == 403:
            return refused(scope, self._auth.describe(scope), f"403 forbidden{detail}")
        if status == 404:
            return RegistryError(
                f"{ref.registry} has no {path.partition('/')[0].rstrip('s')} {ref}"
                + (f" ({path.partition('/')[2]})" if path.startswith("blobs/") else ""),
                remedy="check the name, the tag or digest, and that the push has finished",
                kind="registry.not-found",
                evidence={"registry": ref.registry, "repository": ref.repository},
            )
        if status in (408, 425, 429) or (status >= 500 and status not in (501, 505, 507)):
            return Passing(f"{status}{detail}", wait_s=retry_after(response.headers.get("Retry-After")))
        return RegistryError(
            f"{ref.registry} answered {status} to {method} {path} of {ref.repository}{detail}",
            remedy="see the registry's own log for this request",
            kind="registry.refused",
        )

    def _fetch_from_realm(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        def attempt() -> tuple[int, bytes]:
            response = self._follow(method, url, headers, body)
            try:
                if response.status == 429 or response.status >= 500:
                    raise Passing(f"token server: {response.status}", retry_after(response.headers.get("Retry-After")))
                return response.status, read_bounded(response, 1024 * 1024, "token")
            finally:
                response.close()

        return retrying(attempt, f"token from {urlsplit(url).netloc}", self._limits, self._sleep)

    def _check_deadline(
        self, ref: ImageReference, digest: Digest, started: float, received: int, size: int | None
    ) -> None:
        elapsed = time.monotonic() - started
        if elapsed > self._limits.blob_deadline_s:
            raise RegistryTempError(
                f"{ref.registry}: blob {digest} not complete after {elapsed:.0f} s "
                f"({received} of {size if size is not None else 'unknown'} bytes, {received / elapsed / 1e6:.2f} MB/s)",
                remedy="check the network, or raise the limit blob_deadline_s",
                kind="registry.slow",
            )


def _target(ref: ImageReference) -> str:
    return str(ref.digest) if ref.digest else ref.tag or "latest"
