"""The normal form of each attribute of a target: what `--print` shows, whichever way it was written.

cache-from, cache-to, output, secret, ssh and attest may be strings (comma-separated `key=value`) or objects; here
both become the same dictionary. Sources: the bake reference, and buildx 0.29.1 where that is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast

from hpcbake.bakefile.csvfields import MalformedValueError, split_fields
from hpcbake.model.plan import JsonValue

#: One entry of cache-from, cache-to, output, secret, ssh or attest in the form that is printed.
Entry = dict[str, JsonValue]

#: A target's attributes in normal form, by HCL name.
Attributes = dict[str, JsonValue]

#: The order in which `--print` shows a target's attributes; `inherits` is consumed, never printed.
PRINT_ORDER: Final[tuple[str, ...]] = (
    "description", "inherits", "annotations", "attest", "context", "contexts", "dockerfile", "dockerfile-inline",
    "args", "labels", "tags", "cache-from", "cache-to", "target", "secret", "ssh", "platforms", "output", "pull",
    "no-cache", "network", "no-cache-filter", "shm-size", "ulimits", "call", "entitlements", "extra-hosts", "policy",
    "resources",
)  # fmt: skip

#: The spellings that Go's ParseBool takes.
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def find_bool(text: str) -> bool | None:
    """The boolean that `text` spells (`1`, `t`, `true`, `True`, …), or None."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def parse_bool(text: str, key: str) -> bool:
    """The boolean that `text` spells. Raises MalformedValueError naming `key`."""
    value = find_bool(text)
    if value is None:
        raise MalformedValueError(f"invalid value {text} for boolean key {key}", help="write true or false")
    return value


def normal_attribute(name: str, value: object) -> JsonValue:
    """`value` of attribute `name` as a definition gives it, in normal form.

    Raises MalformedValueError for an entry that cannot be read. Values of other attributes pass through: the
    language half has converted them to their types already.
    """
    parse = _ENTRY_PARSERS.get(name)
    if parse is None:
        return cast(JsonValue, value)
    assert isinstance(value, list)
    return cast(JsonValue, [entry for item in value if item != "" for entry in parse(item)])


def parse_cache_entries(value: str | Mapping[str, object]) -> list[Entry]:
    """One item of cache-from or cache-to. A string without `=` is a list of references to registry caches."""
    if not isinstance(value, str):
        return [_typed_object(value)]
    if "=" not in value:
        return [{"ref": reference, "type": "registry"} for reference in split_fields(value)]
    entry = _pairs(split_fields(value))
    if not entry.get("type"):
        raise MalformedValueError(
            f'"{value}" has no type',
            help="add type=registry, type=local, type=gha, …",
            detail=f'type required form> "{value}"',
        )
    return [entry]


def parse_output(value: str | Mapping[str, object]) -> Entry:
    """One item of output. A lone field without `type=` in front is a folder to export to; `-` is a tar on stdout."""
    if not isinstance(value, str):
        entry = dict(value)
        if not entry.get("type"):
            raise MalformedValueError("type is required for output", help='add type = "image", "docker", "local", …')
        if not entry.get("dest"):
            entry.pop("dest", None)
        return cast(Entry, entry)
    fields = split_fields(value)
    if len(fields) == 1 and fields[0] == value and not value.startswith("type="):
        return {"dest": value, "type": "tar" if value == "-" else "local"}
    pairs = _pairs(fields, strip=True)
    if not pairs.get("type"):
        raise MalformedValueError(
            "type is required for output", help="start with type=image, type=docker, type=local, …"
        )
    if not pairs.get("dest"):
        pairs.pop("dest", None)
    return pairs


def parse_attest(value: str | Mapping[str, object]) -> Entry:
    """One item of attest: `type` is `sbom` or `provenance`; `disabled` is shown only when it is true."""
    raw: Mapping[str, object] = _attest_pairs(value) if isinstance(value, str) else value
    entry: Entry = {key: cast(JsonValue, item) for key, item in raw.items() if key != "disabled"}
    disabled = raw.get("disabled")
    if disabled is not None and (disabled is True or parse_bool(str(disabled), "disabled")):
        entry["disabled"] = True
    entry.setdefault("type", "")
    if isinstance(value, str) and not entry.get("type"):
        raise MalformedValueError("attestation type not specified", help="start with type=sbom or type=provenance")
    return entry


def canonical_attest(kind: str, value: str) -> str:
    """What the flags `--sbom VALUE` and `--provenance VALUE` mean as an attest string."""
    enabled = find_bool(value)
    if enabled is None:
        return f"type={kind},{value}"
    return f"type={kind},disabled={'false' if enabled else 'true'}"


def parse_secret(value: str | Mapping[str, object]) -> Entry:
    """One item of secret: an id with a file (`src`) or an environment variable (`env`)."""
    if not isinstance(value, str):
        return _ordered(value, ("id", "src", "env"))
    found: dict[str, str] = {}
    kind = ""
    for field in split_fields(value):
        key, equals, text = field.partition("=")
        key = key.lower()
        if not equals:
            raise MalformedValueError(
                f"invalid field '{field}' must be a key=value pair",
                help="write id=NAME,env=VARIABLE or id=NAME,src=FILE",
            )
        if key == "type":
            if text not in ("file", "env"):
                raise MalformedValueError(f'unsupported secret type "{text}"', help="type is file or env")
            kind = text
        elif key in ("id", "env"):
            found[key] = text
        elif key in ("src", "source"):
            found["src"] = text
        else:
            raise MalformedValueError(
                f"unexpected key '{key}' in '{field}'", help="a secret has id, src, env and type, nothing else"
            )
    if kind == "env" and not found.get("env"):
        found["env"] = found.pop("src", "")
    return _ordered(found, ("id", "src", "env"))


def parse_ssh(value: str | Mapping[str, object]) -> Entry:
    """One item of ssh: an id, and the agent sockets or key files behind it."""
    if not isinstance(value, str):
        return _ordered(value, ("id", "paths"))
    name, equals, paths = value.partition("=")
    return _ordered({"id": name, "paths": paths.split(",") if equals else []}, ("id", "paths"))


def parse_policy(value: str | Mapping[str, object]) -> Entry:
    """One item of policy (buildx 0.31 and later): kept as the mapping that it is."""
    if not isinstance(value, str):
        return {key: cast(JsonValue, item) for key, item in value.items() if item not in (None, "")}
    return _pairs(split_fields(value), strip=True)


_ENTRY_PARSERS: Final[Mapping[str, Callable[[str | Mapping[str, object]], list[Entry]]]] = {
    "cache-from": parse_cache_entries,
    "cache-to": parse_cache_entries,
    "output": lambda value: [parse_output(value)],
    "secret": lambda value: [parse_secret(value)],
    "ssh": lambda value: [parse_ssh(value)],
    "attest": lambda value: [parse_attest(value)],
    "policy": lambda value: [parse_policy(value)],
}


def parse_entries(name: str, values: Iterable[str]) -> list[Entry]:
    """The entries that `--set TARGET.name=…` gives, empty strings dropped."""
    parse = _ENTRY_PARSERS[name]
    return [entry for value in values if value for entry in parse(value)]


def _typed_object(value: Mapping[str, object]) -> Entry:
    if not value.get("type"):
        raise MalformedValueError("an entry has no type", help='add type = "registry", "local", "gha", …')
    return cast(Entry, dict(value))


def _pairs(fields: list[str], *, strip: bool = False) -> Entry:
    entry: Entry = {}
    for field in fields:
        key, equals, text = field.partition("=")
        if not equals:
            raise MalformedValueError(
                f'"{field}" is not key=value',
                help="write key=value pairs, separated by commas",
                detail=f"invalid value {field}",
            )
        key = key.lower()
        entry[key.strip() if strip else key] = text
    return entry


def _attest_pairs(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in split_fields(value):
        key, equals, text = field.partition("=")
        if not equals:
            raise MalformedValueError(
                f'"{field}" is not key=value',
                help="write key=value pairs, separated by commas",
                detail=f"invalid value {field}",
            )
        folded = key.lower().strip()
        # Only the two keys that mean something are folded; buildx hands every other one on as it was written.
        found[folded if folded in ("type", "disabled") else key] = text
    return found


def _ordered(value: Mapping[str, object], keys: tuple[str, ...]) -> Entry:
    """The entries of `value` that are not empty, in the order they are printed."""
    return {key: cast(JsonValue, value[key]) for key in keys if value.get(key)}
