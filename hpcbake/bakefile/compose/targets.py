"""One compose service with a `build` as the target that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.attributes import canonical_attest
from hpcbake.bakefile.compose.layering import as_sequence
from hpcbake.bakefile.compose.tree import Node, Scalar, scalar_text
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.definition import AttributeValue, TargetDefinition
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.select import sanitise_target_name
from hpcbake.bakefile.source import Span
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.bakefile.valuecheck import check_ulimit, parse_size
from hpcbake.model.late import dataclass

#: compose key → bake attribute, for values that pass as they are.
_SAME: Final = {
    "dockerfile": "dockerfile",
    "dockerfile_inline": "dockerfile-inline",
    "network": "network",
    "target": "target",
    "tags": "tags",
    "platforms": "platforms",
    "cache_from": "cache-from",
    "cache_to": "cache-to",
}
_BINARY_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


@dataclass(frozen=True)
class ServiceWorld:
    """What a service may refer to: the project's secrets, and the variables that arguments without a value take."""

    secrets: Mapping[str, Node]
    lookup: Callable[[str], str | None]


def target_of(name: str, service: Node, world: ServiceWorld) -> tuple[TargetDefinition, list[Diagnostic]]:
    """The target that `service` makes, and warnings. Raises BakeFileError for values that cannot be used."""
    build = service.get("build")
    assert build is not None
    attributes: dict[str, AttributeValue] = {}
    spans: dict[str, Span] = {}
    for attribute, value, node in _attributes(name, build, world):
        attributes[attribute] = value
        spans[attribute] = node.span
    warnings = _add_x_bake(name, build, attributes, spans)
    image = service.get("image")
    if not any(cast(list[str], attributes.get("tags") or [])) and image is not None and image.value:
        attributes["tags"] = [str(image.value)]
        spans["tags"] = image.span
    return TargetDefinition(sanitise_target_name(name), attributes, spans, service.span), warnings


def _attributes(name: str, build: Node, world: ServiceWorld) -> Iterator[tuple[str, AttributeValue, Node]]:
    for key, node in build.mapping.items():
        if key == "context" or key in _SAME:
            value = _plain(node)
            if value:
                yield _SAME.get(key, key), value, node
        elif key in _CONVERTERS:
            try:
                converted = _CONVERTERS[key](node, world)
            except MalformedValueError as malformed:
                raise BakeFileError(
                    Diagnostic(
                        codes.COMPOSE_SCHEMA,
                        f"services.{name}.build.{key}: {malformed.message}",
                        node.span,
                        malformed.help,
                        detail=malformed.message,
                    )
                ) from malformed
            if converted is not None:
                yield _CONVERTED_NAMES.get(key, key.replace("_", "-")), converted, node
    attests = [
        canonical_attest(kind, scalar_text(attested.value))
        for kind in ("sbom", "provenance")
        if (attested := build.get(kind)) and not isinstance(attested.value, (dict, list)) and attested.value != ""
    ]
    if attests:
        yield "attest", cast(AttributeValue, attests), build


def _plain(node: Node) -> AttributeValue:
    if isinstance(node.value, list):
        return [str(item.value) for item in node.value]
    return str(node.value)


def _args(node: Node, world: ServiceWorld) -> AttributeValue:
    arguments: dict[str, str | None] = {}
    for key, value in pairs_of(node):
        text = world.lookup(key) if value is None else value
        if text is not None:
            arguments[key] = text
    return arguments


def _labels(node: Node, _world: ServiceWorld) -> AttributeValue:
    return {key: value or "" for key, value in pairs_of(node)}


def pairs_of(node: Node) -> Iterator[tuple[str, str | None]]:
    """The entries of a map that may be written as a list of `KEY=VALUE`; None for a key without a value."""
    if isinstance(node.value, dict):
        for key, value in node.value.items():
            scalar = cast(Scalar, value.value)
            yield key, None if scalar is None else scalar_text(scalar)
    else:
        for item in node.items:
            key, equals, text = str(item.value).partition("=")
            yield key, text if equals else None


def _contexts(node: Node, _world: ServiceWorld) -> AttributeValue:
    return {key: context_place(value or "") for key, value in pairs_of(node)}


def context_place(place: str) -> str:
    """A compose context as bake spells it: another service is a target."""
    kind, colon, name = place.partition(":")
    return f"target:{sanitise_target_name(name)}" if colon and kind in ("service", "target") else place


def _extra_hosts(node: Node, _world: ServiceWorld) -> AttributeValue:
    hosts: dict[str, list[str]] = {}
    for item in as_sequence(node):
        text = str(item.value)
        host, separator, address = text.partition("=" if "=" in text else ":")
        if not separator:
            raise MalformedValueError(f"invalid additional host, missing IP: {text}", help="write HOST=ADDRESS")
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        hosts.setdefault(host.strip(), []).append(address.strip())
    return {host: ",".join(addresses) for host, addresses in hosts.items()}


def _shm_size(node: Node, _world: ServiceWorld) -> AttributeValue:
    size = int(node.value) if isinstance(node.value, int) else parse_size(str(node.value))
    if size is None:
        raise MalformedValueError(f"invalid size: '{node.value}'", help="write a number and a unit: 64m, 1g")
    return binary_size(size) if size > 0 else None


def binary_size(size: int) -> str:
    """`size` bytes in the largest unit that fits, with four digits: 134217728 is 128MiB."""
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_BINARY_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.4g}{_BINARY_UNITS[unit]}"


def _ulimits(node: Node, _world: ServiceWorld) -> AttributeValue:
    limits = []
    for name, limit in sorted(node.mapping.items()):
        soft, hard = limit.get("soft"), limit.get("hard")
        text = (
            f"{name}={limit.value}:{limit.value}"
            if soft is None or hard is None
            else f"{name}={soft.value}:{hard.value}"
        )
        check_ulimit(text)
        limits.append(text)
    return limits


def _ssh(node: Node, _world: ServiceWorld) -> AttributeValue:
    entries = {key: [value] if value else [] for key, value in pairs_of(node)}
    return cast(AttributeValue, [{"id": key, "paths": paths} for key, paths in sorted(entries.items())])


def _secrets(node: Node, world: ServiceWorld) -> AttributeValue:
    entries: list[str | dict[str, str]] = []
    for item in node.items:
        source = item.get("source")
        name = str(source.value) if source is not None else str(item.value)
        declared = world.secrets.get(name)
        if declared is None:
            raise MalformedValueError(
                f"undefined build secret {name}", help=did_you_mean(name, world.secrets, what="secret")
            )
        external = declared.get("external")
        if external is not None and external.value is True:
            raise MalformedValueError(
                f"unsupported external secret {name}", help="give it file: or environment: instead"
            )
        entry = {"id": name}
        for key, attribute in (("file", "src"), ("environment", "env")):
            value = declared.get(key)
            if value is not None and value.value:
                entry[attribute] = str(value.value)
        entries.append(entry)
    return entries


def _flag(node: Node, _world: ServiceWorld) -> AttributeValue:
    return True if node.value is True else None


_CONVERTERS: Final[Mapping[str, Callable[[Node, ServiceWorld], AttributeValue]]] = {
    "args": _args,
    "labels": _labels,
    "additional_contexts": _contexts,
    "extra_hosts": _extra_hosts,
    "shm_size": _shm_size,
    "ulimits": _ulimits,
    "ssh": _ssh,
    "secrets": _secrets,
    "no_cache": _flag,
    "pull": _flag,
}
_CONVERTED_NAMES: Final = {"additional_contexts": "contexts", "secrets": "secret"}

# x-bake ------------------------------------------------------------------------------------------------------------

_X_LISTS: Final = frozenset(
    {"tags", "cache-from", "cache-to", "secret", "ssh", "platforms", "output", "no-cache-filter"}
)
_X_FLAGS: Final = frozenset({"pull", "no-cache"})
#: Words that YAML 1.1 reads as booleans where one is expected.
_YAML_WORDS: Final = {"y": True, "yes": True, "on": True, "n": False, "no": False, "off": False}


def _add_x_bake(
    name: str, build: Node, attributes: dict[str, AttributeValue], spans: dict[str, Span]
) -> list[Diagnostic]:
    """Add what `x-bake` below `build` says. Lists and contexts add up, flags replace. Returns warnings."""
    x_bake = build.get("x-bake")
    warnings: list[Diagnostic] = []
    if x_bake is not None and x_bake.value is not None and not isinstance(x_bake.value, dict):
        raise _x_failure(f"services.{name}.build.x-bake", x_bake, "a mapping")
    for key, node in x_bake.mapping.items() if x_bake else ():
        if key in _X_LISTS:
            _add_list(key, _words(f"services.{name}.build.x-bake.{key}", node), attributes)
        elif key in _X_FLAGS:
            if node.value is not None:
                attributes[key] = _x_flag(f"services.{name}.build.x-bake.{key}", node)
        elif key == "contexts":
            if node.value is not None and not isinstance(node.value, dict):
                raise _x_failure(f"services.{name}.build.x-bake.contexts", node, "a mapping of names to places")
            former = cast(dict[str, "str | None"], attributes.get("contexts") or {})
            added = {k: context_place(scalar_text(cast(Scalar, v.value))) for k, v in node.mapping.items()}
            attributes["contexts"] = {**added, **former}
        else:
            warnings.append(
                Diagnostic(
                    codes.COMPOSE_UNKNOWN_KEY,
                    f"x-bake has no key {key}; it is ignored",
                    node.span,
                    did_you_mean(key, {*_X_LISTS, *_X_FLAGS, "contexts"}, what="key"),
                )
            )
            continue
        spans[key] = node.span
    return warnings


def _add_list(key: str, added: list[str], attributes: dict[str, AttributeValue]) -> None:
    if not added:
        return
    former = cast(list[str], attributes.get(key) or [])
    together: list[str] = [*former, *added]
    if key in ("tags", "platforms", "no-cache-filter"):
        together = list(dict.fromkeys(together))
    attributes[key] = together


def _words(path: str, node: Node) -> list[str]:
    """A list of texts, or one text split at blanks."""
    if isinstance(node.value, list):
        if any(isinstance(item.value, (dict, list)) for item in node.value):
            raise _x_failure(path, node, "a list of strings")
        return [scalar_text(cast(Scalar, item.value)) for item in node.value]
    if isinstance(node.value, dict):
        raise _x_failure(path, node, "a list of strings, or one string")
    return scalar_text(node.value).split()


def _x_flag(path: str, node: Node) -> bool:
    if isinstance(node.value, bool):
        return node.value
    if not isinstance(node.value, str) or node.value.lower() not in _YAML_WORDS:
        raise _x_failure(path, node, "true or false")
    return _YAML_WORDS[node.value.lower()]


def _x_failure(path: str, node: Node, expected: str) -> BakeFileError:
    return BakeFileError(
        Diagnostic(codes.COMPOSE_SCHEMA, f"{path} must be {expected}", node.span, f"write it as {expected}")
    )
