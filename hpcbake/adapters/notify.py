"""Tells addresses of runs over HTTP: every one on a thread of its own, with retries, all within one deadline.

What went wrong is an answer, never an exception, and never in the words of a library: those may hold the address,
which of chat programs is itself a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import tenacity
import urllib3

from hpcbake.model.late import dataclass
from hpcbake.model.notification import Address, SecretSource

#: Statuses after which the same message may be taken a moment later.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_ATTEMPTS = 5
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
#: A secret is a line; a file larger than this is not one.
_MAX_SECRET_BYTES = 65_536


@dataclass(frozen=True)
class Message:
    """One thing to tell one address. Without a body it is a GET. `path` is appended to the address's own."""

    to: str
    event: str
    address: Address
    body: bytes | None = None
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, SecretSource], ...] = ()
    secret: SecretSource = field(default_factory=SecretSource)
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Delivery:
    """How it went: `problem` is empty when the address took the message."""

    message: Message
    attempts: int
    duration_s: float
    problem: str = ""


class _NotTakenError(Exception):
    """An attempt that failed; `wait_s` is what the server asked for."""

    def __init__(self, problem: str, *, is_passing: bool, wait_s: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_passing = is_passing
        self.wait_s = wait_s


class Notifier:
    """Sends messages. Secrets are looked up when a message goes, and are held nowhere."""

    def __init__(self, environment: Mapping[str, str], *, user_agent: str, first_wait_s: float = _FIRST_WAIT_S) -> None:
        self._environment = environment
        self._user_agent = user_agent
        self._first_wait_s = first_wait_s

    def send(self, messages: Sequence[Message], *, give_up_after_s: float) -> list[Delivery]:
        """Send all of them at once and wait for the last, at most so long. Raises nothing."""
        began = time.monotonic()
        sendings = [_Sending(self, message, began + give_up_after_s) for message in messages]
        for sending in sendings:
            # A thread of its own that nobody waits for: a server that hangs must not keep the run from its end.
            threading.Thread(target=sending.run, name=f"tell {sending.message.to}", daemon=True).start()
        for sending in sendings:
            sending.done.wait(max(0.0, began + give_up_after_s - time.monotonic()))
        return [sending.delivery(time.monotonic() - began, give_up_after_s) for sending in sendings]

    def attempt(self, message: Message, remaining_s: float) -> None:
        """One try. Raises _NotTakenError."""
        url = _with_path(self._address(message.address), message.path)
        headers = {"User-Agent": self._user_agent, **dict(message.headers)}
        for name, source in message.secret_headers:
            headers[name] = self._secret(source)
        if message.body is not None and message.secret.is_named:
            key = self._secret(message.secret).encode()
            headers["X-Hpcbake-Signature"] = "sha256=" + hmac.new(key, message.body, hashlib.sha256).hexdigest()
        timeout_s = max(0.1, min(message.timeout_s, remaining_s))
        method = "GET" if message.body is None else "POST"
        try:
            response = self._pool(url).request(
                *(method, url),
                body=message.body,
                headers=headers,
                timeout=urllib3.Timeout(total=timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, UnicodeError, ValueError) as error:
            raise _NotTakenError(_reason(error, timeout_s), is_passing=_may_pass(error)) from None
        if not 200 <= response.status < 300:
            hint = "; redirects are not followed" if 300 <= response.status < 400 else ""
            raise _NotTakenError(
                f"answered {response.status}{hint}",
                is_passing=response.status in _PASSING,
                wait_s=_retry_after(response.headers.get("Retry-After", "")),
            )

    def _address(self, address: Address) -> str:
        url = address.url or self._secret(address.source)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _NotTakenError(f"{address.source} holds no http or https address", is_passing=False)
        return url

    def _secret(self, source: SecretSource) -> str:
        """The secret without white space around it. Raises _NotTakenError, which names its place and never itself."""
        if source.env is not None:
            text = self._environment.get(source.env, "")
        else:
            try:
                with Path(source.file or "").expanduser().open("rb") as file:
                    text = file.read(_MAX_SECRET_BYTES).decode("utf-8")
            except (OSError, UnicodeDecodeError, RuntimeError) as error:
                words = error.strerror if isinstance(error, OSError) else "it is no text"
                raise _NotTakenError(f"{source} cannot be read: {words}", is_passing=False) from None
        text = text.strip()
        if not text:
            raise _NotTakenError(f"{source} is {'not set' if source.env is not None else 'empty'}", is_passing=False)
        if any(ord(character) < 32 or ord(character) > 126 for character in text):
            raise _NotTakenError(f"{source} holds more than one line of plain text", is_passing=False)
        return text

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        context = ssl.create_default_context()
        ca_file = self._environment.get("HPCBAKE_CA_FILE")
        if ca_file:
            try:
                context.load_verify_locations(cafile=ca_file)
            except OSError as error:  # ssl.SSLError is one
                words = f"HPCBAKE_CA_FILE ({ca_file}) cannot be read: {error.strerror or 'it holds no certificates'}"
                raise _NotTakenError(words, is_passing=False) from None
        proxy = urllib.request.getproxies().get(parts.scheme)
        if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
            return urllib3.ProxyManager(proxy, ssl_context=context)
        return urllib3.PoolManager(ssl_context=context)


class _Sending:
    """One message on its way."""

    def __init__(self, notifier: Notifier, message: Message, deadline: float) -> None:
        self.message = message
        self.done = threading.Event()
        self._notifier = notifier
        self._deadline = deadline
        self._attempts = 0
        self._problem = "no answer"
        self._duration_s = 0.0

    def run(self) -> None:
        began = time.monotonic()
        try:
            for attempt in tenacity.Retrying(
                reraise=True,
                retry=tenacity.retry_if_exception(lambda error: isinstance(error, _NotTakenError) and error.is_passing),
                stop=self._is_enough,
                wait=self._pause,
            ):
                with attempt:
                    self._attempts += 1
                    self._notifier.attempt(self.message, self._deadline - time.monotonic())
            self._problem = ""
        except _NotTakenError as error:
            self._problem = error.problem
        except Exception as error:  # noqa: BLE001  (the border of a thread: telling never spoils a run)
            self._problem = f"hpcbake stumbled over itself: {type(error).__name__}"
        self._duration_s = time.monotonic() - began
        self.done.set()

    def delivery(self, waited_s: float, patience_s: float) -> Delivery:
        if not self.done.is_set():
            problem = f"gave up after {patience_s:g} s: {self._problem}"
            return Delivery(self.message, max(1, self._attempts), waited_s, problem)
        return Delivery(self.message, self._attempts, self._duration_s, self._problem)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _NotTakenError):
            self._problem = error.problem
            if error.wait_s is not None:
                return min(error.wait_s, 3600.0)
        first = self._notifier._first_wait_s
        return float(min(first * 2 ** (state.attempt_number - 1), _LONGEST_WAIT_S))

    def _is_enough(self, state: tenacity.RetryCallState) -> bool:
        """Has it been tried often enough, or would the next try begin after the deadline?"""
        return state.attempt_number >= _ATTEMPTS or time.monotonic() + state.upcoming_sleep >= self._deadline


def _with_path(url: str, path: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path)) if path else url


def _retry_after(text: str) -> float | None:
    return float(text) if text.isdigit() and len(text) < 6 else None


def _may_pass(error: Exception) -> bool:
    return not isinstance(
        error, urllib3.exceptions.SSLError | ssl.SSLError | ValueError | urllib3.exceptions.LocationParseError
    )


def _reason(error: Exception, timeout_s: float) -> str:
    """One phrase of our own: a library's may hold the address."""
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "the host name does not resolve"
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return "connection refused" if "refused" in str(cause) else "cannot connect"
    if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(cause, urllib3.exceptions.SSLError | ssl.SSLError):
        return "its TLS certificate is not trusted, or it speaks no TLS; HPCBAKE_CA_FILE names further authorities"
    if isinstance(cause, urllib3.exceptions.ProxyError):
        return "the proxy did not take it"
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return f"the connection broke ({type(cause).__name__})"
