"""The HTTP under the registry client: connections, http or https, timeouts, and what is worth another try."""

from __future__ import annotations

import ipaddress
import logging
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Container, Mapping
from typing import IO, TypeVar
from urllib.parse import urlsplit

import urllib3

from hpcbake.errors import RegistryError, RegistryTempError
from hpcbake.model.late import dataclass
from hpcbake.model.reference import SERVERS

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How patient the client is. `attempts` counts the first one too."""

    attempts: int = 4
    backoff_s: float = 0.5
    max_wait_s: float = 60.0
    connect_timeout_s: float = 10.0
    #: No byte for so long ends an attempt.
    progress_timeout_s: float = 30.0
    #: After the last byte of an upload the registry sums it up and moves it to its place, which takes its time.
    upload_timeout_s: float = 300.0
    #: For one small request with all its retries.
    request_deadline_s: float = 180.0
    #: For one blob with all its resumptions.
    blob_deadline_s: float = 3600.0


class Passing(Exception):  # noqa: N818  (not an error yet)
    """Something that may be over on the next try; `wait_s` is what the server asked for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class Connections:
    """Connection pools, and per registry whether it speaks https or http."""

    def __init__(
        self,
        plain_http: Container[str] | Callable[[str], bool],
        ca_file: str | None,
        user_agent: str,
        limits: Limits,
        proxies: Mapping[str, str],
    ) -> None:
        self._is_plain = plain_http if callable(plain_http) else plain_http.__contains__
        self._user_agent = user_agent
        self._limits = limits
        self._proxies = dict(proxies)
        self._ca_file = ca_file
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._schemes: dict[str, str] = {}
        self._lock = threading.Lock()

    def base_url(self, registry: str) -> str:
        """`https://host` or `http://host` for a registry, found out once."""
        with self._lock:
            scheme = self._schemes.get(registry)
        if scheme is None:
            if self._is_plain(registry):
                scheme = "http"
            else:
                scheme = "http" if is_loopback(registry) and self._speaks_http(registry) else "https"
            with self._lock:
                self._schemes[registry] = scheme
        return f"{scheme}://{SERVERS.get(registry, registry)}"

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | IO[bytes] | None
    ) -> urllib3.BaseHTTPResponse:
        """One request, its body not read yet. Raises Passing, or RegistryError for a certificate we cannot trust."""
        limits = self._limits
        is_upload = body is not None and not isinstance(body, bytes)
        read_timeout_s = limits.upload_timeout_s if is_upload else limits.progress_timeout_s
        try:
            response = self._pool(url).request(
                method,
                url,
                headers={"User-Agent": self._user_agent, **headers},
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=limits.connect_timeout_s, read=read_timeout_s),
            )
            # What follows a question mark may be a signature that opens the door.
            _LOG.debug("%s %s: %d", method, url.partition("?")[0], response.status)
            return response
        except urllib3.exceptions.SSLError as cause:
            raise _sort_tls_failure(url, cause) from cause
        except (urllib3.exceptions.LocationValueError, urllib3.exceptions.LocationParseError) as cause:
            raise RegistryError(
                f"{url!r} is not a web address",
                remedy="write the registry as HOST or HOST:PORT",
                kind="registry.malformed",
            ) from cause
        except urllib3.exceptions.HTTPError as cause:
            raise Passing(_reason(cause)) from cause

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme, "")
        host = parts.netloc.rpartition("@")[2]
        if proxy and (is_loopback(host) or urllib.request.proxy_bypass_environment(host, self._proxies)):  # type: ignore[attr-defined]
            proxy = ""
        with self._lock:
            key = (parts.scheme, proxy)
            if key not in self._pools:
                # Reading the system's authorities takes 30 ms, which a plain HTTP registry need not cost.
                tls = _tls_context(self._ca_file) if parts.scheme == "https" or proxy.startswith("https") else None
                self._pools[key] = (
                    urllib3.ProxyManager(proxy, ssl_context=tls, maxsize=8)
                    if proxy
                    else urllib3.PoolManager(ssl_context=tls, maxsize=8)
                )
            return self._pools[key]

    def _speaks_http(self, registry: str) -> bool:
        """Ask a loopback registry without any login. A TLS server answers 400 or nothing that is HTTP.

        Docker asks the other way round; this order cannot hang on a plain server that waits for the end of a line.
        """
        try:
            response = self.send("GET", f"http://{registry}/v2/", {}, None)
        except Passing as passing:
            if "refused" in passing.reason or "timed out" in passing.reason:
                raise
            return False
        response.close()
        return response.status != 400


def is_loopback(registry: str) -> bool:
    """Whether a registry host (`localhost:5000`, `127.0.0.2`, `[::1]:5000`) is this very machine."""
    try:
        host = urlsplit(f"//{registry}").hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def retrying(attempt: Callable[[], T], what: str, limits: Limits, sleep: Callable[[float], None]) -> T:
    """Call `attempt` until it stops raising Passing; then RegistryTempError with what was seen, how often, how long."""
    started = time.monotonic()
    try:
        return attempt()
    except Passing as passing:
        return _again(attempt, passing, started, what, limits, sleep)


def _again(
    attempt: Callable[[], T], first: Passing, started: float, what: str, limits: Limits, sleep: Callable[[float], None]
) -> T:
    """Go on after a first attempt that failed. It counts as one of the attempts, and its time as theirs."""
    import tenacity  # not above: most calls are answered at once, and it takes longer to load than they take

    failures = [first]

    def next_attempt() -> T:
        if failures:
            raise failures.pop()
        return attempt()

    jitter = tenacity.wait_random_exponential(multiplier=limits.backoff_s, max=limits.max_wait_s)

    def wait(state: tenacity.RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.wait_s if isinstance(failure, Passing) else None
        return jitter(state) if asked is None else min(asked, limits.max_wait_s)

    retry = tenacity.Retrying(
        reraise=True,
        retry=tenacity.retry_if_exception_type(Passing),
        stop=tenacity.stop_any(
            tenacity.stop_after_attempt(limits.attempts),
            tenacity.stop_before_delay(max(0.0, limits.request_deadline_s - (time.monotonic() - started))),
        ),
        wait=wait,
        sleep=sleep,
    )
    try:
        return retry(next_attempt)
    except Passing as passing:
        tries = int(retry.statistics.get("attempt_number", 1))
        raise RegistryTempError(
            f"{what}: {passing.reason}; gave up after {tries} attempts in {time.monotonic() - started:.1f} s",
            remedy="run again when the registry answers",
            kind="registry.rate-limited" if passing.reason.startswith("429") else "registry.unavailable",
        ) from passing


def read_bounded(response: urllib3.BaseHTTPResponse, limit: int, what: str) -> bytes:
    """The body, up to `limit` bytes. Raises Passing when the connection breaks, RegistryError beyond the limit."""
    try:
        content = response.read(limit + 1, decode_content=True)
    except (urllib3.exceptions.HTTPError, OSError) as cause:
        raise Passing(f"broke off while reading: {_reason(cause)}") from cause
    if len(content) > limit:
        raise RegistryError(
            f"{what}: the answer is larger than {limit} bytes",
            remedy="check that the reference names a container image",
            kind="registry.malformed",
        )
    return content


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The system's trusted authorities, and those of `ca_file` beside them."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as cause:
            raise RegistryError(
                f"certificates in {ca_file} cannot be read: {cause}",
                remedy="name a PEM file with the authority that signed the registry's certificate",
                kind="registry.tls",
            ) from cause
    return context


def _reason(cause: Exception) -> str:
    """One phrase without object addresses for what urllib3 raises."""
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "the host name does not resolve"
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return "connection refused" if "refused" in str(cause) else "cannot connect"
    if isinstance(cause, urllib3.exceptions.TimeoutError):
        return "timed out"
    return f"{type(cause).__name__}: {str(cause)[:200]}"


def _sort_tls_failure(url: str, cause: Exception) -> RegistryError | Passing:
    host = urlsplit(url).netloc
    text = str(cause)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "HTTP_REQUEST" in text:
        return RegistryError(
            f"{host} does not speak TLS",
            remedy=f"if it is a plain HTTP registry that you trust, say so: list {host} under plain_http",
            kind="registry.tls",
        )
    if "CERTIFICATE" not in text.upper() and "hostname" not in text.lower():
        return Passing(f"TLS broke off: {text[:200]}")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return RegistryError(
        f"the TLS certificate of {host} is not trusted: {text[:300]} (local time {now})",
        remedy="name the CA file of the registry in HPCBAKE_CA_FILE, or have its certificate renewed",
        kind="registry.tls",
    )
