"""The project file `hpcbake.yaml`: which smoke tests an image gets, and which of its commands users see. Optional."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from hpcbake.deliver.convert import ConvertSettings
from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.sites.document import Section, choice, integer, listing, parse_document, seconds, text
from hpcbake.smoke.job import TEMPLATES

_PATTERN = r"[A-Za-z0-9_*?\[\]!-]+"

_TARGETS = listing(text(pattern=_PATTERN, expected="a target name or pattern"), "targets it is for; default: all")

_SMOKE = Section(
    {
        "name": text(
            "name of the test", pattern=r"[a-z0-9][a-z0-9-]{0,40}", expected="letters, digits and -", required=True
        ),
        "template": text(
            f"template under slurm/: {', '.join(TEMPLATES)}, or your own; default: the one that the test is named "
            "after, else by what is given",
            pattern=r"[a-z0-9][a-z0-9_-]*",
            expected="a template's name",
        ),
        "targets": listing(
            text(pattern=_PATTERN, expected="a target name or pattern"), "targets it is for; default: all"
        ),
        "command": listing(text(), "argv inside the container"),
        "modules": listing(
            text(
                pattern=r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*",
                expected="a Python module such as numpy.linalg",
            ),
            "Python modules that must be importable (template python)",
        ),
        "sites": listing(
            text(pattern=r"[a-z0-9*?\[\]!-]+", expected="a site's name or pattern"), "sites it runs at; default: all"
        ),
        "expect_exit": integer("exit code that counts as passed", low=0, high=255),
        "expect_stdout": text("text that the command's output must hold"),
        "tasks": integer("Slurm tasks; default: 1, for the template mpi 2", low=1, high=4096),
    },
    "one smoke test",
)

_EXPOSE = Section(
    {
        "targets": listing(
            text(pattern=_PATTERN, expected="a target name or pattern"), "targets it is for; default: all"
        ),
        "commands": listing(
            text(pattern=r"[A-Za-z0-9_][A-Za-z0-9._+-]*", expected="a command's name"),
            "commands that the module puts on PATH",
        ),
    },
    "commands that users see",
)

CONVERT = Section(
    {
        "program": text(
            "apptainer or singularity of the build host, by name or absolute path; default: apptainer on PATH",
            pattern=r"[A-Za-z0-9_./+-]+",
            expected="a program's name or path",
        ),
        "compression": choice("zstd", "gzip", doc="how SIFs are packed; zstd needs squashfs with zstd on the nodes"),
        "processors": integer("processors that the conversion may use", low=1, high=1024),
        "memory": text("memory that mksquashfs may use", pattern=r"[0-9]+[KMG]", expected="a size such as 1G"),
        "timeout": seconds("how long one conversion may take"),
        "sign": text(
            "fingerprint of the PGP key in apptainer's keyring that signs every SIF",
            pattern=r"[0-9A-Fa-f]{40}",
            expected="the 40 hex digits of a fingerprint",
        ),
    },
    "how the build host converts images to SIFs",
)

REGRESSION = Section(
    {
        "factor": text(
            "growth of a smoke test's time or memory since the last release that is worth a warning; default: 1.5",
            pattern=r"[1-9][0-9]{0,2}(?:\.[0-9]{1,3})?",
            expected="a number from 1 on, such as 1.5",
        ),
    },
    "when a smoke test has become slower or larger",
)

PROJECT = Section(
    {
        "convert": CONVERT.as_field(),
        "regression": REGRESSION.as_field(),
        "smoke": listing(_SMOKE.as_field(), "smoke tests; default: `cpu` for every target"),
        "expose": listing(_EXPOSE.as_field(), "commands that modulefiles put on PATH"),
    },
    "the project",
)


@dataclass(frozen=True)
class Project:
    """Smoke tests and exposed commands, each with the target patterns they are for."""

    smoke: tuple[tuple[SmokeTest, tuple[str, ...]], ...] = ()
    expose: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    convert: ConvertSettings = field(default_factory=ConvertSettings)
    regression_factor: float = 1.5

    def tests_for(self, target: str) -> tuple[SmokeTest, ...]:
        """The smoke tests of a target: those whose patterns fit, or `cpu` where the project names none."""
        fitting = tuple(test for test, patterns in self.smoke if _fits(target, patterns))
        return fitting or (SmokeTest("cpu"),)

    def exposed_by(self, target: str) -> tuple[str, ...]:
        found = (name for commands, patterns in self.expose if _fits(target, patterns) for name in commands)
        return tuple(dict.fromkeys(found))


def _fits(target: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(target, pattern) for pattern in patterns)


def parse_project(content: str, path: str) -> Project:
    """Read a project file. Raises ConfigError showing every mistake with line and column."""
    values = parse_document(content, path, PROJECT)
    smoke = tuple((_smoke_test(item), tuple(item.get("targets", ()))) for item in values.get("smoke", ()))
    names = [test.name for test, _ in smoke]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two smoke tests are called {name!r}", remedy="rename one", kind="config.smoke")
    for test, _ in smoke:
        _require(path, test, "command", test.command, 'command: ["hpc-app", "--verify"]')
        _require(path, test, "python", test.modules, "modules: [numpy]")
    expose = tuple(
        (tuple(item.get("commands", ())), tuple(item.get("targets", ()))) for item in values.get("expose", ())
    )
    convert = dict(values.get("convert", {}))
    if "timeout" in convert:
        convert["timeout_s"] = convert.pop("timeout")
    return Project(smoke, expose, ConvertSettings(**convert), float(values.get("regression", {}).get("factor", "1.5")))


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
