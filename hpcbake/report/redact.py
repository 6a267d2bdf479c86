"""Keeps secrets out of whatever a run writes down: by their values, in every form in which they could appear."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import quote

from hpcbake.model.plan import Plan

SHOWN = "[redacted]"
#: Anything shorter would take words apart that have nothing to do with it.
_SHORTEST = 5
_LONGEST_FILE = 64 * 1024
_SECRET_NAME = re.compile(
    r"TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE_KEY|WEBHOOK", re.IGNORECASE
)
#: Names of variables that say where a secret is, not what it is.
_PLACE_NAME = re.compile(r"(?:_FILE|_PATH|_DIR|_ENV|_STORE|_HELPER)$", re.IGNORECASE)

T = TypeVar("T")


class Redactor:
    """Replaces secrets in texts and values. Secrets may be learnt at any time, from any thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these from now on."""
        with self._lock:
            found = {form for secret in secrets for form in _forms(secret)} - self._forms
            if found:
                self._forms |= found
                longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """`text` with every secret replaced."""
        pattern = self._pattern
        return text if pattern is None else pattern.sub(SHOWN, text)

    def value(self, value: T) -> T:
        """Strings, lists, tuples, mappings and dataclasses, however deep; anything else as it is."""
        return value if self._pattern is None else cast(T, self._clean(value))

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self._clean(key): self._clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            return type(value)(self._clean(item) for item in value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            now = {item.name: getattr(value, item.name) for item in dataclasses.fields(value) if item.init}
            clean = {name: self._clean(item) for name, item in now.items()}
            return dataclasses.replace(value, **clean) if clean != now else value
        return value


def secrets_of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """Values of variables whose names speak of tokens, passwords and secrets."""
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and not _PLACE_NAME.search(name):
            yield value


def secrets_of_docker_config(content: str) -> Iterator[str]:
    """Passwords and tokens of a docker `config.json`, and the encoded logins themselves."""
    try:
        document = json.loads(content)
    except ValueError:
        return
    auths = document.get("auths") if isinstance(document, dict) else None
    for entry in auths.values() if isinstance(auths, dict) else ():
        if not isinstance(entry, dict):
            continue
        yield from (str(entry[key]) for key in ("identitytoken", "registrytoken", "password", "auth") if entry.get(key))
        try:
            login = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode()
        except (binascii.Error, ValueError):
            continue
        yield login.partition(":")[2]


def secrets_of_plan(plan: Plan, environment: Mapping[str, str], read: Callable[[str], str]) -> Iterator[str]:
    """What targets name as build secrets, and arguments whose names speak of secrets. `read` raises OSError."""
    for target in plan.targets.values():
        arguments = target.attributes.get("args")
        if isinstance(arguments, dict):
            yield from secrets_of_environment({name: str(value) for name, value in arguments.items()})
        named = target.attributes.get("secret")
        for item in named if isinstance(named, list) else ():
            fields = item if isinstance(item, dict) else _fields(str(item))
            variable = fields.get("env") or (fields.get("id") if fields.get("type") == "env" else None)
            yield environment.get(str(variable or fields.get("id") or ""), "")
            source = fields.get("src") or fields.get("source")
            if source:
                try:
                    yield read(str(source))[:_LONGEST_FILE]
                except (OSError, UnicodeDecodeError):
                    continue


def _fields(text: str) -> dict[str, Any]:
    return dict(part.partition("=")[::2] for part in text.split(","))


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, by lines, and as JSON, URLs and Basic logins spell it."""
    parts = [secret.strip(), *(line.strip() for line in secret.splitlines())]
    for part in parts:
        if len(part) < _SHORTEST or part.lower() in ("false", "none", "null", "true"):
            continue
        encoded = part.encode("utf-8", "surrogateescape")
        yield from {part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1]}
        yield from {quote(encoded), quote(encoded, safe=""), base64.b64encode(encoded).decode()}
