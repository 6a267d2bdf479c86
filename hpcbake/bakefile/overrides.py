"""`--set PATTERN.KEY[.NAME][+]=VALUE`, and the flags that are shorthands for it.

An override belongs to the targets that its pattern matches and is applied after inheritance; children inherit their
parents' overrides. Where buildx 0.29.1 has bugs (`--set` of network, no-cache-filter and ulimits loses the value; a
push override of one target leaks into its parents) this does what was meant: docs/reference/bake-resolution.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, cast

from hpcbake.bakefile.attributes import (
    Attributes,
    Entry,
    canonical_attest,
    find_bool,
    parse_bool,
    parse_entries,
)
from hpcbake.bakefile.csvfields import MalformedValueError, split_fields
from hpcbake.bakefile.merge import merge
from hpcbake.bakefile.pathmatch import compile_pattern
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.errors import UsageError
from hpcbake.model.plan import JsonValue
from hpcbake.model.record import Record

#: Keys whose values accumulate over repeated `--set`; everything else keeps the last value.
_LIST_KEYS: Final = frozenset(
    {
        "output", "cache-from", "cache-to", "tags", "platform", "secrets", "ssh", "attest", "entitlements",
        "annotations", "no-cache-filter", "ulimits", "policy",
    }
)  # fmt: skip
_TEXT_KEYS: Final = frozenset({"context", "dockerfile", "target", "call", "shm-size", "network"})
_BOOL_KEYS: Final = frozenset({"no-cache", "pull", "push", "load"})
_MAP_KEYS: Final = frozenset({"args", "contexts", "labels", "extra-hosts", "resources"})
_KEYS: Final = _LIST_KEYS | _TEXT_KEYS | _BOOL_KEYS | _MAP_KEYS
#: Keys that add to what is there even without `+=`.
_ALWAYS_ADDED: Final = frozenset({"annotations", "attest", "entitlements"})
#: The attribute behind a key where the two differ.
_ATTRIBUTE: Final = {"platform": "platforms", "secrets": "secret"}
_ENTRY_KEYS: Final = frozenset({"output", "cache-from", "cache-to", "secrets", "ssh", "attest", "policy"})
_INTEGER_RESOURCES: Final = frozenset({"cpu-shares", "cpu-period", "cpu-quota"})
#: push and load look at the outputs, so they come after everything that sets these.
_LAST: Final = ("push", "load")


class Override(Record):
    """What `--set` says about one key of one target. `source` is the text that the user typed last."""

    key: str
    name: str
    source: str
    values: tuple[str, ...] = ()
    append: bool = False

    @property
    def value(self) -> str:
        """The last value given."""
        return self.values[-1] if self.values else ""

    def with_values(self, values: tuple[str, ...]) -> Override:
        """The same override of other values."""
        return Override(self.key, self.name, self.source, values, self.append)


#: target → (key, name) → override
Overrides = dict[str, dict[tuple[str, str], Override]]


class FlagSettings(Record):
    """The flags of `docker buildx bake` that are shorthands for `--set`. None and "" mean "not given"."""

    push: bool | None = None
    load: bool | None = None
    no_cache: bool | None = None
    pull: bool | None = None
    sbom: str | None = None
    provenance: str | None = None
    call: str | None = None


def flag_overrides(flags: FlagSettings) -> list[str]:
    """The `--set` texts that `flags` stand for, in the order in which buildx appends them after the user's own."""
    settings: list[str] = []
    if flags.push:
        settings.append("*.push=true")
    if flags.load:
        settings.append("*.load=true")
    method = parse_call(flags.call or "")
    if method:
        settings.append(f"*.call={method}")
    if flags.no_cache is not None:
        settings.append(f"*.no-cache={'true' if flags.no_cache else 'false'}")
    if flags.pull is not None:
        settings.append(f"*.pull={'true' if flags.pull else 'false'}")
    if flags.sbom:
        settings.append(f"*.attest={canonical_attest('sbom', flags.sbom)}")
    if flags.provenance:
        settings.append(f"*.attest={canonical_attest('provenance', flags.provenance)}")
    return settings


def parse_call(text: str) -> str:
    """The method that `--call TEXT` asks for; `check` is spelt `lint` in plans, and `build` is none at all.

    Raises UsageError for options it does not have.
    """
    method = ""
    try:
        fields = split_fields(text) if text else []
    except MalformedValueError as malformed:
        raise UsageError(f"--call {text}: {malformed.message}", remedy=malformed.help) from malformed
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            if method:
                raise UsageError(f"--call {text}: two methods", remedy="ask for one: --call check,format=json")
            method = field
        elif key == "ignorestatus" and find_bool(value) is None:
            raise UsageError(f"--call {text}: {value} is neither true nor false", remedy="write ignorestatus=true")
        elif key not in ("format", "ignorestatus"):
            raise UsageError(f"--call {text}: unknown option {key}", remedy="the options are format and ignorestatus")
    method = "lint" if method == "check" else method
    return "" if method == "build" else method


def parse_overrides(settings: Sequence[str], targets: Iterable[str], environment: Mapping[str, str]) -> Overrides:
    """Every `--set` text, distributed over the targets that its pattern matches.

    Raises UsageError for a text that is not `PATTERN.KEY=VALUE`, and for a pattern without a target.
    """
    known = dict.fromkeys(targets)
    overrides: Overrides = {}
    for setting in settings:
        override = _parse_setting(setting)
        pattern = setting.partition("=")[0].partition(".")[0]
        names = expand_targets(pattern, known, setting)
        if override.key == "args" and "=" not in setting:
            if override.name not in environment:
                continue
            override = override.with_values((environment[override.name],))
        for name in names:
            keys = overrides.setdefault(name, {})
            former = keys.get((override.key, override.name))
            keys[override.key, override.name] = override.with_values(
                (*(former.values if former else ()), *override.values)
            )
    return overrides


def _parse_setting(setting: str) -> Override:
    left, equals, value = setting.partition("=")
    append = left.endswith("+")
    path = left.removesuffix("+")
    parts = path.split(".", 2)
    if len(parts) < 2:
        raise UsageError(
            f"--set {setting}: {path} does not name a target and a key",
            remedy="write TARGET.KEY=VALUE, for example --set '*.platform=linux/amd64'",
        )
    key, name = parts[1], parts[2] if len(parts) == 3 else ""
    if key in ("args", "contexts") and len(parts) != 3:
        raise UsageError(f"--set {setting}: {key} requires a name", remedy=f"write {path}.NAME=VALUE")
    if not equals and key != "args":
        raise UsageError(f"--set {setting} has no value", remedy=f"write {path}=VALUE; an empty VALUE clears")
    return Override(key, name, setting, (value,) if equals else (), append)


def expand_targets(pattern: str, targets: Collection[str], setting: str) -> list[str]:
    """The targets that the pattern of a `--set` means: the one of that name, else all that match."""
    if pattern in targets:
        return [pattern]
    expression = compile_pattern(pattern)
    if expression is None:
        raise UsageError(f"--set {setting}: {pattern} is not a valid pattern", remedy="close the [ or write \\[")
    names = [name for name in targets if expression.fullmatch(name)]
    if not names:
        raise UsageError(
            f"--set {setting}: could not find any target matching '{pattern}'",
            remedy=did_you_mean(pattern, targets, what="target"),
        )
    return names


def apply_overrides(attributes: Attributes, overrides: Mapping[tuple[str, str], Override]) -> Attributes:
    """`attributes` with one target's overrides on top. Raises UsageError for unknown keys and unreadable values."""
    result = attributes
    for override in sorted(overrides.values(), key=lambda o: _LAST.index(o.key) + 1 if o.key in _LAST else 0):
        try:
            result = _apply(result, override)
        except MalformedValueError as malformed:
            raise UsageError(f"--set {override.source}: {malformed.message}", remedy=malformed.help) from malformed
    return result


def _apply(attributes: Attributes, override: Override) -> Attributes:
    key = override.key
    if key in _TEXT_KEYS:
        return {**attributes, key: override.value}
    if key in _MAP_KEYS:
        return _apply_to_map(attributes, override)
    if key in ("push", "load"):
        change = _OUTPUT_CHANGES[key]
        return {**attributes, "output": change(_entries(attributes, "output"), parse_bool(override.value, key))}
    if key in _BOOL_KEYS:
        return {**attributes, key: parse_bool(override.value, key)}
    if key in _LIST_KEYS:
        return _apply_to_list(attributes, override)
    raise MalformedValueError(f"unknown key: {key}", help=_help_for_key(key))


def _apply_to_map(attributes: Attributes, override: Override) -> Attributes:
    if not override.name:
        raise MalformedValueError(f"{override.key} requires a name", help=f"write TARGET.{override.key}.NAME=VALUE")
    value: JsonValue = override.value
    if override.key == "resources" and override.name in _INTEGER_RESOURCES:
        if not override.value.lstrip("-").isdecimal():
            raise MalformedValueError(f"{override.value} is not a whole number", help="write it in digits")
        value = int(override.value)
    return {**attributes, override.key: {**cast(Entry, attributes.get(override.key) or {}), override.name: value}}


def _apply_to_list(attributes: Attributes, override: Override) -> Attributes:
    name = _ATTRIBUTE.get(override.key, override.key)
    new: JsonValue = list(override.values)
    if override.key in _ENTRY_KEYS:
        new = cast(JsonValue, parse_entries(name, override.values))
    if not (override.append or override.key in _ALWAYS_ADDED):
        return {**attributes, name: new}
    if override.key in _ENTRY_KEYS:
        old = {name: cast(JsonValue, _entries(attributes, name))}
        return {**attributes, **_ADDING.get(name, merge)(old, {name: new})}
    return {**attributes, name: [*cast(list[JsonValue], attributes.get(name) or []), *cast(list[JsonValue], new)]}


def _concatenate(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> Attributes:
    return {name: [*cast(list[JsonValue], old[name]), *cast(list[JsonValue], value)] for name, value in new.items()}


#: `+=` adds even to the attributes that merging replaces.
_ADDING: Final[Mapping[str, Callable[[Mapping[str, JsonValue], Mapping[str, JsonValue]], Attributes]]] = {
    "output": _concatenate,
    "cache-to": _concatenate,
}


def _entries(attributes: Attributes, name: str) -> list[Entry]:
    return cast(list[Entry], attributes.get(name) or [])


def force_push(outputs: list[Entry], push: bool) -> list[JsonValue]:
    """`outputs` as `--push` (or `push=false`) leaves them: images are pushed; without any other output one is added."""
    if not push:
        return _without_push(outputs)
    changed: list[JsonValue] = [{**o, "push": "true"} if o.get("type") == "image" else o for o in outputs]
    if all(o.get("type") == "docker" for o in outputs):
        changed.append({"push": "true", "type": "image"})
    return changed


def _without_push(outputs: list[Entry]) -> list[JsonValue]:
    """Without registry outputs; buildx lets the last output fill the gap, and the order of outputs shows."""
    kept = list(outputs)
    i = 0
    while i < len(kept):
        if kept[i].get("type") == "registry":
            kept[i] = kept[-1]
            kept.pop()
            continue
        if kept[i].get("type") == "image":
            kept[i] = {**kept[i], "push": "false"}
        i += 1
    return cast(list[JsonValue], kept)


def force_load(outputs: list[Entry], load: bool) -> list[JsonValue]:
    """`outputs` as `--load` leaves them: a docker output is added unless one is there or files are exported."""
    unchanged = cast(list[JsonValue], outputs)
    if not load:
        return unchanged
    for output in outputs:
        kind = output.get("type")
        if (kind == "docker" and not output.get("dest")) or kind not in ("docker", "image", "registry", "oci"):
            return unchanged
    return [*unchanged, {"type": "docker"}]


_OUTPUT_CHANGES: Final[Mapping[str, Callable[[list[Entry], bool], list[JsonValue]]]] = {
    "push": force_push,
    "load": force_load,
}


def _help_for_key(key: str) -> str:
    singular = {"platforms": "platform", "attests": "attest", "outputs": "output", "tag": "tags"}
    if key == "secret":
        return "with --set the key is secrets: --set TARGET.secrets=id=ID,src=FILE or TARGET.secrets=id=ID,env=NAME"
    if key in singular:
        return f"with --set the key is {singular[key]}"
    if key in ("inherits", "name", "matrix", "description", "dockerfile-inline"):
        return f"{key} cannot be set on the command line; change it in the bake file"
    return did_you_mean(key, _KEYS, what="key")
