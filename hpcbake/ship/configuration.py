"""Which value each setting has, and who said so: environment before project, project before user, user before system.

Flags come before all of these; they are the command line's (hpcbake/cli/configuration.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.ship.project import Project, project_of
from hpcbake.ship.project_keys import PROJECT, SECTIONS, USER
from hpcbake.ship.setting_table import OTHER_VARIABLES, SETTINGS, Setting
from hpcbake.sites.document import Reading, parse_document

#: Variables of this family are no settings.
_NO_SETTINGS = ("HPCBAKE_LAB_", "HPCBAKE_JOB_")


@dataclass(frozen=True)
class Layer:
    """One place where settings are said: its values as sections, and where each key stands, as people name it."""

    kind: str
    values: Mapping[str, Any]
    places: Mapping[str, str]


@dataclass(frozen=True)
class Chosen:
    """A setting's value, and who said so: `kind` is environment, project, user, system or default."""

    setting: Setting
    value: Any
    kind: str
    place: str = ""


class Configuration:
    """All layers, the strongest first."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)

    def choose(self, key: str) -> Chosen:
        """The value of a setting; what nobody has said is its default."""
        setting = SETTINGS[key]
        for layer in self._layers:
            value = find_value(layer.values, key)
            if value is not None:
                return Chosen(setting, value, layer.kind, layer.places.get(key, ""))
        return Chosen(setting, setting.default, "default")

    def value(self, key: str) -> Any:
        return self.choose(key).value

    def project(self) -> Project:
        """The project with what all layers say together. A list is taken whole from the strongest that has it."""
        values: dict[str, Any] = {}
        for layer in reversed(self._layers):
            for name, value in layer.values.items():
                values[name] = {**values.get(name, {}), **value} if name in SECTIONS else value
        if self.choose("builder").kind == "environment":
            values.pop("builders", None)  # who names a builder for this one call means it for every target
        return project_of(values, "configuration")


def find_value(values: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key, None where there is none."""
    section, _, name = key.rpartition(".")
    return values.get(section, {}).get(name) if section else values.get(name)


def parse_project_layer(content: str, path: str) -> Layer:
    """What a project file says. Raises ConfigError."""
    values = parse_document(content, path, PROJECT)
    project_of(values, path)
    return Layer("project", values, _places(content, path))


def parse_user_layer(content: str, path: Path, kind: str) -> Layer:
    """What the file of a user or of a machine says; one of comments alone says nothing. Raises ConfigError."""
    try:
        values = parse_document(content, str(path), USER)
    except ConfigError as error:
        if error.kind != "config.empty":
            raise
        return Layer(kind, {}, {})
    values = {**values, **_anchored(values, path.parent)}
    project_of(values, str(path))
    return Layer(kind, values, _places(content, str(path)))


def _anchored(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Notifications whose secret files are looked for beside the file that names them."""
    found = values.get("notifications")
    return {} if found is None else {"notifications": _with_folder(found, folder)}


def _with_folder(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {
            name: str(folder / inner)
            if name.endswith("file") and not inner.startswith("~")
            else _with_folder(inner, folder)
            for name, inner in value.items()
        }
    return tuple(_with_folder(item, folder) for item in value) if isinstance(value, tuple) else value


def read_environment(environment: Mapping[str, str]) -> Layer:
    """What HPCBAKE_ variables say; an empty one says nothing. Raises ConfigError naming every wrong one."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    mistakes: list[str] = []
    for key, setting in SETTINGS.items():
        name = next((word for word in setting.variables if environment.get(word)), None)
        if name is None:
            continue
        reading = Reading(f"${name}", environment[name])
        value = setting.field.parse(_node(environment[name], setting), reading)
        mistakes += [f"{name}: {mistake.message}" for mistake in reading.mistakes]
        section, _, inner = key.rpartition(".")
        (values.setdefault(section, {}) if section else values)[inner] = value
        places[key] = name
    if mistakes:
        raise ConfigError(
            f"environment variable {mistakes[0]}",
            remedy="correct it or unset it; docs/reference/settings.md says what each may be",
            kind="config.environment",
            evidence={"output": "\n".join(mistakes[1:])},
        )
    return Layer("environment", values, places)


def _node(text: str, setting: Setting) -> yaml.Node:
    """An environment variable's text as if it stood in a file; lists have commas between their items."""
    mark = yaml.Mark("", 0, 0, 0, None, 0)
    if setting.is_list:
        items = [yaml.ScalarNode("", item.strip(), mark, mark, "'") for item in text.split(",")]
        return yaml.SequenceNode("", items, mark, mark)
    return yaml.ScalarNode("", text, mark, mark, "'")


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """HPCBAKE_ variables that nothing reads, each with what was probably meant."""
    known = {word for setting in SETTINGS.values() for word in setting.variables} | set(OTHER_VARIABLES)
    found = []
    for name in sorted(environment):
        if name.startswith("HPCBAKE_") and name not in known and not name.startswith(_NO_SETTINGS):
            close = difflib.get_close_matches(name, sorted(known), n=1)
            found.append(f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else ""))
    return found


def _places(content: str, path: str) -> dict[str, str]:
    """Where each setting's value stands: `path:line:column`."""
    node = yaml.compose(content, Loader=yaml.SafeLoader)
    return {key: f"{path}:{line}:{column}" for key, line, column in _walk("", node)}


def _walk(prefix: str, node: yaml.Node | None) -> Iterator[tuple[str, int, int]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{prefix}{key.value}"
        if name in SECTIONS:
            yield from _walk(f"{name}.", value)
        elif value.start_mark is not None:
            yield name, value.start_mark.line + 1, value.start_mark.column + 1
