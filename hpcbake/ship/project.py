"""The project file `hpcbake.yaml` as one value: what ships where, how, with which tests, and who is told. Optional."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from hpcbake.deliver.convert import ConvertSettings
from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.model.late import dataclass
from hpcbake.model.notification import Notifications
from hpcbake.ship.project_keys import PROJECT
from hpcbake.ship.project_notifications import notifications_of
from hpcbake.ship.project_parts import (
    BakeDefaults,
    Builders,
    DeployRule,
    Destinations,
    Nightly,
    Retention,
    TagPolicy,
    fits,
)
from hpcbake.sites.document import parse_document

__all__ = ["PROJECT", "Project", "parse_project", "project_of"]


@dataclass(frozen=True)
class Project:
    """What the project file says. What belongs to targets has their patterns beside it."""

    smoke: tuple[tuple[SmokeTest, tuple[str, ...]], ...] = ()
    expose: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    convert: ConvertSettings = field(default_factory=ConvertSettings)
    regression_factor: float = 1.5
    bake: BakeDefaults = field(default_factory=BakeDefaults)
    destinations: Destinations = field(default_factory=Destinations)
    builders: Builders = field(default_factory=Builders)
    tags: TagPolicy = field(default_factory=TagPolicy)
    retention: Retention = field(default_factory=Retention)
    notifications: Notifications = field(default_factory=Notifications)
    nightly: Nightly = field(default_factory=Nightly)
    all_or_none: bool = False

    def tests_for(self, target: str) -> tuple[SmokeTest, ...]:
        """The smoke tests of a target: those whose patterns fit, or `cpu` where the project names none."""
        fitting = tuple(test for test, patterns in self.smoke if fits(target, patterns))
        return fitting or (SmokeTest("cpu"),)

    def exposed_by(self, target: str) -> tuple[str, ...]:
        found = (name for commands, patterns in self.expose if fits(target, patterns) for name in commands)
        return tuple(dict.fromkeys(found))


def parse_project(content: str, path: str) -> Project:
    """Read a project file. Raises ConfigError showing every mistake with line and column."""
    return project_of(parse_document(content, path, PROJECT), path)


def project_of(values: Mapping[str, Any], path: str) -> Project:
    """The project that a document's values make. Raises ConfigError for values that contradict each other."""
    convert = dict(values.get("convert", {}))
    if "timeout" in convert:
        convert["timeout_s"] = convert.pop("timeout")
    nightly = dict(values.get("nightly", {}))
    if "jitter" in nightly:
        nightly["jitter_s"] = nightly.pop("jitter")
    return Project(
        smoke=_smoke_tests(values.get("smoke", ()), path),
        expose=tuple(
            (tuple(item.get("commands", ())), tuple(item.get("targets", ()))) for item in values.get("expose", ())
        ),
        convert=ConvertSettings(**convert),
        regression_factor=float(values.get("regression", {}).get("factor", "1.5")),
        bake=BakeDefaults(**values.get("bake", {})),
        destinations=Destinations(tuple(DeployRule(**item) for item in values.get("deploy", ()))),
        builders=Builders(
            values.get("builder"),
            tuple((item["builder"], tuple(item.get("targets", ()))) for item in values.get("builders", ())),
        ),
        tags=TagPolicy(**values.get("tags", {})),
        retention=Retention(**values.get("retention", {})),
        notifications=notifications_of(values.get("notifications", {}), path),
        nightly=Nightly(**nightly),
        all_or_none=values.get("ship", {}).get("all_or_none", False),
    )


def _smoke_tests(items: Sequence[dict[str, Any]], path: str) -> tuple[tuple[SmokeTest, tuple[str, ...]], ...]:
    found = tuple((_smoke_test(item), tuple(item.get("targets", ()))) for item in items)
    names = [test.name for test, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two smoke tests are called {name!r}", remedy="rename one", kind="config.smoke")
    for test, _ in found:
        _require(path, test, "command", test.command, 'command: ["hpc-app", "--verify"]')
        _require(path, test, "python", test.modules, "modules: [numpy]")
    return found


def _require(path: str, test: SmokeTest, template: str, given: Sequence[str], example: str) -> None:
    if test.template == template and not given:
        raise ConfigError(
            f"{path}: smoke test {test.name!r} has no {example.partition(':')[0]}",
            remedy=f"add: {example}",
            kind="config.smoke",
        )


def _smoke_test(item: dict[str, Any]) -> SmokeTest:
    chosen = {key: value for key, value in item.items() if key != "targets"}
    chosen.setdefault("template", _template_for(chosen))
    if chosen["template"] == "mpi":
        chosen.setdefault("tasks", 2)
    return SmokeTest(**chosen)


def _template_for(item: dict[str, Any]) -> str:
    """What a test without a template is meant as."""
    if item["name"] in ("gpu", "mpi", "io", "python"):
        return str(item["name"])
    if item.get("modules"):
        return "python"
    return "command" if item.get("command") else "cpu"
