"""Regular expressions, in the syntax of Go (RE2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.functions.strings import LONGEST, bounded
from hpcbake.bakefile.goregex import PatternError, SlowPatternError, compile_pattern, expand_template
from hpcbake.bakefile.types import STRING, TupleType, Type, object_type
from hpcbake.bakefile.values import ListValue, Null, ObjectValue, TupleValue, Value, string

FUNCTIONS: Registry = {}
_PATTERN, _STRING = Parameter("pattern", STRING), Parameter("string", STRING)


def _compiled(pattern: str) -> Any:
    try:
        return compile_pattern(pattern)
    except PatternError as error:
        raise FunctionError(str(error), 0, error.advice) from None


def _checked(pattern: str) -> Any:
    """The pattern, with all of its groups named or none."""
    compiled = _compiled(pattern)
    names = [name for name in compiled.names if name]
    if names and len(names) != len(compiled.names):
        raise FunctionError("either all groups of a pattern are named, or none", 0)
    return compiled


@register(FUNCTIONS, "regex", _PATTERN, _STRING)
def _regex(pattern: str, text: str) -> Value:
    compiled = _checked(pattern)
    with _in_time(0):
        match = compiled.search(text)
    if match is None:
        raise FunctionError("the pattern does not match the text", advice="guard it: try(regex(…), default)")
    return _result(compiled, match)


@register(FUNCTIONS, "regexall", _PATTERN, _STRING)
def _regexall(pattern: str, text: str) -> Value:
    compiled = _checked(pattern)
    with _in_time(0):
        return ListValue(_result_type(compiled), tuple(_result(compiled, match) for match in compiled.search_all(text)))


@contextmanager
def _in_time(argument: int) -> Iterator[None]:
    try:
        yield
    except SlowPatternError as error:
        raise FunctionError(str(error), argument, error.advice) from None


def _result_type(compiled: Any) -> Type:
    if not compiled.names:
        return STRING
    if compiled.names[0]:
        return object_type(dict.fromkeys(compiled.names, STRING))
    return TupleType((STRING,) * len(compiled.names))


def _result(compiled: Any, match: Any) -> Value:
    """The whole match, or its groups: by name if they have names."""
    groups: list[Value] = [Null(STRING) if group is None else string(group) for group in match.groups()]
    if not groups:
        return string(match.group())
    if compiled.names[0]:
        return ObjectValue(dict(zip(compiled.names, groups, strict=True)))
    return TupleValue(tuple(groups))


@register(FUNCTIONS, "regex_replace", Parameter("str", STRING), _PATTERN, Parameter("replace", STRING))
def _regex_replace(text: str, pattern: str, template: str) -> Value:
    try:
        compiled = compile_pattern(pattern)
    except PatternError as error:
        raise FunctionError(str(error), 1, error.advice) from None
    pieces: list[str] = []
    at = length = 0
    with _in_time(1):
        for match in compiled.search_all(text):
            pieces.append(text[at : match.start()])
            pieces.append(expand_template(template, match, compiled.names))
            at = match.end()
            length += len(pieces[-1])
            if length > LONGEST:
                break
    pieces.append(text[at:])
    return bounded("".join(pieces))
