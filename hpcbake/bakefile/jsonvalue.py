"""Values to JSON text and back, as `jsonencode` and `jsondecode` do it."""

from __future__ import annotations

import json
import re
from typing import Any

from hpcbake.bakefile.number import Number, parse_number
from hpcbake.bakefile.values import (
    NULL,
    BytesValue,
    MapValue,
    Null,
    ObjectValue,
    TupleValue,
    TypeValue,
    Unknown,
    Value,
    string,
)

#: Nesting of JSON texts; Python's own reader has a limit of its own near 1,000.
MAX_JSON_DEPTH = 200


class JsonError(ValueError):
    """The text is not JSON, or the value has no JSON form."""


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
for _code in (*range(0x20), ord("<"), ord(">"), ord("&"), 0x2028, 0x2029):
    _ESCAPES.setdefault(chr(_code), f"\\u{_code:04x}")
_TRANSLATION = str.maketrans(_ESCAPES)


def quote_json(text: str) -> str:
    """A JSON string as Go writes it: `<`, `>`, `&` and the two odd line separators are escaped too."""
    return f'"{text.translate(_TRANSLATION)}"'


def to_json(value: Value) -> str:
    """The JSON text of a value, without blanks, object keys sorted. Raises JsonError."""
    if isinstance(value, str):
        return quote_json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        if value.is_infinite:
            raise JsonError("infinity has no JSON form")
        return str(value)
    if isinstance(value, Null):
        return "null"
    if isinstance(value, (MapValue, ObjectValue)):
        return "{" + ",".join(f"{quote_json(name)}:{to_json(item)}" for name, item in value.items.items()) + "}"
    if isinstance(value, (Unknown, BytesValue, TypeValue)):
        raise JsonError("this value has no JSON form")
    return "[" + ",".join(map(to_json, value.items)) + "]"


#: A bracket, or a string with whatever brackets are in it.
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class _NumberText(str):
    """A number as written in JSON."""

    __slots__ = ()


def from_json_text(text: str) -> Value:
    """The value of a JSON text: arrays become tuples, objects objects. Raises JsonError."""
    return _value(load_json(text), 0)


def load_json(text: str) -> Any:
    """A JSON text as Python data, numbers as their text. Raises JsonError."""
    if _nests_too_deep(text):
        raise JsonError(f"JSON nests deeper than {MAX_JSON_DEPTH} levels")
    try:
        return json.loads(text, parse_int=_NumberText, parse_float=_NumberText, parse_constant=_no_constant)
    except RecursionError:
        raise JsonError(f"JSON nests deeper than {MAX_JSON_DEPTH} levels") from None
    except ValueError as error:
        raise JsonError(f"this is not JSON: {error}") from None


def _nests_too_deep(text: str) -> bool:
    """Asked of the text: where Python's own parser gives up depends on its version."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return False
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > MAX_JSON_DEPTH + 1:
            return True
    return False


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def number_of(text: str) -> Number:
    """The number that a JSON number means. Raises JsonError."""
    number = parse_number(text)
    if number is None:
        raise JsonError(f"{text[:40]} is not a number that can be represented")
    return number


def is_number_text(data: object) -> bool:
    """Was this loaded from a JSON number?"""
    return isinstance(data, _NumberText)


def json_string(text: str) -> str:
    """A string value; halves of surrogate pairs become the replacement character."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return string(text)


def _value(data: Any, depth: int) -> Value:
    if depth > MAX_JSON_DEPTH:
        raise JsonError(f"JSON nests deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(data, _NumberText):
        return number_of(data)
    if isinstance(data, str):
        return json_string(data)
    if isinstance(data, bool):
        return data
    if data is None:
        return NULL
    if isinstance(data, list):
        return TupleValue(tuple([_value(item, depth + 1) for item in data]))
    return ObjectValue({json_string(name): _value(item, depth + 1) for name, item in data.items()})
