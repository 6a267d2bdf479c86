"""Whether the part of a compose file that bake looks at is what the compose specification allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.compose.tree import Node
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import Span
from hpcbake.bakefile.suggestion import did_you_mean

#: Checks a node and says what it must be instead, or None when it is fine.
Check = Callable[[Node], "str | None"]

_NAME = re.compile(r"[a-zA-Z0-9._-]+")


def _is(*types: type) -> Callable[[object], bool]:
    """A test for exactly these types: a bool is no int here."""
    return lambda value: type(value) in types


_is_scalar = _is(str, int, float, bool, type(None))


def _text(node: Node) -> str | None:
    return None if isinstance(node.value, str) else "a string"


def _flag(node: Node) -> str | None:
    return None if isinstance(node.value, (bool, str)) else "a boolean or string"


def _size(node: Node) -> str | None:
    return None if _is(int, str)(node.value) else "an integer or string"


def _texts(node: Node) -> str | None:
    is_list = isinstance(node.value, list) and all(isinstance(item.value, str) for item in node.value)
    return None if is_list else "a list of strings"


def _list_or_map(node: Node) -> str | None:
    if isinstance(node.value, dict):
        return None if all(_is_scalar(item.value) for item in node.value.values()) else "a mapping of plain values"
    return None if _texts(node) is None else "a mapping, or a list of KEY=VALUE strings"


def _hosts(node: Node) -> str | None:
    if isinstance(node.value, dict):
        good = all(isinstance(v.value, str) or _texts(v) is None for v in node.value.values())
        return None if good else "a mapping of hosts to addresses written as strings"
    if _texts(node) is not None:
        return "a mapping, or a list of HOST=ADDRESS strings"
    repeated = len({str(item.value) for item in node.items}) != len(node.items)
    return "a list without repetitions" if repeated else None


def _ulimits(node: Node) -> str | None:
    def is_limit(limit: Node) -> bool:
        if isinstance(limit.value, dict):
            return {"soft", "hard"} == {k for k in limit.value if not k.startswith("x-")} and all(
                _is(int)(v.value) for k, v in limit.value.items() if not k.startswith("x-")
            )
        return _is(int)(limit.value)

    good = isinstance(node.value, dict) and all(is_limit(limit) for limit in node.value.values())
    return None if good else "a mapping of names to an integer, or to soft: and hard: integers"


def _build_secrets(node: Node) -> str | None:
    def is_secret(item: Node) -> bool:
        return isinstance(item.value, str) or (
            isinstance(item.value, dict) and all(_is_scalar(v.value) for v in item.value.values())
        )

    good = isinstance(node.value, list) and all(is_secret(item) for item in node.value)
    return None if good else "a list of names, or of mappings with source:"


def _env_file(node: Node) -> str | None:
    def is_file(item: Node) -> bool:
        path = item.get("path")
        return isinstance(item.value, str) or (path is not None and isinstance(path.value, str))

    items = node.value if isinstance(node.value, list) else [node]
    return None if all(is_file(item) for item in items) else "a path, or a list of paths"


def _mapping(node: Node) -> str | None:
    return None if isinstance(node.value, dict) else "a mapping"


def _attestation(node: Node) -> str | None:
    return None if _is_scalar(node.value) else "a boolean or string"


def _anything(_node: Node) -> str | None:
    return None


_BUILD: Final[Mapping[str, Check]] = {
    "context": _text,
    "dockerfile": _text,
    "dockerfile_inline": _text,
    "entitlements": _texts,
    "args": _list_or_map,
    "ssh": _list_or_map,
    "labels": _list_or_map,
    "cache_from": _texts,
    "cache_to": _texts,
    "no_cache": _flag,
    "no_cache_filter": _texts,
    "additional_contexts": _list_or_map,
    "network": _text,
    "provenance": _attestation,
    "sbom": _attestation,
    "pull": _flag,
    "target": _text,
    "shm_size": _size,
    "extra_hosts": _hosts,
    "isolation": _text,
    "privileged": _flag,
    "secrets": _build_secrets,
    "tags": _texts,
    "ulimits": _ulimits,
    "platforms": _texts,
}
_SERVICE: Final[Mapping[str, Check]] = {
    "image": _text,
    "build": _mapping,
    "environment": _list_or_map,
    "env_file": _env_file,
}
_SECRET: Final[Mapping[str, Check]] = {
    "name": _text,
    "environment": _text,
    "file": _text,
    "external": _anything,
    "labels": _list_or_map,
    "driver": _text,
    "driver_opts": _mapping,
    "template_driver": _text,
}


def find_violations(document: Node) -> Iterator[Diagnostic]:
    """Everything in the services' build parts and in the secrets that the specification does not allow."""
    services, secrets = document.get("services"), document.get("secrets")
    for name, service in services.mapping.items() if services else ():
        path = f"services.{name}"
        if not _NAME.fullmatch(name):
            yield _violation(service, f"services: {name!r} is not a service name", "use letters, digits and . _ -")
        ours = service.with_value({key: node for key, node in service.mapping.items() if key in _SERVICE})
        yield from _check_keys(ours, path, _SERVICE)
        build = service.get("build")
        if build is not None and isinstance(build.value, dict):
            yield from _check_keys(build, f"{path}.build", _BUILD)
    if secrets is not None and not isinstance(secrets.value, dict):
        yield _violation(secrets, "secrets must be a mapping", "write a secret's name below it")
    for name, secret in secrets.mapping.items() if secrets else ():
        if isinstance(secret.value, dict):
            yield from _check_keys(secret, f"secrets.{name}", _SECRET)
        elif secret.value is not None:
            yield _violation(secret, f"secrets.{name} must be a mapping", "write file: or environment: below it")


def _check_keys(node: Node, path: str, checks: Mapping[str, Check]) -> Iterator[Diagnostic]:
    for key, value in node.mapping.items():
        check = checks.get(key)
        if check is None:
            if not key.startswith("x-"):
                yield _violation(
                    value,
                    f"{path} has a key {key}, which compose does not have",
                    did_you_mean(key, checks, what="key"),
                    detail=f"{path} additional properties '{key}' not allowed",
                    span=value.key_span,
                )
            continue
        expected = check(value)
        if expected is not None:
            yield _violation(value, f"{path}.{key} must be {expected}", f"write {key} as {expected}")


def _violation(node: Node, message: str, help_line: str, *, detail: str = "", span: Span | None = None) -> Diagnostic:
    return Diagnostic(codes.COMPOSE_SCHEMA, message, span or node.span, help_line, detail=detail or message)
