"""How two definitions of one target become one: the same rules for files, for `inherits` and for compose beside HCL.

The rules are a table, attribute by attribute; the functions below only carry them out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, cast

from hpcbake.bakefile.attributes import Attributes, Entry
from hpcbake.model.plan import JsonValue


class Rule(Enum):
    """What a later definition of an attribute does to an earlier one."""

    REPLACE = "the later value, if it is set"
    REPLACE_TEXT = "the later text, if it is not empty"
    MERGE_MAP = "both maps, the later value per key; null changes nothing"
    APPEND = "both lists; duplicates and empty strings are dropped in the end"
    APPEND_ENTRIES = "both lists of entries without duplicates"
    BY_TYPE = "both lists, one entry per type: the later in the earlier's place"
    BY_ID = "both lists, one entry per id: the later in the earlier's place"


#: Note that tags, platforms, output and cache-to are not additive.
RULES: Final[Mapping[str, Rule]] = {
    "description": Rule.REPLACE_TEXT,
    "inherits": Rule.APPEND,
    "annotations": Rule.APPEND,
    "attest": Rule.BY_TYPE,
    "context": Rule.REPLACE,
    "contexts": Rule.MERGE_MAP,
    "dockerfile": Rule.REPLACE,
    "dockerfile-inline": Rule.REPLACE,
    "args": Rule.MERGE_MAP,
    "labels": Rule.MERGE_MAP,
    "tags": Rule.REPLACE,
    "cache-from": Rule.APPEND_ENTRIES,
    "cache-to": Rule.REPLACE,
    "target": Rule.REPLACE,
    "secret": Rule.BY_ID,
    "ssh": Rule.BY_ID,
    "platforms": Rule.REPLACE,
    "output": Rule.REPLACE,
    "pull": Rule.REPLACE,
    "no-cache": Rule.REPLACE,
    "network": Rule.REPLACE,
    "no-cache-filter": Rule.APPEND,
    "shm-size": Rule.REPLACE,
    "ulimits": Rule.APPEND,
    "call": Rule.REPLACE,
    "entitlements": Rule.APPEND,
    "extra-hosts": Rule.MERGE_MAP,
    "policy": Rule.APPEND,
    "resources": Rule.MERGE_MAP,
}


def merge(earlier: Mapping[str, JsonValue], later: Mapping[str, JsonValue]) -> Attributes:
    """`later` laid over `earlier`, attribute by attribute. Neither argument is changed."""
    result = dict(earlier)
    for name, value in later.items():
        if value is not None:
            result[name] = _combine(RULES.get(name, Rule.REPLACE), result.get(name), value)
    return result


def _combine(rule: Rule, old: JsonValue, new: JsonValue) -> JsonValue:
    if rule is Rule.REPLACE:
        return new
    if rule is Rule.REPLACE_TEXT:
        return new or old
    if rule is Rule.MERGE_MAP:
        known = {key: value for key, value in cast(Entry, new).items() if value is not None}
        return {**cast(Entry, old or {}), **known}
    together = [*cast(list[JsonValue], old or []), *cast(list[JsonValue], new)]
    if rule is Rule.APPEND_ENTRIES:
        return without_duplicate_entries(together)
    if rule in (Rule.BY_TYPE, Rule.BY_ID):
        return one_per_key(together, "type" if rule is Rule.BY_TYPE else "id")
    return together


def without_duplicate_entries(entries: list[JsonValue]) -> list[JsonValue]:
    """`entries` with each entry once, in the order that buildx leaves them in.

    A duplicate gives its place to the entry that is last at that time (a, b, a, c, d becomes a, b, d, c): the order
    of cache imports is the order in which BuildKit tries them, so it is kept the same as buildx's.
    """
    kept = list(entries)
    identities = [json.dumps(entry, sort_keys=True) for entry in entries]
    place: dict[str, int] = {}  # of the entries after the present one, none of which is there twice
    for i in range(len(kept) - 1, -1, -1):
        identity = identities[i]
        duplicate = place.get(identity)
        if duplicate is not None:
            kept[duplicate], identities[duplicate] = kept[-1], identities[-1]
            place[identities[-1]] = duplicate
            kept.pop()
            identities.pop()
        place[identity] = i
    return kept


def one_per_key(entries: list[JsonValue], key: str) -> list[JsonValue]:
    """One entry for each value of `key`, a later one in the place of the earlier."""
    return list({cast(Entry, entry).get(key, ""): entry for entry in entries}.values())


_LISTS_OF_TEXT: Final = ("annotations", "tags", "platforms", "no-cache-filter", "ulimits", "entitlements")


def normalise(attributes: Mapping[str, JsonValue]) -> Attributes:
    """A target's attributes after its own overrides: duplicates dropped, and what one attribute implies for another."""
    result = dict(attributes)
    if result.get("network") == "host":
        result["entitlements"] = [*cast(list[JsonValue], result.get("entitlements") or []), "network.host"]
    for name in _LISTS_OF_TEXT:
        if name in result:
            result[name] = cast(JsonValue, _unique_texts(cast(list[str], result[name])))
    for name in ("cache-from", "cache-to", "output"):
        if name in result:
            result[name] = without_duplicate_entries(cast(list[JsonValue], result[name]))
    for name, key in (("attest", "type"), ("secret", "id"), ("ssh", "id")):
        if name in result:
            result[name] = one_per_key(cast(list[JsonValue], result[name]), key)
    if "contexts" in result:
        result["contexts"] = {name: place for name, place in cast(Entry, result["contexts"]).items() if place != ""}
    return result


def _unique_texts(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
