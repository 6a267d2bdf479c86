"""`$VAR` and `${VAR…}` in compose and env files: plain, with default, with alternative, required."""

from __future__ import annotations

import re
from collections.abc import Callable

from hpcbake.bakefile.csvfields import MalformedValueError

#: The value of a variable, or None when it is not set.
Lookup = Callable[[str], "str | None"]
#: Told the name of each variable that was used without being set.
OnUnset = Callable[[str], None]

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATOR = re.compile(r":?[-+?]")
#: Defaults may hold variables whose defaults hold variables; nobody needs more of that.
_DEEPEST = 50


def _ignore(_name: str) -> None:
    return None


def substitute(text: str, lookup: Lookup, on_unset: OnUnset = _ignore, _depth: int = 0) -> str:
    """`text` with its variables replaced; `$$` is one `$`, and a `$` before anything else stays.

    Raises MalformedValueError for a `${` that is not a variable and for a required variable without a value.
    """
    if "$" not in text:
        return text
    if _depth > _DEEPEST:
        raise MalformedValueError(f"variables nested deeper than {_DEEPEST} levels", help="give the default directly")
    parts: list[str] = []
    at = 0
    while True:
        dollar = text.find("$", at)
        if dollar < 0:
            return "".join([*parts, text[at:]])
        parts.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        name = _NAME.match(text, dollar + 1)
        if following == "$":
            parts.append("$")
            at = dollar + 2
        elif name is not None:
            parts.append(_plain(name.group(), lookup, on_unset))
            at = name.end()
        elif following == "{":
            end = _closing_brace(text, dollar)
            parts.append(_braced(text, text[dollar + 2 : end], lookup, on_unset, _depth))
            at = end + 1
        else:
            parts.append("$")
            at = dollar + 1


def _plain(name: str, lookup: Lookup, on_unset: OnUnset) -> str:
    value = lookup(name)
    if value is None:
        on_unset(name)
        return ""
    return value


def _closing_brace(text: str, start: int) -> int:
    """Where the `${` at `start` ends: at the brace that closes it, or at the last of the line where none does.

    As in compose, every `{` nests, and whatever follows a `{` is passed over.
    """
    depth, at = 0, start
    while at < len(text):
        if text[at] == "{":
            depth += 1
            at += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    line_end = text.find("\n", start)
    last = text.rfind("}", start, line_end if line_end >= 0 else len(text))
    if last < 0:
        raise _invalid(text)
    return last


def _braced(whole: str, inside: str, lookup: Lookup, on_unset: OnUnset, depth: int) -> str:
    name_match = _NAME.match(inside)
    if name_match is None:
        raise _invalid(whole)
    name, rest = name_match.group(), inside[name_match.end() :]
    if not rest:
        return _plain(name, lookup, on_unset)
    operator_match = _OPERATOR.match(rest)
    if operator_match is None:
        raise _invalid(whole)
    operator, word = operator_match.group(), rest[operator_match.end() :]
    value = lookup(name)
    has_value = value is not None and (value != "" or not operator.startswith(":"))

    def expanded() -> str:
        return substitute(word, lookup, on_unset, depth + 1)

    if operator.endswith("-"):
        return value or "" if has_value else expanded()
    if operator.endswith("+"):
        return expanded() if has_value else ""
    if has_value:
        return value or ""
    reason = expanded()
    raise MalformedValueError(
        f"required variable {name} is missing a value" + (f": {reason}" if reason else ""),
        help=f"set {name} in the environment, in .env or with --var {name}=VALUE",
    )


def _invalid(text: str) -> MalformedValueError:
    return MalformedValueError(
        f'invalid interpolation format: "{text}"', help="write ${NAME} or ${NAME:-default}; a literal $ is $$"
    )
