"""The diagnostic codes of the resolution half (`HB-BAKE-2xx`), each with its meaning. Never reuse, never renumber."""

from __future__ import annotations

from typing import Final

ENTRY = "HB-BAKE-201"
UNKNOWN_PARENT = "HB-BAKE-210"
CIRCULAR_INHERITS = "HB-BAKE-211"
UNKNOWN_MEMBER = "HB-BAKE-212"
CIRCULAR_LIMIT = "HB-BAKE-213"
UNKNOWN_LINK = "HB-BAKE-220"
LINK_TO_ITSELF = "HB-BAKE-221"
CIRCULAR_LINKS = "HB-BAKE-222"
LINK_PLATFORMS = "HB-BAKE-223"
UNBUILDABLE = "HB-BAKE-230"
NO_FILE = "HB-BAKE-240"
UNREADABLE_FILE = "HB-BAKE-241"
LARGE_FILE = "HB-BAKE-242"
FILE_ENCODING = "HB-BAKE-243"
COMPOSE_SYNTAX = "HB-BAKE-250"
COMPOSE_SCHEMA = "HB-BAKE-251"
COMPOSE_INTERPOLATION = "HB-BAKE-252"
COMPOSE_REFERENCE = "HB-BAKE-253"
COMPOSE_ENV_FILE = "HB-BAKE-254"
COMPOSE_UNSET = "HB-BAKE-255"
COMPOSE_UNKNOWN_KEY = "HB-BAKE-256"

MEANINGS: Final[dict[str, str]] = {
    ENTRY: "an entry of cache-from, cache-to, output, secret, ssh or attest that cannot be read",
    UNKNOWN_PARENT: "`inherits` names something that is not a target",
    CIRCULAR_INHERITS: "warning: targets inherit each other in a circle",
    UNKNOWN_MEMBER: "a group holds a name that is neither a target nor a group",
    CIRCULAR_LIMIT: "targets inherit each other in circles too large to follow",
    UNKNOWN_LINK: "a `target:` context names something that is not a target",
    LINK_TO_ITSELF: "a target uses itself as a context",
    CIRCULAR_LINKS: "targets use each other as contexts in a circle",
    LINK_PLATFORMS: "a target is built for platforms that the target it links to is not",
    UNBUILDABLE: "a value that BuildKit cannot use, or a local file that a target needs and that is not there",
    NO_FILE: "no bake file was found",
    UNREADABLE_FILE: "a bake file that cannot be opened",
    LARGE_FILE: "a bake file beyond the size that hpcbake reads",
    FILE_ENCODING: "a bake file that is not UTF-8",
    COMPOSE_SYNTAX: "a compose file that is not YAML, or not a mapping",
    COMPOSE_SCHEMA: "a compose file with a key or value that the compose specification does not have",
    COMPOSE_INTERPOLATION: "a `${…}` of a compose file that cannot be resolved",
    COMPOSE_REFERENCE: "a compose file that refers to a service, secret or file that is not there",
    COMPOSE_ENV_FILE: "an env file that cannot be read",
    COMPOSE_UNSET: "warning: a compose file uses a variable that is not set",
    COMPOSE_UNKNOWN_KEY: "warning: a key of x-bake that means nothing",
}
