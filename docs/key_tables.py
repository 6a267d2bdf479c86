"""What a key of a file may hold and what it is without one, in words, from the reader's own table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tables import code


def value_text(schema: Mapping[str, Any]) -> str:
    """What a value may be, from the JSON Schema fragment of its field."""
    kind = schema.get("type")
    if "enum" in schema:
        return " or ".join(code(option) for option in schema["enum"])
    if kind == "integer":
        return f"whole number, {schema['minimum']} to {schema['maximum']}"
    if kind == "boolean":
        return "`true` or `false`"
    if kind == "array":
        return "list of " + (
            "mappings, see below" if schema["items"].get("type") == "object" else value_text(schema["items"])
        )
    if kind == "object":
        return "mapping, see below"
    if isinstance(kind, list):
        return "duration: `90`, `90s`, `15m`, `2h`" if "pattern" in schema else 'version, such as `"2.28"`'
    pattern = str(schema.get("pattern", "")).removeprefix("^(?:").removesuffix(")$")
    return f"text: {code(pattern)}" if pattern else ("text" if "minLength" in schema else "shell lines")


def default_text(key: str, defaults: object, *, required: bool) -> str:
    if required:
        return "required"
    value = next((getattr(defaults, name) for name in (key, f"{key}_s") if hasattr(defaults, name)), None)
    if value is None or value in ("", ()) or dataclasses.is_dataclass(value):
        return ""
    if hasattr(defaults, f"{key}_s"):
        return code(f"{value:g}s")
    if isinstance(value, tuple):
        return ", ".join(map(code, value))
    return code(str(value).lower() if isinstance(value, bool) else value)
