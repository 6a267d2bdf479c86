"""Base64, CSV, JSON and URL encoding."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote_plus

from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.gocsv import CsvError, read_csv
from hpcbake.bakefile.jsonvalue import JsonError, from_json_text, to_json
from hpcbake.bakefile.types import STRING, object_type
from hpcbake.bakefile.values import ListValue, ObjectValue, Value, string

FUNCTIONS: Registry = {}
_STR = Parameter("str", STRING)


@register(FUNCTIONS, "base64encode", _STR)
def _base64encode(text: str) -> Value:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


@register(FUNCTIONS, "base64decode", _STR)
def _base64decode(text: str) -> Value:
    compact = text.replace("\r", "").replace("\n", "")
    try:
        data = base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        raise FunctionError("it is not base64", 0) from None
    try:
        return string(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise FunctionError("the decoded bytes are not UTF-8 text", 0) from None


@register(FUNCTIONS, "urlencode", _STR)
def _urlencode(text: str) -> Value:
    return quote_plus(text.encode("utf-8", "surrogatepass"), safe="~")


@register(FUNCTIONS, "jsonencode", Parameter("val", nullable=True))
def _jsonencode(value: Value) -> Value:
    try:
        return to_json(value)
    except JsonError as error:
        raise FunctionError(str(error)) from None


@register(FUNCTIONS, "jsondecode", _STR)
def _jsondecode(text: str) -> Value:
    try:
        return from_json_text(text)
    except JsonError as error:
        raise FunctionError(str(error)) from None


@register(FUNCTIONS, "csvdecode", _STR)
def _csvdecode(text: str) -> Value:
    try:
        rows = read_csv(text)
    except CsvError as error:
        raise FunctionError(str(error)) from None
    if not rows:
        raise FunctionError("the header line is missing")
    header = [string(name) for name in rows[0]]
    for name in header:
        if header.count(name) > 1:
            raise FunctionError(f'two columns are named "{name}"')
    row_type = object_type(dict.fromkeys(header, STRING))
    records = tuple(ObjectValue(dict(zip(header, map(string, row), strict=True))) for row in rows[1:])
    return ListValue(row_type, records)
