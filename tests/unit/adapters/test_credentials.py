"""docker's logins: config.json in all its shapes, and credential helpers."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from hpcbake.adapters.credentials import DockerCredentials, run_credential_helper
from hpcbake.errors import ConfigError, PrereqError


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def no_helper(name: str, server: str) -> tuple[int, str, str]:
    raise AssertionError("no helper is configured")


def store(tmp_path: Path, document: object, run_helper: object = no_helper) -> DockerCredentials:
    path = tmp_path / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return DockerCredentials(path, run_helper)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("auths", "registry", "user"),
    [
        ({"quay.io": {"auth": encoded("ada:x")}}, "quay.io", "ada"),
        ({"https://quay.io": {"auth": encoded("ada:x")}}, "quay.io", "ada"),
        ({"https://quay.io/v2/": {"auth": encoded("ada:x")}}, "quay.io", "ada"),
        ({"localhost:5000": {"username": "ada", "password": "x"}}, "localhost:5000", "ada"),
        ({"https://index.docker.io/v1/": {"auth": encoded("ada:x")}}, "docker.io", "ada"),
        ({"quay.io": {"auth": encoded("ada:x")}}, "quay.io.example.org", None),
        ({"quay.io/team": {"auth": encoded("ada:x")}}, "quay.io", None),
        ({"quay.io": {}}, "quay.io", None),
        ({}, "quay.io", None),
    ],
)
def test_logins_in_the_file(tmp_path: Path, auths: object, registry: str, user: str | None) -> None:
    """Each spelling of a registry that docker has used finds its login, and no other registry does."""
    found = store(tmp_path, {"auths": auths}).find(registry)
    assert (found.username if found else None) == user


def test_password_with_a_colon(tmp_path: Path) -> None:
    """Only the first colon divides."""
    found = store(tmp_path, {"auths": {"r": {"auth": encoded("ada:a:b")}}}).find("r")
    assert found is not None and found.secret == "a:b"


def test_identity_token(tmp_path: Path) -> None:
    """A refresh token is no password."""
    found = store(tmp_path, {"auths": {"r": {"identitytoken": "t"}}}).find("r")
    assert found is not None and found.is_token and found.secret == "t"


def test_secret_is_never_shown(tmp_path: Path) -> None:
    """A credential can be printed by accident without harm; its source is what messages name."""
    found = store(tmp_path, {"auths": {"r": {"auth": encoded("ada:hush-hush")}}}).find("r")
    assert found is not None
    assert "hush-hush" not in f"{found!r} {found}"
    assert found.source.endswith("config.json")


def test_helper_of_the_registry_comes_first(tmp_path: Path) -> None:
    """credHelpers, then credsStore, then the file."""
    asked: list[tuple[str, str]] = []

    def helper(name: str, server: str) -> tuple[int, str, str]:
        asked.append((name, server))
        if name == "empty":
            return 1, "credentials not found in native keychain\n", ""
        return 0, json.dumps({"Username": name, "Secret": "s"}), ""

    document = {"credHelpers": {"r": "own"}, "credsStore": "all", "auths": {"r": {"auth": encoded("file:x")}}}
    own = store(tmp_path, document, helper).find("r")
    other = store(tmp_path, document, helper).find("other")
    file = store(tmp_path, {**document, "credHelpers": {}, "credsStore": "empty"}, helper).find("r")
    assert [found.username for found in (own, other, file) if found] == ["own", "all", "file"]
    assert asked == [("own", "r"), ("all", "other"), ("empty", "r")]


def test_token_from_a_helper(tmp_path: Path) -> None:
    """Helpers mark refresh tokens by the user name <token>."""
    answer = json.dumps({"Username": "<token>", "Secret": "t"})
    found = store(tmp_path, {"credsStore": "x"}, lambda name, server: (0, answer, "")).find("r")
    assert found is not None and found.is_token


@pytest.mark.parametrize("answer", [(1, "", "locked"), (0, "no json", ""), (0, "{}", "")])
def test_broken_helper_is_an_error(tmp_path: Path, answer: tuple[int, str, str]) -> None:
    """A helper that fails is not the same as no login: an anonymous try would mislead."""
    with pytest.raises(ConfigError, match="docker-credential-x"):
        store(tmp_path, {"credsStore": "x"}, lambda name, server: answer).find("r")


def test_broken_config_is_an_error_and_no_config_is_not(tmp_path: Path) -> None:
    """Unreadable JSON is told; a missing file means anonymous."""
    with pytest.raises(ConfigError, match=r"config\.json"):
        store(tmp_path, "{").find("r")
    with pytest.raises(ConfigError, match="base64"):
        store(tmp_path, {"auths": {"r": {"auth": "%%%"}}}).find("r")
    assert DockerCredentials(tmp_path / "none").find("r") is None


def test_environment_decides_the_folder(tmp_path: Path) -> None:
    """DOCKER_CONFIG, else ~/.docker."""
    (tmp_path / ".docker").mkdir()
    store(tmp_path / ".docker", {"auths": {"r": {"auth": encoded("home:x")}}})
    store(tmp_path, {"auths": {"r": {"auth": encoded("given:x")}}})
    home = DockerCredentials.from_environment({"HOME": str(tmp_path)}).find("r")
    given = DockerCredentials.from_environment({"HOME": "/none", "DOCKER_CONFIG": str(tmp_path)}).find("r")
    assert [found.username for found in (home, given) if found] == ["home", "given"]


def test_real_helper_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry goes in by stdin; a helper that is not installed is a missing prerequisite."""
    program = tmp_path / "docker-credential-fake"
    program.write_text('#!/bin/sh\nread server\necho "{\\"Username\\": \\"$server\\", \\"Secret\\": \\"$1\\"}"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    exit_code, stdout, _ = run_credential_helper("fake", "quay.io")
    assert (exit_code, json.loads(stdout)) == (0, {"Username": "quay.io", "Secret": "get"})
    with pytest.raises(PrereqError, match="docker-credential-none"):
        run_credential_helper("none", "quay.io")
