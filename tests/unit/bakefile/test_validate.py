"""What buildx refuses even when it only prints."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from hpcbake.bakefile.attributes import Attributes
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.places import is_git_over_ssh, is_remote_url, printed_context
from hpcbake.bakefile.validate import LocalWorld, validate_plan
from hpcbake.bakefile.valuecheck import check_annotation, check_platform, check_ulimit, parse_size
from tests.unit.bakefile.definitions import model, target


def validated(folder: Path, environment: dict[str, str], **attributes: object) -> Attributes:
    named = {key.replace("_", "-"): value for key, value in attributes.items()}
    plan = validate_plan(model(target("app")), {"app": named}, LocalWorld(folder, environment))  # type: ignore[dict-item]
    return plan["app"]


@pytest.mark.parametrize(
    ("context", "printed"),
    [
        ("", "."),
        ("./x/../y/", "y"),
        ("//", "/"),
        ("cwd://foo/..", "."),
        ("https://example.org/a/../b", "https://example.org/a/../b"),
        ("git@example.org:a/../b", "git@example.org:a/../b"),
        ("host:a/../b", "b"),
        ("a.b@example.org:8/../w", "w"),
        ("Git://a/../b", "Git://a/../b"),
        ("HTTPS://A/../b", "HTTPS:/b"),
        ("docker-image://alpine", "docker-image:/alpine"),
        ("file:///a/..", "file:"),
        ("github.com/../x", "github.com/../x"),
    ],
)
def test_contexts_are_cleaned_unless_they_are_remote(context: str, printed: str) -> None:
    """Local paths are shortened, git references and URLs left alone, exactly as buildx prints them."""
    assert printed_context(context) == printed


def test_remote_places_are_told_from_local_ones() -> None:
    """A path of git needs `.git` behind http, and a user before a colon."""
    assert is_remote_url("ssh://a@b/c")
    assert is_remote_url("https://x/y.git#main:sub")
    assert not is_remote_url("./git@x:y")
    assert not is_remote_url("foo://x")
    assert is_git_over_ssh("git@x:y")
    assert not is_git_over_ssh("https://x/y.git")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("1k", 1024), ("1KB", 1024), ("1kib", 1024), ("1e3", 1000), ("0x1p4", 16), (".5g", 2**29),
        ("1 ", 1), ("1 k", 1024), ("1b", 1), ("-1", None), ("", None), ("12x", None), (" 1", None), ("1  k", None),
        ("1ki", None), ("1bb", None), ("inf", None), ("1.2.3", None), ("1xb", None),
    ],
)  # fmt: skip
def test_sizes_are_read_as_docker_reads_them(text: str, size: int | None) -> None:
    """Units are powers of 1024; anything else is no size."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["linux", "amd64", "X86_64", "linux/arm64/v8", "windows(10.0.1)/amd64", "a/b", "js"])
def test_platforms_that_buildx_takes(text: str) -> None:
    """Known systems or architectures alone, anything well-formed in pairs."""
    check_platform(text)


@pytest.mark.parametrize("text", ["", "foo", "linux/", "/amd64", "linux/*", "a/b/c/d", "lin ux/a", "linux/a b"])
def test_platforms_that_buildx_refuses(text: str) -> None:
    """The help has an example, or the platform that was probably meant."""
    with pytest.raises(MalformedValueError) as caught:
        check_platform(text)
    assert caught.value.help


def test_a_platform_with_a_dash_is_explained() -> None:
    """The commonest slip of all."""
    with pytest.raises(MalformedValueError) as caught:
        check_platform("linux-arm64")
    assert caught.value.help == "did you mean linux/arm64?"


@pytest.mark.parametrize("text", ["nofile=1", "nofile=1:2", "nofile=5:-1", "core=-1", "nofile=+5"])
def test_ulimits_that_buildx_takes(text: str) -> None:
    """A known name, a soft limit, perhaps a hard one."""
    check_ulimit(text)


@pytest.mark.parametrize(
    "text",
    [
        "nofile",
        "nofile=",
        "nofile=1:",
        "nofile=1:2:3",
        "as=1",
        "nofile=2:1",
        "nofile=-1:5",
        "nofile=1_0",
        "nofile=9" + "9" * 20,
    ],
)
def test_ulimits_that_buildx_refuses(text: str) -> None:
    """Unknown names, missing or crossed limits."""
    with pytest.raises(MalformedValueError):
        check_ulimit(text)


@pytest.mark.parametrize("text", ["a=b", "a=", "index:a=b", "index,manifest[linux/amd64]:a=b"])
def test_annotations_that_buildx_takes(text: str) -> None:
    """A key and a value, perhaps the objects they go on."""
    check_annotation(text)


@pytest.mark.parametrize("text", ["zz", "foo:a=b", "INDEX:a=b", "index[foo]:a=b"])
def test_annotations_that_buildx_refuses(text: str) -> None:
    """No value, or an object that there is not."""
    with pytest.raises(MalformedValueError):
        check_annotation(text)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"context": "-"}, "a context cannot come from standard input"),
        ({"dockerfile": "-"}, "a Dockerfile cannot come from standard input"),
        ({"shm_size": "zz"}, '"zz" is not a size'),
        ({"secret": [{"id": "a", "src": "missing"}]}, "there is no file missing"),
        ({"secret": [{"id": "a"}]}, "there is no file a"),
        ({"secret": [{"env": "A"}]}, "a secret has no id"),
        ({"secret": [{"id": "a", "src": "big"}]}, "larger than 500 KiB"),
        ({"ssh": [{"id": "default"}]}, "SSH_AUTH_SOCK"),
        ({"ssh": [{"id": "a", "paths": ["missing"]}]}, 'missing of "a" cannot be read'),
        ({"ssh": [{"id": "a", "paths": ["big"]}]}, "is not a private key"),
        ({"context": "git@example.org:x/y.git"}, "SSH_AUTH_SOCK"),
        ({"output": [{"type": "local"}]}, "dest is required for the local exporter"),
        ({"output": [{"type": "local", "dest": "-"}]}, "cannot be standard output"),
        ({"output": [{"type": "local", "dest": "big"}]}, "is a file"),
        ({"output": [{"type": "docker", "tar": "false"}]}, "dest is required for the docker exporter"),
        ({"output": [{"type": "tar", "dest": "."}]}, "is a directory"),
        ({"output": [{"type": "tar", "dest": "nowhere/x.tar"}]}, "failed to open"),
        ({"output": [{"type": "tar"}, {"type": "oci"}]}, "several outputs write to standard output"),
    ],
)
def test_targets_that_could_not_be_built_are_refused(
    tmp_path: Path, attributes: dict[str, object], message: str
) -> None:
    """Printing fails where building would, with the place of the attribute."""
    (tmp_path / "big").write_bytes(b"x" * 600_000)
    with pytest.raises(BakeFileError, match=message):
        validated(tmp_path, {}, **attributes)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """One run, every problem."""
    with pytest.raises(BakeFileError) as caught:
        validated(tmp_path, {}, shm_size="zz", platforms=["foo", "bar"])
    assert len(caught.value.diagnostics) == 3


@pytest.fixture
def agent(tmp_path: Path) -> Callable[[], str]:
    """The path of a listening unix socket, short enough for the kernel."""

    def listen() -> str:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(tmp_path / "agent"))
        return str(tmp_path / "agent")

    return listen


def test_secrets_and_keys_that_exist_are_fine(tmp_path: Path, agent: Callable[[], str]) -> None:
    """A file, an environment variable, a variable of the secret's own name, a key, an agent."""
    (tmp_path / "token").write_text("t")
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    secrets = [{"id": "a", "src": "token"}, {"id": "b", "env": "NOT_SET"}, {"id": "C"}]
    ssh = [{"id": "k", "paths": ["key", "key"]}, {"id": "default"}]
    validated(tmp_path, {"C": "1", "SSH_AUTH_SOCK": agent()}, secret=secrets, ssh=ssh)


def test_a_tar_without_destination_goes_to_stdout(tmp_path: Path) -> None:
    """The plan says so, as buildx prints it; an oci folder needs a destination instead."""
    assert validated(tmp_path, {}, output=[{"type": "oci"}])["output"] == [{"type": "oci", "dest": "-"}]
    assert validated(tmp_path, {}, output=[{"type": "docker"}])["output"] == [{"type": "docker"}]
