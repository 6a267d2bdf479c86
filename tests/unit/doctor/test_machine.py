"""This machine's facts: every finding has evidence, and a fix unless it is fine; nothing hangs."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jsonschema
import pytest

from hpcbake.adapters.machine import ThisMachine, find_mount
from hpcbake.doctor import (
    Diagnosis,
    Folders,
    Question,
    ask_all,
    diagnosis_as_json,
    machine_questions,
    registry_questions,
    render_doctor_schema,
)
from hpcbake.errors import ExitCode, PrereqError, RegistryError, RegistryTempError
from hpcbake.model.ports import Outcome
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference
from hpcbake.sites.examine import Level, Line, ok

GIB = 1 << 30
INSPECT = (
    "Name:   default\nDriver: docker\n\nNodes:\nName: default\nStatus: running\nPlatforms: linux/amd64, linux/386\n"
)
SERVER = {"Server": {"Version": "28.1", "Os": "linux", "Arch": "amd64"}}
#: What a healthy machine says, by the beginning of the command.
GOOD: dict[str, Outcome] = {
    "docker version": Outcome(0, json.dumps(SERVER)),
    "docker info": Outcome(0, '"/var/lib/docker"\n'),
    "docker buildx version": Outcome(0, "github.com/docker/buildx v0.29.1 abc\n"),
    "docker buildx inspect": Outcome(0, INSPECT),
    "apptainer --version": Outcome(0, "apptainer version 1.4.5\n"),
    "unshare": Outcome(0),
    "ssh -V": Outcome(0, "", "OpenSSH_9.9\n"),
    "ssh-add": Outcome(0, "256 SHA256:abc me (ED25519)\n"),
}


@dataclass(frozen=True)
class Folder:
    path: str
    filesystem: str = "ext4"
    free_bytes: int = 100 * GIB
    is_writable: bool = True
    options: str = "rw"


@dataclass
class FakeMachine:
    """Answers by the beginning of the command; None stands for a program that is not there."""

    said: Mapping[str, Outcome | None]
    environment: Mapping[str, str] = field(default_factory=lambda: {"SSH_AUTH_SOCK": "/agent"})
    python: str = "Python 3.12"
    encoding: str = "UTF-8"
    folders: Mapping[str, Folder] = field(default_factory=dict)

    def run(self, argv: Sequence[str], *, timeout_s: float) -> Outcome:
        words = " ".join(argv)
        key = next(key for key in self.said if words.startswith(key))
        found = self.said[key]
        if found is None:
            raise PrereqError(f"cannot run `{argv[0]}`", remedy=f"install {argv[0]}")
        return found

    def room(self, path: str) -> Folder:
        return self.folders.get(path, Folder(path))


def lines_of(machine: FakeMachine) -> list[Line]:
    return ask_all(machine_questions(machine, Folders("/state", "/cache", "/tmp"), apptainer="apptainer"))


def complaints(machine: FakeMachine) -> list[tuple[str, str]]:
    return [(line.topic, line.level.value) for line in lines_of(machine) if line.level is not Level.OK]


def test_a_healthy_machine_has_nothing_to_complain_of() -> None:
    """Every fact is told with its evidence, and none has a fix."""
    lines = lines_of(FakeMachine(GOOD))
    assert [line.topic for line in lines] == [
        *("python", "locale", "docker", "docker-disk", "buildx", "builder", "platforms"),
        *("state", "cache", "tmp", "apptainer", "userns", "ssh", "agent", "proxy"),
    ]
    assert all(line.level is Level.OK and line.text and not line.fix for line in lines)


ARM = {"Server": {"Version": "28.1", "Os": "linux", "Arch": "arm64"}}


@pytest.mark.parametrize(
    ("changes", "complaint", "fix"),
    [
        ({"docker version": None}, ("docker", "FAIL"), "install docker"),
        ({"docker version": Outcome(124)}, ("docker", "FAIL"), "docker version"),
        ({"docker version": Outcome(1, "{}", "permission denied while trying")}, ("docker", "FAIL"), "group docker"),
        ({"docker version": Outcome(1, "null", "Cannot connect to the Docker daemon")}, ("docker", "FAIL"), "start it"),
        ({"docker version": Outcome(1, "", 'context "x": not found')}, ("docker", "FAIL"), "docker context"),
        ({"docker version": Outcome(0, "not json")}, ("docker", "FAIL"), "start it"),
        ({"docker buildx version": Outcome(1, "", "unknown command: buildx")}, ("buildx", "FAIL"), "buildx-plugin"),
        ({"docker buildx version": Outcome(0, "github.com/docker/buildx v0.8.2 x")}, ("buildx", "FAIL"), "0.10"),
        ({"docker buildx inspect": Outcome(1, "", "no builder")}, ("builder", "FAIL"), "docker buildx use"),
        (
            {"docker buildx inspect": Outcome(0, INSPECT + "Error:    connection refused\n")},
            ("builder", "FAIL"),
            "--bootstrap",
        ),
        (
            {"docker buildx inspect": Outcome(0, INSPECT.replace("linux/amd64", "linux/arm64"))},
            ("platforms", "FAIL"),
            "hpcbake builder add",
        ),
        ({"docker version": Outcome(0, json.dumps(ARM))}, ("platforms", "warn"), "hpcbake builder add"),
        ({"apptainer --version": None}, ("apptainer", "warn"), "install apptainer"),
        ({"apptainer --version": Outcome(0, "apptainer version 1.5.1")}, ("apptainer", "warn"), "newer"),
        ({"unshare": Outcome(1, "", "Operation not permitted")}, ("userns", "warn"), "sysctl"),
        ({"ssh -V": None}, ("ssh", "FAIL"), "install ssh"),
        ({"ssh-add": Outcome(1, "The agent has no identities.")}, ("agent", "warn"), "ssh-add"),
        ({"ssh-add": Outcome(2, "", "Error connecting to agent")}, ("agent", "warn"), "ssh-agent"),
        ({"ssh-add": Outcome(124)}, ("agent", "FAIL"), "ssh-add -l"),
    ],
)
def test_what_would_hurt_is_told_with_a_fix(
    changes: dict[str, Outcome | None], complaint: tuple[str, str], fix: str
) -> None:
    """One complaint, and what to do about it."""
    machine = FakeMachine({**GOOD, **changes})
    assert complaints(machine) == [complaint]
    assert next(fix in line.fix for line in lines_of(machine) if line.level is not Level.OK)


def test_the_builder_that_the_project_names_is_the_one_that_is_looked_at() -> None:
    """Whichever buildx would take by itself."""
    machine = FakeMachine({"docker buildx inspect farm": Outcome(1, "", 'no builder "farm" found'), **GOOD})
    questions = machine_questions(machine, Folders("/state", "/cache", "/tmp"), apptainer="apptainer", builder="farm")
    assert [line.text for line in ask_all(questions) if line.level is Level.FAIL] == ['no builder "farm" found']


@pytest.mark.parametrize(
    ("folder", "complaint"),
    [
        (Folder("/state", is_writable=False), ("state", "FAIL")),
        (Folder("/state", free_bytes=1), ("state", "warn")),
        (Folder("/cache", free_bytes=GIB), ("cache", "warn")),
        (Folder("/tmp", filesystem="tmpfs"), ("tmp", "warn")),
        (Folder("/tmp", options="rw,noexec"), ("tmp", "warn")),
        (Folder("/var/lib/docker", free_bytes=GIB), ("docker-disk", "warn")),
    ],
)
def test_folders_need_room_and_rights(folder: Folder, complaint: tuple[str, str]) -> None:
    """Each says which variable names another one."""
    assert complaints(FakeMachine(GOOD, folders={folder.path: folder})) == [complaint]


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, []),
        ({"https_proxy": "http://me:secret@proxy:3128"}, [("proxy", "warn")]),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost,.example.org"}, []),
    ],
)
def test_a_proxy_is_told_without_its_password(environment: dict[str, str], complaint: list[tuple[str, str]]) -> None:
    """One that also takes localhost is a warning: the registry of the lab is there."""
    machine = FakeMachine(GOOD, environment={"SSH_AUTH_SOCK": "/agent", **environment})
    assert complaints(machine) == complaint
    assert "secret" not in str(lines_of(machine))


def test_texts_that_are_not_utf_8_are_a_warning() -> None:
    """Names of people and files are."""
    assert complaints(FakeMachine(GOOD, encoding="ANSI_X3.4-1968")) == [("locale", "warn")]


# ---- registries -----------------------------------------------------------------------------------------------------


class FakeRegistry:
    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        if self.failure is not None:
            raise self.failure
        return None


def asked(registry: FakeRegistry, *texts: str, user: str = "") -> list[Line]:
    return ask_all(registry_questions([parse_image_reference(text) for text in texts], registry, lambda _: user))


def test_each_registry_is_asked_once() -> None:
    """However many images go there."""
    lines = asked(FakeRegistry(), "a.example.com/x:1", "a.example.com/y:1", "b.example.com/x:1", user="me")
    assert [line.text.split()[0] for line in lines] == ["a.example.com", "b.example.com"]
    assert all("as me" in line.text and line.level is Level.OK for line in lines)


@pytest.mark.parametrize(
    ("failure", "fix"),
    [
        (RegistryError("401 unauthorized"), "docker login r.example.com"),
        (RegistryTempError("connection refused"), "network and proxy"),
    ],
)
def test_a_registry_that_refuses_or_is_gone_fails(failure: Exception, fix: str) -> None:
    """They are mended in different ways."""
    (line,) = asked(FakeRegistry(failure), "r.example.com/x:1")
    assert line.level is Level.FAIL
    assert fix in line.fix


def test_the_registry_of_examples_is_no_registry() -> None:
    """Nobody is asked: it is what `hpcbake init` writes for those who name none."""
    (line,) = asked(FakeRegistry(AssertionError("asked")), "registry.example.org/you/x:1")
    assert (line.level, "REGISTRY" in line.fix) == (Level.FAIL, True)


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_what_hangs_is_a_fail_and_the_rest_is_answered() -> None:
    """`no answer in N s`; what it said before counts."""
    forever = threading.Event()

    def hangs() -> list[Line]:
        forever.wait(60)
        return []

    lines = ask_all([Question("stuck", hangs, limit_s=0.2, fix="kick it"), Question("fine", lambda: [ok("fine", "x")])])
    forever.set()
    assert [(line.topic, line.level.value) for line in lines] == [("stuck", "FAIL"), ("fine", "ok")]
    assert "no answer in 0 s" in lines[0].text
    assert lines[0].fix == "kick it"


def test_a_failure_keeps_what_was_seen_before_it() -> None:
    """With its own words, its remedy and its class."""

    def breaks() -> list[Line]:
        raise RegistryError("gone", remedy="look", evidence={"output": "500"})

    (line,) = ask_all([Question("x", breaks)])
    assert (line.text, line.fix, line.code) == ("gone\n500", "look", ExitCode.REGISTRY)


def test_a_bug_of_ours_is_not_a_fact() -> None:
    """It ends the program with the others of its kind."""
    with pytest.raises(ZeroDivisionError):
        ask_all([Question("x", lambda: [ok("x", str(1 // 0))])])


def test_the_document_fits_its_schema() -> None:
    """Kind and version, and every line of every place."""
    document = diagnosis_as_json([Diagnosis("this machine", tuple(lines_of(FakeMachine(GOOD))))], 0)
    jsonschema.validate(document, json.loads(render_doctor_schema()))
    assert [place["is_site"] for place in document["places"]] == [False]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/home/me/x", ("nfs4", "rw,noexec")),
        ("/", ("ext4", "rw")),
        ("/homes", ("ext4", "rw")),
        ("/a b/c", ("xfs", "ro")),
    ],
)
def test_the_mount_of_a_folder_is_the_deepest_above_it(path: str, found: tuple[str, str]) -> None:
    """By whole names, and with blanks as the kernel writes them."""
    mounts = "/dev/sda / ext4 rw 0 0\nserver:/h /home nfs4 rw,noexec 0 0\n/dev/b /a\\040b xfs ro 0 0\nodd\n"
    assert find_mount(path, mounts) == found


def test_this_very_machine_is_looked_at_for_real() -> None:
    """Python is the one that runs; a folder that is not there is looked at above it."""
    machine = ThisMachine({"PATH": "/usr/bin:/bin"}, version="1")
    assert machine.room("/nowhere/at/all").path == "/"
    assert machine.run(["true"], timeout_s=20).ok
