"""What may stand in a bake file: block types, their attributes, and the type of each attribute."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """How an attribute's value is read."""

    TEXT = "a string"
    FLAG = "a bool"
    TEXTS = "a list of strings"
    MAP = "a map of strings"
    #: A map whose null values are dropped.
    LOOSE_MAP = "a map of strings or null"
    #: cache-from and its like: each entry a string or an object.
    ENTRIES = "a list of strings or objects"


#: Attributes of a target, in the order in which they are evaluated and shown.
TARGET: dict[str, Kind] = {
    "description": Kind.TEXT,
    "inherits": Kind.TEXTS,
    "annotations": Kind.TEXTS,
    "attest": Kind.ENTRIES,
    "context": Kind.TEXT,
    "contexts": Kind.MAP,
    "dockerfile": Kind.TEXT,
    "dockerfile-inline": Kind.TEXT,
    "args": Kind.LOOSE_MAP,
    "labels": Kind.LOOSE_MAP,
    "tags": Kind.TEXTS,
    "cache-from": Kind.ENTRIES,
    "cache-to": Kind.ENTRIES,
    "target": Kind.TEXT,
    "secret": Kind.ENTRIES,
    "ssh": Kind.ENTRIES,
    "platforms": Kind.TEXTS,
    "output": Kind.ENTRIES,
    "pull": Kind.FLAG,
    "no-cache": Kind.FLAG,
    "network": Kind.TEXT,
    "no-cache-filter": Kind.TEXTS,
    "shm-size": Kind.TEXT,
    "ulimits": Kind.TEXTS,
    "call": Kind.TEXT,
    "entitlements": Kind.TEXTS,
    "extra-hosts": Kind.LOOSE_MAP,
    "policy": Kind.ENTRIES,
    "resources": Kind.MAP,
}
#: What buildx 0.29.1 does not know yet.
LATER = frozenset({"policy", "resources"})
GROUP: dict[str, Kind] = {"description": Kind.TEXT, "targets": Kind.TEXTS}

#: Everything that a block of each type may hold: attributes, then nested blocks.
BLOCKS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "target": (frozenset({*TARGET, "matrix", "name"}), frozenset()),
    "group": (frozenset({*GROUP, "matrix", "name"}), frozenset()),
    "variable": (frozenset({"type", "default", "description"}), frozenset({"validation"})),
    "function": (frozenset({"params", "variadic_params", "result"}), frozenset()),
}
VALIDATION = frozenset({"condition", "error_message"})

#: hpcbake's own: attributes of any name, no labels.
LOCALS = "locals"

#: Attributes that people write, and what bake calls them.
OTHER_NAMES: dict[str, str] = {
    "tag": "tags",
    "platform": "platforms",
    "outputs": "output",
    "secrets": "secret",
    "label": "labels",
    "arg": "args",
    "build-args": "args",
    "build_args": "args",
    "context_path": "context",
    "cache_from": "cache-from",
    "cache_to": "cache-to",
    "no_cache": "no-cache",
    "dockerfile_inline": "dockerfile-inline",
    "extra_hosts": "extra-hosts",
    "shm_size": "shm-size",
    "inherit": "inherits",
    "depends_on": "contexts",
    "extends": "inherits",
    "file": "dockerfile",
    "targets": "inherits",
    "annotation": "annotations",
    "ulimit": "ulimits",
    "cache-froms": "cache-from",
    "push": "output",
    "build-contexts": "contexts",
    "additional_contexts": "contexts",
}
