"""YAML text as nodes that know their places, with the limits that a config file of any size in use never meets.

The text is scanned once, which takes nearly all of the time: by libyaml where PyYAML has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

#: A config nests four or five levels deep. PyYAML's effort grows with the square of the depth.
_MAX_DEPTH = 50


class DeepNestingError(Exception):
    """The document is nested deeper than any config."""


class _EventComposer(Composer, Resolver):
    """PyYAML's composer over events that were read already."""

    def __init__(self, events: Sequence[yaml.Event]) -> None:
        Composer.__init__(self)
        Resolver.__init__(self)
        self._events = events
        self._at = 0

    def peek_event(self) -> yaml.Event:
        return self._events[self._at]

    def get_event(self) -> yaml.Event:
        self._at += 1
        return self._events[self._at - 1]

    def check_event(self, *choices: type[yaml.Event]) -> bool:
        return self._at < len(self._events) and (not choices or isinstance(self._events[self._at], choices))


@lru_cache(maxsize=8)
def compose(content: str) -> tuple[yaml.Node | None, tuple[tuple[int, int], ...]]:
    """The document's node, None for an empty one; or none, and line and column of every alias. Change no node.

    Raises YAMLError for what is not YAML, DeepNestingError.
    """
    try:
        events = _read_events(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        events = _read_events(content, yaml.SafeLoader)  # says better what is wrong
    aliases = [event.start_mark for event in events if isinstance(event, yaml.AliasEvent)]
    if aliases:
        return None, tuple((mark.line + 1, mark.column + 1) for mark in aliases if mark is not None)
    return _EventComposer(events).get_single_node(), ()


def _read_events(content: str, loader: Any) -> list[yaml.Event]:
    """Raises YAMLError, DeepNestingError."""
    events: list[yaml.Event] = []
    depth = 0
    for event in yaml.parse(content, Loader=loader):
        events.append(event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise DeepNestingError
    return events


def place_of_error(error: yaml.YAMLError, content: str) -> tuple[int, int]:
    """Line and column of what PyYAML stumbled over, 1-based."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return mark.line + 1, mark.column + 1
    position = getattr(error, "position", None)  # a character that YAML does not allow
    if not isinstance(position, int):
        return 1, 1
    return content.count("\n", 0, position) + 1, position - content.rfind("\n", 0, position)
