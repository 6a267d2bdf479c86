"""A site config as it takes effect: every key with its value, and the line that says so or that it is the default."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.model.version import Version
from hpcbake.sites.document import Field
from hpcbake.sites.schema import SECTIONS


@dataclass(frozen=True)
class Setting:
    """One key (`slurm.partition`), its value as JSON knows it, and its line in the file; None for a default."""

    key: str
    value: object
    line: int | None

    @property
    def is_declared(self) -> bool:
        return self.line is not None


def effective_settings(site: Site, content: str) -> list[Setting]:
    """Every key of the schema in its order, with the value that this site has for it."""
    lines = dict(_lines_of(yaml.compose(content, Loader=yaml.SafeLoader), ""))
    return list(_settings(site, "", lines))


def _settings(value: object, section: str, lines: Mapping[str, int]) -> Iterator[Setting]:
    for name, entry in SECTIONS[section].items():
        key = f"{section}.{name}" if section else name
        found = _attribute(value, name)
        if key in SECTIONS and found is not None and not isinstance(found, tuple):
            yield from _settings(found, key, lines)
        else:
            yield Setting(key, None if found == "" else _plain(found, entry), lines.get(key))


def _attribute(value: object, name: str) -> object:
    """A key's attribute; durations are kept with their unit in the name."""
    return getattr(value, name) if hasattr(value, name) else getattr(value, f"{name}_s", None)


def _plain(value: object, entry: Field) -> object:
    if isinstance(value, Version):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item, entry) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item, entry) for key, item in dataclasses.asdict(value).items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _lines_of(node: Any, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.start_mark is not None:
                path = f"{prefix}.{key.value}" if prefix else str(key.value)
                yield path, key.start_mark.line + 1
                yield from _lines_of(value, path)


def render_settings(settings: list[Setting], path: str) -> str:
    """YAML with the origin of every value beside it."""
    rows: list[tuple[str, str]] = []
    opened: tuple[str, ...] = ()
    for setting in settings:
        *folders, name = setting.key.split(".")
        for depth, folder in enumerate(folders):
            if opened[: depth + 1] != tuple(folders[: depth + 1]):
                rows.append(("  " * depth + f"{folder}:", ""))
        opened = tuple(folders)
        origin = f"{path}:{setting.line}" if setting.is_declared else _default_note(setting)
        rows += _rows("  " * len(folders), name, setting.value, origin)
    width = min(max((len(text) for text, note in rows if note), default=0), 60)
    return "".join(f"{text:<{width}}  # {note}\n" if note else f"{text}\n" for text, note in rows)


def _default_note(setting: Setting) -> str:
    return "not declared" if setting.value is None else "default"


def _rows(indent: str, name: str, value: object, note: str) -> list[tuple[str, str]]:
    if isinstance(value, str) and "\n" in value:
        lines = [(f"{indent}  {line}", "") for line in value.rstrip("\n").split("\n")]
        return [(f"{indent}{name}: |", note), *lines]
    return [(f"{indent}{name}: {render_value(value)}", note)]


def render_value(value: object) -> str:
    """One value as YAML on one line. JSON is YAML, and its quotes keep text text."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ", ".join(render_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
