"""YAML documents whose scalars stay text and whose every value knows its line and column.

PyYAML's own types read `glibc: 2.30` as the float 2.3 and `no` as False. Here a scalar is the text that was
written; each field says itself what it accepts. All mistakes of a document are collected and raised at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

import yaml

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.version import Version, find_leading_version, parse_version
from hpcbake.sites.nodes import DeepNestingError, compose, place_of_error

#: A document larger than this is not a config file that somebody wrote.
MAX_DOCUMENT_BYTES = 1 << 20


@dataclass(frozen=True)
class Mistake:
    """One thing wrong in a document: where (1-based), what was expected, how to mend it."""

    line: int
    column: int
    message: str
    help: str = ""


@dataclass
class Reading:
    """The state of reading one document: its lines, for excerpts, and the mistakes found so far."""

    path: str
    text: str
    mistakes: list[Mistake] = field(default_factory=list)

    def mistake(self, node: yaml.Node, message: str, help_text: str = "") -> None:
        mark = node.start_mark
        assert mark is not None, "nodes that were read from text have a place"
        self.mistakes.append(Mistake(mark.line + 1, mark.column + 1, message, help_text))

    def sorted_mistakes(self) -> tuple[Mistake, ...]:
        """Each mistake once, as they stand in the file."""
        return tuple(sorted(dict.fromkeys(self.mistakes), key=lambda m: (m.line, m.column)))


def raise_if_wrong(found: Sequence[Mistake], path: str, text: str) -> None:
    """Raise one ConfigError that shows every mistake with its source line and a caret."""
    if not found:
        return
    lines = text.splitlines()
    shown = "\n".join(_render_mistake(path, lines, mistake) for mistake in found)
    count = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
    first = found[0]
    raise ConfigError(
        f"{path}:{first.line}:{first.column}: {count} in this file",
        remedy="mend the lines above; nothing was started",
        kind="config.site",
        evidence={"output": shown},
    )


def _render_mistake(path: str, lines: list[str], mistake: Mistake) -> str:
    source = lines[mistake.line - 1] if mistake.line <= len(lines) else ""
    parts = [
        f"{path}:{mistake.line}:{mistake.column}: {mistake.message}",
        f"    {source}",
        "    " + " " * (mistake.column - 1) + "^",
    ]
    if mistake.help:
        parts.append(f"    help: {mistake.help}")
    return "\n".join(parts)


# ---- fields ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """How one value is read. `parse` gets the YAML node and returns the value, or records a mistake.

    `schema` is the JSON Schema fragment of the same rule. `required` fields must be there;
    the others are left out of the result, so that the model's own defaults apply.
    """

    parse: Callable[[yaml.Node, Reading], Any]
    schema: Mapping[str, object]
    doc: str = ""
    required: bool = False


@dataclass(frozen=True)
class Section:
    """A mapping with known keys. Its value is a dict of those present."""

    fields: Mapping[str, Field]
    doc: str = ""

    def as_field(self, *, required: bool = False) -> Field:
        return Field(self.parse, self.schema(), self.doc, required)

    def schema(self) -> dict[str, object]:
        document: dict[str, object] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {**entry.schema, **({"description": entry.doc} if entry.doc else {})}
                for name, entry in self.fields.items()
            },
        }
        required = [name for name, entry in self.fields.items() if entry.required]
        if required:
            document["required"] = required
        return document

    def parse(self, node: yaml.Node, reading: Reading) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            if not _is_null(node):
                reading.mistake(node, f"expected a mapping with {_or_list(self.fields)}", "write `key: value` lines")
                return {}
            node = yaml.MappingNode(node.tag, [], node.start_mark, node.end_mark)
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if key in found:
                reading.mistake(key_node, f"`{key}` is given twice", "keep one of the two")
            elif key not in self.fields:
                reading.mistake(key_node, f"unknown key `{key}`", suggest(key, self.fields))
            elif _is_null(value_node) and value_node.value and not self.fields[key].required:
                found[key] = None  # `null` is "not declared"; nothing at all is a value that was forgotten
            else:
                found[key] = self.fields[key].parse(value_node, reading)
        for name, entry in self.fields.items():
            if entry.required and name not in found:
                reading.mistake(node, f"`{name}` is missing", entry.doc)
        return {key: value for key, value in found.items() if value is not None}


def suggest(word: str, known: Iterable[str]) -> str:
    """A did-you-mean sentence, or the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known keys: {', '.join(names)}"


def _or_list(names: Iterable[str]) -> str:
    return " / ".join(f"`{name}`" for name in names)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in ("", "null", "~", "Null", "NULL")


def _scalar(node: yaml.Node, reading: Reading, expected: str) -> str | None:
    if isinstance(node, yaml.ScalarNode) and not _is_null(node):
        return str(node.value)
    reading.mistake(node, f"expected {expected}")
    return None


def text(doc: str = "", *, pattern: str | None = None, expected: str = "a text", required: bool = False) -> Field:
    """A non-empty text of one line without control characters, matching `pattern` in full if given."""

    def parse(node: yaml.Node, reading: Reading) -> str | None:
        value = _scalar(node, reading, expected)
        if value is None:
            return None
        if not value or any(ord(ch) < 32 or ord(ch) == 127 for ch in value):
            reading.mistake(node, f"expected {expected} on one line, got {value!r}")
            return None
        if pattern and not re.fullmatch(pattern, value):
            reading.mistake(node, f"expected {expected}, got {value!r}", doc)
            return None
        return value

    schema: dict[str, object] = {"type": "string", "minLength": 1}
    if pattern:
        schema["pattern"] = f"^(?:{pattern})$"
    return Field(parse, schema, doc, required)


def shell_text(doc: str = "") -> Field:
    """Shell lines, run as they stand on the site: the one place where a config is code."""

    def parse(node: yaml.Node, reading: Reading) -> str | None:
        value = _scalar(node, reading, "shell commands")
        if value is not None and "\0" in value:
            reading.mistake(node, "shell commands cannot hold a NUL character")
            return None
        return value

    return Field(parse, {"type": "string"}, doc)


def choice(*options: str, doc: str = "") -> Field:
    """One of a few words."""

    def parse(node: yaml.Node, reading: Reading) -> str | None:
        value = _scalar(node, reading, _or_list(options))
        if value is not None and value not in options:
            close = difflib.get_close_matches(value, options, n=1)
            reading.mistake(
                node, f"expected {_or_list(options)}, got {value!r}", f"did you mean `{close[0]}`?" if close else ""
            )
            return None
        return value

    return Field(parse, {"enum": list(options)}, doc)


def integer(doc: str = "", *, low: int, high: int, required: bool = False) -> Field:
    """A whole number in decimal digits within bounds. `022` and `1:30` are refused, not reinterpreted."""

    def parse(node: yaml.Node, reading: Reading) -> int | None:
        value = _scalar(node, reading, f"a whole number from {low} to {high}")
        if value is None:
            return None
        if not re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) or not low <= int(value) <= high:
            reading.mistake(node, f"expected a whole number from {low} to {high}, got {value!r}")
            return None
        return int(value)

    return Field(parse, {"type": "integer", "minimum": low, "maximum": high}, doc, required)


def seconds(doc: str = "", *, high: float = 7 * 86400.0) -> Field:
    """A duration: seconds (`90`), or with a unit (`90s`, `15m`, `2h`)."""
    units = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    def parse(node: yaml.Node, reading: Reading) -> float | None:
        value = _scalar(node, reading, "a duration such as `90s` or `15m`")
        if value is None:
            return None
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]+)?)([smhd]?)", value)
        duration = float(match[1]) * units[match[2]] if match else -1.0
        if not 0 < duration <= high:
            reading.mistake(node, f"expected a duration such as `90s`, `15m` or `2h` up to {high:.0f}s, got {value!r}")
            return None
        return duration

    return Field(parse, {"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?[smhd]?$"}, doc)


def version(doc: str = "") -> Field:
    """A version number, kept as written: `2.30` stays 2.30 whether quoted or not."""

    def parse(node: yaml.Node, reading: Reading) -> Version | None:
        value = _scalar(node, reading, "a version number such as '2.28'")
        if value is None:
            return None
        if find_leading_version(value) is None:
            reading.mistake(node, f"expected a version number such as '2.28', got {value!r}")
            return None
        leading = find_leading_version(value)
        assert leading is not None
        return leading if "-" in value else _exact_version(value, node, reading)

    return Field(parse, {"type": ["string", "number"]}, doc)


def _exact_version(value: str, node: yaml.Node, reading: Reading) -> Version | None:
    try:
        return parse_version(value)
    except ConfigError:
        reading.mistake(node, f"expected a version number such as '2.28', got {value!r}")
        return None


def boolean(doc: str = "") -> Field:
    """`true` or `false`, and nothing that only resembles them."""

    def parse(node: yaml.Node, reading: Reading) -> bool | None:
        value = _scalar(node, reading, "`true` or `false`")
        if value is not None and value not in ("true", "false"):
            reading.mistake(node, f"expected `true` or `false`, got {value!r}")
            return None
        return None if value is None else value == "true"

    return Field(parse, {"type": "boolean"}, doc)


def listing(item: Field, doc: str = "") -> Field:
    """A list of one kind of value, as a tuple."""

    def parse(node: yaml.Node, reading: Reading) -> tuple[Any, ...] | None:
        if _is_null(node):
            return ()
        if not isinstance(node, yaml.SequenceNode):
            reading.mistake(node, "expected a list", "write `[a, b]` or one `- a` per line")
            return None
        values = (item.parse(child, reading) for child in node.value)
        return tuple(value for value in values if value is not None)

    return Field(parse, {"type": "array", "items": dict(item.schema)}, doc)


@dataclass(frozen=True)
class Document:
    """One document as it was read: its values, every mistake in the order of the lines, and where things stand."""

    values: Mapping[str, Any]
    mistakes: tuple[Mistake, ...]
    node: yaml.Node | None = None


def read_document(content: str, path: str, section: Section) -> Document:
    """Read one YAML document by `section`, with all that is wrong in it.

    Anchors and aliases are refused: a config of this size needs none, and they let a small file grow without bound.
    Raises ConfigError for what is no config file at all: empty, far too large, nested without end.
    """
    reading = Reading(path, content)
    node, values = _compose(content, reading), {}
    if node is None and not reading.mistakes:
        raise ConfigError(
            f"{path}: the file is empty", remedy="copy an example from site-configs/", kind="config.empty"
        )
    if node is not None:
        values = section.parse(node, reading)
    return Document(values, reading.sorted_mistakes(), node)


def _compose(content: str, reading: Reading) -> yaml.Node | None:
    """The document as nodes; None where it holds nothing, or nothing that is YAML, which is then noted."""
    if len(content) > MAX_DOCUMENT_BYTES:
        raise ConfigError(
            f"{reading.path}: {len(content)} bytes is more than a config file may have ({MAX_DOCUMENT_BYTES})",
            remedy="check that this is the file you meant",
            kind="config.too-large",
        )
    try:
        node, aliases = compose(content)
    except DeepNestingError:
        raise ConfigError(
            f"{reading.path}: nested too deeply to be a config file",
            remedy="check that this is the file you meant",
            kind="config.too-large",
        ) from None
    except yaml.YAMLError as error:
        line, column = place_of_error(error, content)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
        reading.mistakes.append(Mistake(line, column, f"not valid YAML: {problem}"))
        return None
    for line, column in aliases:
        message = "YAML aliases (`*name`) are not read"
        reading.mistakes.append(Mistake(line, column, message, "write the value out"))
    return node


def parse_document(content: str, path: str, section: Section) -> dict[str, Any]:
    """The values of one YAML document. Raises ConfigError showing every mistake at once."""
    document = read_document(content, path, section)
    raise_if_wrong(document.mistakes, path, content)
    return dict(document.values)
