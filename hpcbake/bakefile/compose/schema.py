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
from hpcbake.model.late import dataclass


@dataclass(frozen=True)
class Wrong:
    """A node that is not what it must be."""

    node: Node
    expected: str
    help: str = ""


#: Looks at a value and gives what is wrong with it, or None.
Check = Callable[[Node], "Wrong | None"]

_NAME = re.compile(r"[a-zA-Z0-9._-]+")


def _is(*types: type) -> Callable[[object], bool]:
    """A test for exactly these types: a bool is no int here."""
    return lambda value: type(value) in types


_is_scalar = _is(str, int, float, bool, type(None))


def _one_of(expected: str, *types: type) -> Check:
    """A check for a plain value of one of `types`."""
    fits = _is(*types)
    return lambda node: None if fits(node.value) else Wrong(node, expected, _help_for(node))


_text = _one_of("a string", str)
_flag = _one_of("a boolean or string", bool, str)
_size = _one_of("an integer or string", int, str)
_attestation = _one_of("a boolean or string", str, int, float, bool, type(None))


def _help_for(node: Node) -> str:
    """How to make the plain value of `node` a string."""
    if isinstance(node.value, (dict, list)) or node.value is None:
        return ""
    return f'put it into quotes: "{node.span.text}"'


def _texts(node: Node) -> Wrong | None:
    if not isinstance(node.value, list):
        return Wrong(node, "a list of strings", "write it as a list: [one, two]")
    return next((Wrong(i, "a list of strings", _help_for(i)) for i in node.value if not isinstance(i.value, str)), None)


def _list_or_map(node: Node) -> Wrong | None:
    if isinstance(node.value, dict):
        strange = next((v for v in node.value.values() if not _is_scalar(v.value)), None)
        return Wrong(strange, "a mapping of plain values", _help_for(strange)) if strange else None
    if isinstance(node.value, list):
        return _texts(node)
    return Wrong(node, "a mapping, or a list of KEY=VALUE strings")


def _hosts(node: Node) -> Wrong | None:
    if isinstance(node.value, dict):
        strange = next((v for v in node.value.values() if not isinstance(v.value, str) and _texts(v)), None)
        return Wrong(strange, "a mapping of hosts to addresses", _help_for(strange)) if strange else None
    wrong = _texts(node)
    if wrong is None and len({str(item.value) for item in node.items}) != len(node.items):
        return Wrong(node, "a list without repetitions")
    return wrong


def _ulimits(node: Node) -> Wrong | None:
    if not isinstance(node.value, dict):
        return Wrong(node, "a mapping of names to limits")
    return next((Wrong(limit, _LIMIT) for limit in node.value.values() if not _is_limit(limit)), None)


_LIMIT: Final = "a mapping of names to an integer, or to soft: and hard: integers"


def _is_limit(limit: Node) -> bool:
    if not isinstance(limit.value, dict):
        return _is(int)(limit.value)
    parts = {key: value for key, value in limit.value.items() if not key.startswith("x-")}
    return parts.keys() == {"soft", "hard"} and all(_is(int)(value.value) for value in parts.values())


def _build_secrets(node: Node) -> Wrong | None:
    if not isinstance(node.value, list):
        return Wrong(node, "a list of names", "write it as a list: [one, two]")
    strange = next((item for item in node.value if not (isinstance(item.value, str) or _is_flat(item))), None)
    return Wrong(strange, "a list of names, or of mappings with source:") if strange else None


def _is_flat(node: Node) -> bool:
    return isinstance(node.value, dict) and all(_is_scalar(value.value) for value in node.value.values())


def _env_file(node: Node) -> Wrong | None:
    for item in node.value if isinstance(node.value, list) else [node]:
        path = item.get("path")
        if not isinstance(item.value, str) and (path is None or not isinstance(path.value, str)):
            return Wrong(item, "a path, or a list of paths")
    return None


def _mapping(node: Node) -> Wrong | None:
    return None if isinstance(node.value, dict) else Wrong(node, "a mapping")


def _anything(_node: Node) -> Wrong | None:
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
        wrong = check(value)
        if wrong is not None:
            help_line = wrong.help or f"write {key} as {wrong.expected}"
            yield _violation(wrong.node, f"{path}.{key} must be {wrong.expected}", help_line)


def _violation(node: Node, message: str, help_line: str, *, detail: str = "", span: Span | None = None) -> Diagnostic:
    return Diagnostic(codes.COMPOSE_SCHEMA, message, span or node.span, help_line, detail=detail or message)
