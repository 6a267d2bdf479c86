"""The Plan: bake files after every variable, function, inheritance and override has been resolved.

Its JSON is what `docker buildx bake --print` gives, so a user can compare the two line by line.
"""

from __future__ import annotations

from collections.abc import Mapping

from hpcbake.model.record import Record

#: One value of a resolved target as `--print` shows it: str, bool, list of str, list of str→str
#: mappings, or a str→str mapping. Kept as plain JSON so that nothing buildx knows is lost.
JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


class Target(Record):
    """One resolved target. `attributes` is exactly its `--print` object, in print order."""

    name: str
    attributes: Mapping[str, JsonValue]

    @property
    def context(self) -> str:
        return str(self.attributes.get("context", "."))

    @property
    def dockerfile(self) -> str:
        return str(self.attributes.get("dockerfile", "Dockerfile"))

    @property
    def tags(self) -> tuple[str, ...]:
        return self._strings("tags")

    @property
    def platforms(self) -> tuple[str, ...]:
        return self._strings("platforms")

    @property
    def labels(self) -> dict[str, str]:
        value = self.attributes.get("labels")
        return {k: str(v) for k, v in value.items()} if isinstance(value, dict) else {}

    def _strings(self, key: str) -> tuple[str, ...]:
        value = self.attributes.get(key)
        return tuple(str(item) for item in value) if isinstance(value, list) else ()


class Group(Record):
    """A named list of targets or groups."""

    name: str
    targets: tuple[str, ...]
    description: str = ""


class PlanWarning(Record):
    """Something that buildx passes over in silence and that is probably a mistake."""

    code: str
    message: str
    path: str = ""
    line: int = 0
    column: int = 0
    help: str = ""


class Plan(Record):
    """What will be built: `groups` and `targets` by name, both in print order."""

    targets: Mapping[str, Target]
    groups: Mapping[str, Group]
    files: tuple[str, ...] = ()
    warnings: tuple[PlanWarning, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """The document that `docker buildx bake --print` prints."""
        document: dict[str, JsonValue] = {}
        if self.groups:
            document["group"] = {
                name: {
                    **({"description": group.description} if group.description else {}),
                    "targets": list(group.targets),
                }
                for name, group in sorted(self.groups.items())
            }
        if self.targets:
            document["target"] = {name: dict(t.attributes) for name, t in sorted(self.targets.items())}
        return document
