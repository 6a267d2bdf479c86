"""How a registry lets us in: Basic, or a Bearer token from the realm it names."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

from hpcbake.adapters.credentials import Credential, CredentialStore
from hpcbake.errors import RegistryError
from hpcbake.image.manifest import parse_object
from hpcbake.model.late import dataclass

_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
#: What the token specification says when a realm states no lifetime.
_DEFAULT_LIFETIME_S = 60.0

#: fetch(method, url, headers, body) → status, body. Retries and deadlines are the caller's.
Fetch = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]


@dataclass(frozen=True)
class Challenge:
    """What `WWW-Authenticate` asks for: `scheme` in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Scope:
    """One repository of one registry, and what we want to do there (`pull`, `pull,push`)."""

    registry: str
    repository: str
    actions: str

    def __str__(self) -> str:
        return f"repository:{self.repository}:{self.actions}"


@dataclass(frozen=True)
class _Grant:
    header: str
    expires: float


def parse_challenges(values: list[str]) -> tuple[Challenge, ...]:
    """Read `WWW-Authenticate` headers: one may hold several challenges."""
    challenges: list[Challenge] = []
    for value in values:
        for piece in re.split(r"(?:^|,)\s*(?=(?:Bearer|Basic|Negotiate|Digest)\b)", value, flags=re.IGNORECASE):
            scheme, _, rest = piece.strip().partition(" ")
            if scheme:
                parameters = {
                    m[1].lower(): re.sub(r"\\(.)", r"\1", m[2] or m[3] or "") for m in _PARAMETER.finditer(rest)
                }
                challenges.append(Challenge(scheme.lower(), parameters))
    return tuple(challenges)


class Authenticator:
    """Turns challenges into `Authorization` headers, and remembers them per scope until they expire."""

    def __init__(self, credentials: CredentialStore | None, fetch: Fetch) -> None:
        self._credentials = credentials
        self._fetch = fetch
        self._grants: dict[Scope, _Grant] = {}
        self._lock = threading.Lock()

    def find_header(self, scope: Scope) -> str | None:
        """The header of an earlier grant that is still good, or None."""
        with self._lock:
            grant = self._grants.get(scope)
        return grant.header if grant and grant.expires > time.monotonic() else None

    def forget(self, scope: Scope) -> None:
        """Drop a grant that the registry did not take."""
        with self._lock:
            self._grants.pop(scope, None)

    def answer(self, challenges: tuple[Challenge, ...], scope: Scope) -> str:
        """The header that answers one of `challenges`. Raises RegistryError when none can be answered."""
        credential = self._credentials.find(scope.registry) if self._credentials else None
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                grant = self._fetch_token(challenge, scope, credential)
            elif challenge.scheme == "basic" and credential and not credential.is_token:
                grant = _Grant(_basic(credential), float("inf"))
            else:
                continue
            with self._lock:
                self._grants[scope] = grant
            return grant.header
        raise refused(scope, credential, "it asks for a login" if not credential else "it takes no such login")

    def describe(self, scope: Scope) -> Credential | None:
        """The login in use, for messages."""
        return self._credentials.find(scope.registry) if self._credentials else None

    def _fetch_token(self, challenge: Challenge, scope: Scope, credential: Credential | None) -> _Grant:
        realm = challenge.parameters["realm"]
        _check_realm(realm, scope)
        service = challenge.parameters.get("service", "")
        wanted = challenge.parameters.get("scope") if scope.actions == "pull" else None
        query = {"service": service, "scope": wanted or str(scope)}
        if credential and credential.is_token:
            form = {**query, "grant_type": "refresh_token", "refresh_token": credential.secret, "client_id": "hpcbake"}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            status, body = self._fetch("POST", realm, headers, urlencode(form).encode())
        else:
            separator = "&" if urlsplit(realm).query else "?"
            headers = {"Authorization": _basic(credential)} if credential else {}
            status, body = self._fetch("GET", f"{realm}{separator}{urlencode(query)}", headers, None)
        if status != 200:
            raise refused(scope, credential, f"its token server answered {status}")
        answer = parse_object(body, f"the token of {urlsplit(realm).hostname}")
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str) or not token.isprintable() or " " in token:
            raise refused(scope, credential, "its token server gave no token")
        lifetime = answer.get("expires_in")
        lifetime_s = float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else _DEFAULT_LIFETIME_S
        return _Grant(f"Bearer {token}", time.monotonic() + max(lifetime_s * 0.9, 5.0))


def refused(scope: Scope, credential: Credential | None, why: str) -> RegistryError:
    """401 and 403 for people: which registry, which repository, which login, and never its value."""
    login = f"the login of {credential.source} (user {credential.username})" if credential else "no login"
    return RegistryError(
        f"{scope.registry} refuses {scope.actions} on {scope.repository} with {login}: {why}",
        remedy=f"run `docker login {scope.registry}` with an account that may {scope.actions} there",
        kind="registry.unauthorized",
        evidence={"registry": scope.registry, "repository": scope.repository, "source": login},
    )


def _check_realm(realm: str, scope: Scope) -> None:
    if urlsplit(realm).scheme not in ("https", "http") or not urlsplit(realm).hostname:
        raise RegistryError(
            f"{scope.registry} sends us to {realm!r:.200} for a token, which is no web address",
            remedy="tell the registry's operator",
            kind="registry.malformed",
        )


def _basic(credential: Credential) -> str:
    return "Basic " + base64.b64encode(f"{credential.username}:{credential.secret}".encode()).decode()
