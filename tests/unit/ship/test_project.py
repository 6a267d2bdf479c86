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
