"""Registry logins as docker keeps them: config.json, and the credential helpers it names."""

from __future__ import annotations

import base64
import binascii
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from hpcbake.errors import ConfigError, PrereqError
from hpcbake.model.late import dataclass
from hpcbake.model.reference import DEFAULT_REGISTRY

#: The key under which docker files the login of Docker Hub.
_HUB_KEY = "https://index.docker.io/v1/"
#: What a helper says when it simply has no login for a registry.
_NOT_FOUND = "credentials not found"
_HELPER_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Credential:
    """A login. The secret never shows in a repr; `source` (a file or a helper) is what messages name."""

    username: str
    secret: str = field(repr=False)
    source: str
    #: The secret is an OAuth2 refresh token, not a password.
    is_token: bool = False


class CredentialStore(Protocol):
    """Where logins come from."""

    def find(self, registry: str) -> Credential | None:
        """The login for a registry host, or None when it is used anonymously."""
        ...


#: Runs `docker-credential-NAME get` with the registry on stdin; returns exit code, stdout, stderr.
HelperRunner = Callable[[str, str], tuple[int, str, str]]


def run_credential_helper(name: str, server: str) -> tuple[int, str, str]:
    """Ask the program `docker-credential-<name>` for a login."""
    program = shutil.which(f"docker-credential-{name}")
    if program is None:
        raise PrereqError(
            f"docker's config.json names the credential helper {name!r}, but docker-credential-{name} is not on PATH",
            remedy=f"install docker-credential-{name}, or remove it from config.json and run `docker login`",
            kind="config.credential-helper",
        )
    try:
        done = subprocess.run(
            [program, "get"], input=server, capture_output=True, text=True, timeout=_HELPER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise PrereqError(
            f"docker-credential-{name} did not answer for {server}: {type(cause).__name__}",
            remedy=f"run `echo {server} | docker-credential-{name} get` by hand to see why",
            kind="config.credential-helper",
        ) from cause
    return done.returncode, done.stdout, done.stderr


class DockerCredentials:
    """The logins of one docker config folder; read once, on first use.

    Order, as docker's: a helper of its own for the registry (`credHelpers`), the store for all (`credsStore`), then
    `auths` in the file itself.
    """

    def __init__(self, config_file: Path, run_helper: HelperRunner = run_credential_helper) -> None:
        self._path = config_file
        self._run_helper = run_helper
        self._document: Mapping[str, Any] | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> DockerCredentials:
        """The config that docker itself would read: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`."""
        folder = environ.get("DOCKER_CONFIG")
        return cls((Path(folder) if folder else Path(environ.get("HOME", "/")) / ".docker") / "config.json")

    def find(self, registry: str) -> Credential | None:
        """The login for `registry`, or None. Raises ConfigError or PrereqError when the store itself is broken."""
        document = self._read()
        keys = (_HUB_KEY, "docker.io", "index.docker.io") if registry == DEFAULT_REGISTRY else (registry,)
        helpers = document.get("credHelpers")
        for key in keys:
            helper = helpers.get(key) if isinstance(helpers, dict) else None
            found = self._ask(str(helper), key) if helper else None
            if found:
                return found
        store = document.get("credsStore")
        if store:
            found = self._ask(str(store), keys[0])
            if found:
                return found
        return self._find_in_file(document, keys)

    def _read(self) -> Mapping[str, Any]:
        if self._document is None:
            try:
                document = json.loads(self._path.read_bytes())
            except FileNotFoundError:
                document = {}
            except (OSError, ValueError) as cause:
                raise ConfigError(
                    f"{self._path} cannot be read: {cause}",
                    remedy="mend or move the file, then run `docker login` again",
                    kind="config.docker-config",
                ) from cause
            self._document = document if isinstance(document, dict) else {}
        return self._document

    def _ask(self, helper: str, server: str) -> Credential | None:
        exit_code, stdout, stderr = self._run_helper(helper, server)
        if exit_code != 0:
            if _NOT_FOUND in (stdout + stderr).lower():
                return None
            raise ConfigError(
                f"docker-credential-{helper} failed for {server} (exit {exit_code})",
                remedy="unlock the keychain or log in again with `docker login`",
                kind="config.credential-helper",
                evidence={"output": stderr.strip()[-500:]},
            )
        try:
            answer = json.loads(stdout)
            username, secret = str(answer["Username"]), str(answer["Secret"])
        except (ValueError, KeyError, TypeError) as cause:
            raise ConfigError(
                f"docker-credential-{helper} gave no usable answer for {server}",
                remedy="log in again with `docker login`",
                kind="config.credential-helper",
            ) from cause
        source = f"docker-credential-{helper}"
        return Credential(username, secret, source, is_token=username == "<token>") if secret else None

    def _find_in_file(self, document: Mapping[str, Any], keys: tuple[str, ...]) -> Credential | None:
        auths = document.get("auths")
        if not isinstance(auths, dict):
            return None
        by_host = {_host_of(key): entry for key, entry in auths.items()}
        for key in keys:
            entry = auths.get(key, by_host.get(_host_of(key)))
            found = self._read_entry(entry) if isinstance(entry, dict) else None
            if found:
                return found
        return None

    def _read_entry(self, entry: Mapping[str, Any]) -> Credential | None:
        if entry.get("identitytoken"):
            return Credential("<token>", str(entry["identitytoken"]), str(self._path), is_token=True)
        username, secret = str(entry.get("username") or ""), str(entry.get("password") or "")
        if entry.get("auth"):
            try:
                username, _, secret = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
            except (binascii.Error, ValueError) as cause:
                raise ConfigError(
                    f"{self._path}: an `auth` entry is not base64 of user:password",
                    remedy="run `docker login` again",
                    kind="config.docker-config",
                ) from cause
        return Credential(username, secret.rstrip("\0"), str(self._path)) if username and secret else None


def _host_of(key: str) -> str:
    """`https://registry.example.org/v2/` → `registry.example.org`: old docker versions stored whole URLs.

    A key with a path of its own (`registry.example.org/team`) is a login for that path only and names no host.
    """
    _, scheme, rest = key.rpartition("://")
    host, _, path = rest.partition("/")
    return host if scheme or path.strip("/") in ("", "v1", "v2") else key
