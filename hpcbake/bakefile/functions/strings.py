"""Strings. Characters are grapheme clusters wherever lengths and positions count."""

from __future__ import annotations

import posixpath
import re

from hpcbake.bakefile.functions.arguments import whole
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.gocase import to_lower, to_title, to_upper
from hpcbake.bakefile.number import Number, from_int
from hpcbake.bakefile.source import SPACES, count_graphemes, split_graphemes
from hpcbake.bakefile.types import BYTES, NUMBER, STRING, ListType
from hpcbake.bakefile.values import BytesValue, ListValue, Null, Value, string

FUNCTIONS: Registry = {}
_STR = Parameter("str", STRING)
_STRINGS = ListType(STRING)
#: Results of `indent` and `replace` may grow so long.
LONGEST = 10_000_000


def bounded(text: str) -> str:
    """A string value, unless it has grown out of all proportion."""
    if len(text) > LONGEST:
        raise FunctionError(f"the result would have more than {LONGEST} characters")
    return string(text)


@register(FUNCTIONS, "upper", _STR)
def _upper(text: str) -> Value:
    return string(to_upper(text))


@register(FUNCTIONS, "lower", _STR)
def _lower(text: str) -> Value:
    return string(to_lower(text))


@register(FUNCTIONS, "title", _STR)
def _title(text: str) -> Value:
    return string(to_title(text))


@register(FUNCTIONS, "reverse", _STR)
def _reverse(text: str) -> Value:
    return string("".join(reversed(split_graphemes(text))))


@register(FUNCTIONS, "strlen", _STR)
def _strlen(text: str) -> Value:
    return from_int(count_graphemes(text))


@register(FUNCTIONS, "substr", _STR, Parameter("offset", NUMBER), Parameter("length", NUMBER))
def _substr(text: str, offset_number: Number, length_number: Number) -> Value:
    offset, length = whole(offset_number, 1), whole(length_number, 2)
    clusters = split_graphemes(text)
    if offset < 0:
        offset += len(clusters)
    elif length == 0:
        return ""
    rest = clusters[max(offset, 0) :]
    # As in buildx, a length of 0 counts from the end like a negative one if the offset was negative.
    return string("".join(rest if length <= 0 else rest[:length]))


@register(FUNCTIONS, "join", Parameter("separator", STRING), variadic=Parameter("lists", _STRINGS))
def _join(separator: str, *lists: ListValue) -> Value:
    if not lists:
        raise FunctionError("it needs at least one list", advice='it is called as join(",", list)')
    texts: list[str] = []
    for number, items in enumerate(lists):
        for position, item in enumerate(items.items):
            if isinstance(item, Null):
                raise FunctionError(f"element {position} is null", number + 1, "drop nulls first: compact(list)")
            texts.append(str(item))
    if len(separator) * len(texts) > LONGEST:
        raise FunctionError(f"the result would have more than {LONGEST} characters")
    return bounded(separator.join(texts))


@register(FUNCTIONS, "split", Parameter("separator", STRING), _STR)
def _split(separator: str, text: str) -> Value:
    pieces = text.split(separator) if separator else list(text)
    return ListValue(STRING, tuple(map(string, pieces)))


@register(FUNCTIONS, "sort", Parameter("list", _STRINGS))
def _sort(items: ListValue) -> Value:
    for position, item in enumerate(items.items):
        if isinstance(item, Null):
            raise FunctionError(f"element {position} is null; it cannot be sorted")
    return ListValue(STRING, tuple(sorted(items.items, key=str)))


@register(FUNCTIONS, "chomp", _STR)
def _chomp(text: str) -> Value:
    return text.rstrip("\r\n")


@register(FUNCTIONS, "indent", Parameter("spaces", NUMBER), _STR)
def _indent(spaces: Number, text: str) -> Value:
    count = whole(spaces, 0)
    if count < 0:
        raise FunctionError("it must not be negative", 0)
    if count * text.count("\n") > LONGEST:
        raise FunctionError(f"the result would have more than {LONGEST} characters")
    return bounded(text.replace("\n", "\n" + " " * count))


@register(FUNCTIONS, "trim", _STR, Parameter("cutset", STRING))
def _trim(text: str, cutset: str) -> Value:
    return string(text.strip(cutset)) if cutset else text


@register(FUNCTIONS, "trimspace", _STR)
def _trimspace(text: str) -> Value:
    return string(text.strip(SPACES))


@register(FUNCTIONS, "trimprefix", _STR, Parameter("prefix", STRING))
def _trimprefix(text: str, prefix: str) -> Value:
    return string(text.removeprefix(prefix))


@register(FUNCTIONS, "trimsuffix", _STR, Parameter("suffix", STRING))
def _trimsuffix(text: str, suffix: str) -> Value:
    return string(text.removesuffix(suffix))


@register(FUNCTIONS, "replace", _STR, Parameter("substr", STRING), Parameter("replace", STRING))
def _replace(text: str, old: str, new: str) -> Value:
    if text.count(old) * len(new) > LONGEST:
        raise FunctionError(f"the result would have more than {LONGEST} characters")
    return bounded(text.replace(old, new))


@register(FUNCTIONS, "sanitize", Parameter("name", STRING))
def _sanitize(text: str) -> Value:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", text)


@register(FUNCTIONS, "basename", Parameter("path", STRING))
def _basename(path: str) -> Value:
    if not path:
        return "."
    return string(path.rstrip("/").rpartition("/")[2]) or "/"


@register(FUNCTIONS, "dirname", Parameter("path", STRING))
def _dirname(path: str) -> Value:
    return string(clean_path(path[: path.rfind("/") + 1]))


def clean_path(path: str) -> str:
    """A path without needless parts, as Go cleans it."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


@register(FUNCTIONS, "byteslen", Parameter("buf", BYTES))
def _byteslen(buffer: BytesValue) -> Value:
    return from_int(len(buffer.data))


@register(FUNCTIONS, "bytesslice", Parameter("buf", BYTES), Parameter("offset", NUMBER), Parameter("length", NUMBER))
def _bytesslice(buffer: BytesValue, offset_number: Number, length_number: Number) -> Value:
    offset, length = whole(offset_number, 1), whole(length_number, 2)
    if offset < 0 or length < 0 or offset + length > len(buffer.data):
        raise FunctionError("offset and length must lie within the bytes")
    return BytesValue(buffer.data[offset : offset + length])
