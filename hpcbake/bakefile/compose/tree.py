"""A YAML document as nodes that know where they were written.

Scalars are resolved as go-yaml resolves them, which is neither YAML 1.1 nor 1.2: `yes` is a string, `0o17` and `017`
are octal, `1_000` is a number, and a bare date is a date. Built from parser events with a stack of its own, so that
deep nesting and alias bombs meet a limit that is named and not a crash.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator
from dataclasses import field
from typing import Final, Protocol

import yaml

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.model.late import dataclass

DEEPEST_NESTING: Final = 200
MOST_NODES: Final = 200_000

_Loader = getattr(yaml, "CLoader", yaml.Loader)
_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", re.DOTALL)
_NAMED: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
}


class _Mark(Protocol):
    """A place in the text, as both of PyYAML's parsers give it."""

    @property
    def index(self) -> int: ...


@dataclass(frozen=True)
class Timestamp:
    """A bare date: nothing in a compose file may be one."""

    text: str


Scalar = None | bool | int | float | str | Timestamp


@dataclass(frozen=True)
class Node:
    """A value and where it was written. `tag` is `!reset` or `!override` where a file says so."""

    value: dict[str, Node] | list[Node] | Scalar
    span: Span
    tag: str = ""
    #: How many nodes this one stands for with all aliases written out.
    size: int = field(default=1, compare=False)
    #: Where the key of this value was written, when it is one of a mapping.
    key_span: Span | None = field(default=None, compare=False)

    @property
    def mapping(self) -> dict[str, Node]:
        """The entries of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; empty for anything else."""
        return self.value if isinstance(self.value, list) else []

    def get(self, *path: str) -> Node | None:
        """What lies at `path` below this mapping, or None."""
        node: Node | None = self
        for key in path:
            node = node.mapping.get(key) if node else None
        return node

    def with_value(self, value: dict[str, Node] | list[Node] | Scalar) -> Node:
        """The same place with another value."""
        return Node(value, self.span, self.tag, self.size, self.key_span)

    def plain(self) -> object:
        """The value without places, for comparison."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def parse_yaml(source: SourceFile) -> list[Node]:
    """The documents of `source` that hold anything. Raises BakeFileError for what is not YAML."""
    try:
        return list(_documents(source))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        advice = "check the indentation, and quote values that hold `: ` or start with a special character"
        if mark and source.line_text(mark.line + 1).lstrip(" ").startswith("\t"):
            advice = "YAML is indented by spaces, never by tabs"
        raise BakeFileError(
            Diagnostic(
                codes.COMPOSE_SYNTAX,
                f"this is not YAML: {error.problem or error.context}",
                _span(source, mark, mark) if mark else None,
                advice,
            )
        ) from error
    except yaml.YAMLError as error:
        raise BakeFileError(
            Diagnostic(codes.COMPOSE_SYNTAX, f"{source.name} is not YAML: {error}", help="save it as plain UTF-8 text")
        ) from error


@dataclass
class _Open:
    """A mapping or list whose end has not been met yet."""

    event: yaml.CollectionStartEvent
    nodes: list[Node] = field(default_factory=list)
    plain_merge: list[bool] = field(default_factory=list)


def _documents(source: SourceFile) -> Iterator[Node]:
    builder = _Builder(source)
    for event in yaml.parse(source.text, Loader=_Loader):
        builder.take(event)
        if isinstance(event, yaml.DocumentEndEvent):
            if builder.root is not None and not (builder.root.value is None and builder.is_empty):
                yield builder.root
            builder = _Builder(source)


class _Builder:
    """Makes one document of its events."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.root: Node | None = None
        self.is_empty = False
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: yaml.Event) -> None:
        """Use the next event."""
        if isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= DEEPEST_NESTING:
                raise self._limit(event, f"nested deeper than {DEEPEST_NESTING} levels")
            self._open.append(_Open(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.ScalarEvent):
            span = _span(self.source, event.start_mark, event.end_mark)
            self.is_empty = not event.value and event.style in (None, "")
            self._add(self._scalar(event, span), event.anchor, is_plain=event.style in (None, ""))
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._failure(event, f"unknown anchor '{event.anchor}' referenced")
            self._add(self._anchors[event.anchor], None, is_plain=False)

    def _close(self, event: yaml.Event) -> None:
        done = self._open.pop()
        span = _span(self.source, done.event.start_mark, event.end_mark)
        size = 1 + sum(node.size for node in done.nodes)
        if size > MOST_NODES:
            raise self._limit(done.event, f"larger than {MOST_NODES} values once its aliases are written out")
        tag = done.event.tag if done.event.tag in ("!reset", "!override") else ""
        value = self._mapping(done) if isinstance(done.event, yaml.MappingStartEvent) else done.nodes
        self._add(Node(value, span, tag, size), done.event.anchor, is_plain=False)

    def _add(self, node: Node, anchor: str | None, *, is_plain: bool) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        self._open[-1].nodes.append(node)
        self._open[-1].plain_merge.append(is_plain)

    def _mapping(self, done: _Open) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for i in range(0, len(done.nodes), 2):
            key, value = done.nodes[i], done.nodes[i + 1]
            if key.value == "<<" and done.plain_merge[i]:
                for source in value.items if isinstance(value.value, list) else [value]:
                    merged = {**source.mapping, **merged}
                continue
            if not isinstance(key.value, str):
                raise self._failure(done.event, f"non-string key: {key.span.text.strip() or 'null'}", key.span)
            if key.value in own:
                raise self._failure(done.event, f'mapping key "{key.value}" is written twice', key.span)
            own[key.value] = Node(value.value, value.span, value.tag, value.size, key.span)
        return {**merged, **own}

    def _scalar(self, event: yaml.ScalarEvent, span: Span) -> Node:
        tag = event.tag or ""
        if tag in ("!reset", "!override"):
            return Node(resolve_scalar(event.value), span, tag)
        is_plain = event.style in (None, "") and tag == ""
        if is_plain or tag in (_TAG + "int", _TAG + "float", _TAG + "timestamp"):
            return Node(resolve_scalar(event.value), span)
        if tag == "!" and not event.value:
            return Node(None, span)
        if tag in (_TAG + "bool", _TAG + "null"):
            value = resolve_scalar(event.value)
            if isinstance(value, bool) if tag == _TAG + "bool" else value is None:
                return Node(value, span)
            raise self._failure(event, f"{event.value!r} is not a {tag.removeprefix(_TAG)}", span)
        if tag == _TAG + "binary":
            return Node(self._binary(event, span), span)
        return Node(event.value, span)

    def _binary(self, event: yaml.ScalarEvent, span: Span) -> str:
        try:
            return base64.b64decode("".join(event.value.split()), validate=True).decode()
        except ValueError as error:
            raise self._failure(event, "this is not base64 of a text", span) from error

    def _failure(self, event: yaml.Event, message: str, span: Span | None = None) -> BakeFileError:
        place = span or _span(self.source, event.start_mark, event.start_mark)
        return BakeFileError(
            Diagnostic(codes.COMPOSE_SYNTAX, message, place, "keys are texts, and each stands once in its mapping")
        )

    def _limit(self, event: yaml.Event, message: str) -> BakeFileError:
        place = _span(self.source, event.start_mark, event.start_mark)
        return BakeFileError(Diagnostic(codes.COMPOSE_SYNTAX, f"this is {message}", place, "make the file simpler"))


def _span(source: SourceFile, start: _Mark | None, end: _Mark | None) -> Span:
    shift = 1 if source.text.startswith("\ufeff") and _Loader is yaml.Loader else 0
    first = min(start.index + shift if start else 0, len(source.text))
    last = min(max(end.index + shift if end else 0, first), len(source.text))
    return Span(source, first, first + len(source.text[first:last].rstrip()))


def resolve_scalar(text: str) -> Scalar:
    """The value that a plain scalar stands for."""
    if text in _NAMED:
        return _NAMED[text]
    first = text[0]
    if first == ".":
        return float(text) if _FLOAT.fullmatch(text) else text
    if not (first.isascii() and (first.isdecimal() or first in "+-")):
        return text
    if _DATE.fullmatch(text):
        return Timestamp(text)
    number = text.replace("_", "")
    integer = _find_integer(number)
    if integer is not None:
        return integer
    if _FLOAT.fullmatch(number):
        value = float(number)
        return text if math.isinf(value) else value
    return text


#: No integer of 64 bits has more, in any base.
_MOST_DIGITS = 64


def _find_integer(text: str) -> int | None:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-") if len(text) - len(text.lstrip("+-")) <= 1 else ""
    base = {"0x": 16, "0X": 16, "0b": 2, "0B": 2, "0o": 8, "0O": 8}.get(digits[:2], 10)
    if base != 10:
        digits = digits[2:]
    elif len(digits) > 1 and digits.startswith("0"):
        base = 8
    allowed = "0123456789abcdefABCDEF"[:base] if base <= 10 else "0123456789abcdefABCDEF"
    if not digits or any(c not in allowed for c in digits):
        return None
    if len(digits.lstrip("0")) > _MOST_DIGITS:
        return None
    value = sign * int(digits, base)
    return value if -(2**63) <= value < 2**64 else None


def scalar_text(value: Scalar) -> str:
    """A scalar as Go prints it: `1.50` is 1.5, a million is 1e+06 if it was written as a float."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    return value.text if isinstance(value, Timestamp) else str(value)


def go_float(value: float) -> str:
    """`value` in the shortest form that reads back the same, with an exponent from a million on (Go's %v)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    mantissa, _, exponent_text = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole + fraction) - len(digits)
    exponent = int(exponent_text or "0") + len(whole) - leading_zeros - 1
    digits = digits.rstrip("0") or "0"
    if not -4 <= exponent < 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return f"{sign}{digits}{'0' * (exponent + 1 - len(digits))}"
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"
