"""The project file: smoke tests and exposed commands by target, mistakes with their places."""

from __future__ import annotations

import pytest

from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.ship.project import Project, parse_project

TEXT = """
smoke:
  - name: version
    command: [hpc-app, --version]
    expect_stdout: "hpc-app 1"
    expect_exit: 0
    targets: [app, "tool-*"]
  - name: start
    template: cpu
expose:
  - commands: [solve, mesh]
    targets: [app]
  - commands: [mesh, g++]
"""


def test_tests_belong_to_targets() -> None:
    """By pattern; those without are everybody's."""
    project = parse_project(TEXT, "hpcbake.yaml")
    version = SmokeTest("version", "command", ("hpc-app", "--version"), expect_stdout="hpc-app 1")
    assert project.tests_for("app") == (version, SmokeTest("start", "cpu"))
    assert project.tests_for("tool-x") == (version, SmokeTest("start", "cpu"))
    assert project.tests_for("other") == (SmokeTest("start", "cpu"),)


def test_without_tests_an_image_is_started() -> None:
    """Nothing is promoted that never ran."""
    assert Project().tests_for("app") == (SmokeTest("cpu"),)
    only_others = parse_project("smoke: [{name: x, targets: [other]}]", "hpcbake.yaml")
    assert only_others.tests_for("app") == (SmokeTest("cpu"),)


def test_commands_are_exposed_once() -> None:
    """In the order of the file."""
    project = parse_project(TEXT, "hpcbake.yaml")
    assert (project.exposed_by("app"), project.exposed_by("x")) == (("solve", "mesh", "g++"), ("mesh", "g++"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("smoke: [{command: [x]}]", "`name` is missing"),
        ("smoke: [{name: 'A b'}]", "letters, digits and -"),
        ("smoke: [{name: -x}]", "letters, digits and -"),
        ("smoke: [{name: a, template: ../../etc/passwd}]", "a template's name"),
        ("smoke: [{name: a, template: command}]", "has no command"),
        ("smoke: [{name: a}, {name: a}]", "called 'a'"),
        ("smoke: [{name: a, expect_exit: 256}]", "from 0 to 255"),
        ("smoke: [{name: a, tasks: 0}]", "from 1 to 4096"),
        ('smoke: [{name: a, command: ["a\\nb"]}]', "on one line"),
        ("expose: [{commands: [../x]}]", "a command's name"),
        ("expose: [{commands: ['a b']}]", "a command's name"),
        ("expose: [{commands: [-rf]}]", "a command's name"),
        ("expose: [{commands: [a], targets: ['$(id)']}]", "a target name or pattern"),
        ("smokes: []", "did you mean `smoke`?"),
        ("", "empty"),
    ],
)
def test_a_mistake_is_told(text: str, says: str) -> None:
    """Before anything is built."""
    with pytest.raises(ConfigError) as caught:
        parse_project(text, "hpcbake.yaml")
    assert says in f"{caught.value.message}\n{caught.value.evidence.get('output', '')}"


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("{name: cpu}", SmokeTest("cpu")),
        ("{name: gpu}", SmokeTest("gpu", "gpu")),
        ("{name: io}", SmokeTest("io", "io")),
        ("{name: mpi}", SmokeTest("mpi", "mpi", tasks=2)),
        ("{name: mpi, tasks: 4, command: [a]}", SmokeTest("mpi", "mpi", ("a",), tasks=4)),
        ("{name: cpu, command: [a]}", SmokeTest("cpu", "command", ("a",))),
        ("{name: x, modules: [numpy.linalg]}", SmokeTest("x", "python", modules=("numpy.linalg",))),
        ("{name: python, modules: [os], command: [py]}", SmokeTest("python", "python", ("py",), modules=("os",))),
        ('{name: x, sites: ["b*"]}', SmokeTest("x", sites=("b*",))),
        ("{name: x, template: mpi}", SmokeTest("x", "mpi", tasks=2)),
    ],
)
def test_a_test_without_a_template_is_meant_as_what_it_says(text: str, test: SmokeTest) -> None:
    """By its name, else by what it is given."""
    assert parse_project(f"smoke: [{text}]", "hpcbake.yaml").tests_for("app") == (test,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{name: python}", "no modules"),
        ("{name: x, template: python, command: [py]}", "no modules"),
        ("{name: x, template: command}", "no command"),
    ],
)
def test_a_test_that_lacks_what_it_needs_is_a_mistake(text: str, says: str) -> None:
    """With an example of it."""
    with pytest.raises(ConfigError, match=says) as caught:
        parse_project(f"smoke: [{text}]", "hpcbake.yaml")
    assert caught.value.remedy.startswith("add: ")


@pytest.mark.parametrize("module", ["os;x", "a b", "-c", "a..b", "1x", "a.", "$(x)"])
def test_a_module_is_a_name(module: str) -> None:
    """Nothing else reaches Python."""
    with pytest.raises(ConfigError):
        parse_project(f"smoke: [{{name: x, modules: ['{module}']}}]", "hpcbake.yaml")


def test_the_factor_of_growth_is_the_projects() -> None:
    """1.5 where it says nothing."""
    assert Project().regression_factor == 1.5
    assert parse_project("regression: {factor: 2.25}", "hpcbake.yaml").regression_factor == 2.25
    with pytest.raises(ConfigError):
        parse_project("regression: {factor: 0.5}", "hpcbake.yaml")
