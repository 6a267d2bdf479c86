"""One line of comma-separated values, as the string forms of cache, output, secret and attest are written.

RFC 4180 for a single record: a field in double quotes may hold commas, and `""` inside it is one quote.
"""

from __future__ import annotations


class MalformedValueError(ValueError):
    """A value that cannot be read. The caller knows where it was written and turns this into a diagnostic.

    `detail` is what buildx says in its place, where that is something else.
    """

    def __init__(self, message: str, *, help: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.detail = detail or message


def split_fields(line: str) -> list[str]:
    """The fields of one record. Raises MalformedValueError for stray quotes and for an empty line."""
    line = line.removesuffix("\n").removesuffix("\r") if line.endswith("\n") else line
    if not line:
        raise MalformedValueError("the value is empty", help="write key=value pairs, separated by commas")
    if '"' not in line:
        return line.split(",")
    fields: list[str] = []
    at = 0
    while True:
        field, at = _quoted_field(line, at) if line[at : at + 1] == '"' else _bare_field(line, at)
        fields.append(field)
        if at >= len(line):
            return fields
        at += 1  # the comma
        if at == len(line):
            return [*fields, ""]


def _bare_field(line: str, start: int) -> tuple[str, int]:
    end = line.find(",", start)
    field = line[start:] if end < 0 else line[start:end]
    if '"' in field:
        raise MalformedValueError(
            f'bare " in the unquoted field {field}',
            help='put the whole field in quotes and double the ones inside: "name=a,b"',
        )
    return field, len(line) if end < 0 else end


def _quoted_field(line: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    at = start + 1
    while True:
        end = line.find('"', at)
        if end < 0:
            raise MalformedValueError(f'the " in {line} is never closed', help='add the closing "')
        parts.append(line[at:end])
        following = line[end + 1 : end + 2]
        if following == '"':
            parts.append('"')
            at = end + 2
        elif following in ("", ","):
            return "".join(parts), end + 1
        else:
            raise MalformedValueError(
                f'extra text after the closing " in {line}',
                help="quote the whole field, with the key inside the quotes",
            )


def join_fields(fields: list[str]) -> str:
    """The record that `split_fields` reads back as `fields`."""
    return ",".join(_quote(field) for field in fields)


def _quote(field: str) -> str:
    if any(c in field for c in ',"\n\r') or not field:
        return '"' + field.replace('"', '""') + '"'
    return field
