"""`hpcbake --version --verbose`: what a bug report needs, in bounded time, whatever is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from click.testing import CliRunner

from hpcbake.cli.group import hpcbake
from hpcbake.cli.version import describe_versions, tool_versions
from hpcbake.errors import PrereqError
from hpcbake.model.ports import Outcome

#: What real programs print: buildx words the same fact differently from version to version.
SAID = {
    "docker version --format {{.Client.Version}}": Outcome(0, "28.3.2\n"),
    "docker version --format {{.Server.Version}}": Outcome(0, "26.1.5+dfsg1\n"),
    "docker buildx version": Outcome(0, "github.com/docker/buildx v0.29.1 a32761aeb3debd39be1eca514af3693af0db334b\n"),
    "docker buildx inspect": Outcome(0, "Name: default\nNodes:\nName: default\nBuildKit version: v0.25.1\n"),
    "apptainer --version": Outcome(0, "apptainer version 1.4.5-1.el9\n"),
    "ssh -V": Outcome(0, "", "OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17 1 Jul 2025\n"),
    "git --version": Outcome(0, "git version 2.39.5\n"),
}


class Programs:
    """A machine with these programs; every other one is missing."""

    def __init__(self, said: Mapping[str, Outcome]) -> None:
        self.said = said
        self.deadlines: list[float] = []

    def __call__(self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str]) -> Outcome:
        self.deadlines.append(timeout_s)
        if " ".join(argv) not in self.said:
            raise PrereqError(f"{argv[0]} is not installed", remedy="install it")
        return self.said[" ".join(argv)]


def test_each_tool_is_found_in_its_own_words() -> None:
    """Every program prints its version in another form; the number alone is shown."""
    shown = dict(tool_versions(Programs(SAID), {}))
    assert {name: shown[name] for name in list(shown)[:7]} == {
        "docker": "28.3.2",
        "docker engine": "26.1.5+dfsg1",
        "buildx": "0.29.1",
        "buildkit": "0.25.1",
        "apptainer": "1.4.5-1.el9",
        "ssh": "OpenSSH_9.2p1",
        "git": "2.39.5",
    }
    assert shown["paramiko"][0].isdigit()


def test_what_is_missing_is_named_and_nothing_fails() -> None:
    """A machine with no tool at all still answers."""
    shown = dict(tool_versions(Programs({}), {}))
    assert [shown[name] for name in ("docker", "docker engine", "buildkit", "apptainer", "ssh")] == ["not found"] * 5


def test_old_buildx_writes_buildkit_otherwise() -> None:
    """Older buildx prints `Buildkit:`; singularity stands in for apptainer."""
    said = {
        "docker buildx inspect": Outcome(0, "Name:      multi\nBuildkit:  v0.12.5\n"),
        "singularity --version": Outcome(0, "singularity-ce version 4.1.1\n"),
    }
    shown = dict(tool_versions(Programs(said), {}))
    assert (shown["buildkit"], shown["apptainer"]) == ("0.12.5", "4.1.1")


def test_an_engine_that_does_not_answer_is_waited_for_five_seconds() -> None:
    """Each program has a deadline, and its passing is said instead of a version."""
    programs = Programs({**SAID, "docker version --format {{.Server.Version}}": Outcome(124)})
    assert dict(tool_versions(programs, {}))["docker engine"] == "no answer for 5 s"
    assert set(programs.deadlines) == {5.0}


def test_an_error_of_the_engine_is_no_version() -> None:
    """`docker version` without its daemon prints an error; none of its words is taken for a version."""
    said = {"docker version --format {{.Server.Version}}": Outcome(1, "", "Cannot connect to the Docker daemon\n")}
    assert dict(tool_versions(Programs(said), {}))["docker engine"] == "not found"


def test_the_named_apptainer_is_asked() -> None:
    """HPCBAKE_APPTAINER names the build host's apptainer; it is the one that counts."""
    said = {**SAID, "/opt/a/apptainer --version": Outcome(0, "apptainer version 1.5.2\n")}
    assert dict(tool_versions(Programs(said), {"HPCBAKE_APPTAINER": "/opt/a/apptainer"}))["apptainer"] == "1.5.2"


def test_versions_stand_in_a_column() -> None:
    """One line each, name and version, hpcbake first."""
    lines = describe_versions(Programs(SAID), {}).splitlines()
    assert lines[0].split()[0] == "hpcbake"
    assert {line[:15].strip() for line in lines} >= {"commit", "python", "docker engine", "python-hcl2"}


@pytest.mark.parametrize("words", [("--version", "--verbose"), ("--verbose", "--version")])
def test_the_order_of_the_two_options_does_not_matter(words: tuple[str, ...]) -> None:
    """People type them either way round."""
    result = CliRunner().invoke(hpcbake, words, env={"PATH": "/nonexistent"})
    assert result.exit_code == 0
    assert "docker         not found" in result.output


def test_verbose_alone_says_what_it_goes_with() -> None:
    """It is no option of verbs."""
    result = CliRunner().invoke(hpcbake, ["--verbose", "sites"])
    assert result.exit_code == 2
    assert "goes with `--version`" in result.output
