"""Which host keys were accepted: read by the real ssh-keygen, revoked ones and authorities told apart."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from hpcbake.adapters.known_hosts import KnownKey, find_known_keys, fingerprint, parse_found_keys
from hpcbake.adapters.ssh_config import Hop


def make_key(folder: Path, name: str, kind: str = "ed25519") -> str:
    """A new key pair; its public line without the comment."""
    path = folder / name
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)]
    subprocess.run([*argv, *(["-b", "2048"] if kind == "rsa" else [])], check=True, capture_output=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two public keys."""
    folder = tmp_path_factory.mktemp("keys")
    return [make_key(folder, "one"), make_key(folder, "two", "ecdsa")]


def hop(file: Path, *, host: str = "login.example.org", port: int = 22) -> Hop:
    name = host if port == 22 else f"[{host}]:{port}"
    return Hop("login", host, port, "ada", (), False, name, (str(file), "/nowhere/known_hosts"))


def found(folder: Path, text: str, **where: object) -> list[KnownKey]:
    file = folder / "known hosts"
    file.write_text(text)
    return find_known_keys(hop(file, **where))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pattern",
    [
        "login.example.org",
        "other,login.example.org,10.0.0.1",
        "*.example.org",
        "login?example.org",
        "LOGIN.example.org",
    ],
)
def test_a_host_is_found_as_ssh_finds_it(tmp_path: Path, keys: list[str], pattern: str) -> None:
    """By name, in a list, by pattern; with the line's place."""
    (key,) = found(tmp_path, f"# a comment\n\n{pattern} {keys[0]} a comment\n")
    assert (key.kind, key.revoked, key.place) == ("ssh-ed25519", False, f"{tmp_path}/known hosts:3")
    assert key.blob == base64.b64decode(keys[0].split()[1])


def test_hashed_names_are_found(tmp_path: Path, keys: list[str]) -> None:
    """HashKnownHosts hides names from readers, not from ssh-keygen."""
    file = tmp_path / "known hosts"
    file.write_text(f"login.example.org {keys[0]}\nother {keys[1]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "login" not in file.read_text()
    assert [key.kind for key in find_known_keys(hop(file))] == ["ssh-ed25519"]


@pytest.mark.parametrize(
    "pattern", ["login.example", "xlogin.example.org", "!login.example.org,*.example.org", "[login.example.org]:2222"]
)
def test_another_host_is_not_found(tmp_path: Path, keys: list[str], pattern: str) -> None:
    """A part of a name, an exception, another port."""
    assert found(tmp_path, f"{pattern} {keys[0]}\n") == []


def test_all_keys_of_a_host_are_found(tmp_path: Path, keys: list[str]) -> None:
    """A host has one key per kind."""
    assert len(found(tmp_path, "".join(f"login.example.org {key}\n" for key in keys))) == 2


def test_a_revoked_key_is_told_apart(tmp_path: Path, keys: list[str]) -> None:
    """Its line's number too."""
    first, second = found(tmp_path, f"login.example.org {keys[0]}\n@revoked * {keys[1]}\n")
    assert (first.revoked, second.revoked) == (False, True)
    assert (first.place[-2:], second.place[-2:]) == (":1", ":2")


def test_an_authority_is_no_host_key(tmp_path: Path, keys: list[str]) -> None:
    """A key that signs host keys must not be taken for one."""
    assert found(tmp_path, f"@cert-authority *.example.org {keys[0]}\n") == []


@pytest.mark.parametrize(
    ("text", "many"),
    [
        ("[login.example.org]:2222 {0}\n", 1),
        ("login.example.org {0}\n", 1),
        ("[login.example.org]:2222 {0}\nlogin.example.org {1}\n", 1),
    ],
)
def test_another_port_is_looked_up_with_it_first(tmp_path: Path, keys: list[str], text: str, many: int) -> None:
    """As ssh does: without the port only where nothing is listed with it."""
    seen = found(tmp_path, text.format(*keys), port=2222)
    assert [base64.b64encode(key.blob).decode() for key in seen] == [keys[0].split()[1]] * many


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "login.example.org\n",
        "login.example.org ssh-ed25519\n",
        "login.example.org ssh-ed25519 %%%\n",
        "\0\xff\n",
    ],
)
def test_a_damaged_file_lists_nothing(tmp_path: Path, text: str) -> None:
    """And is no crash."""
    assert found(tmp_path, text) == []


def test_lines_that_are_no_keys_are_passed_over() -> None:
    """Whatever ssh-keygen prints."""
    assert parse_found_keys("# Host x found: line 1\nx ssh-ed25519 !!!\n\n#\n@revoked\n", "f") == []


def test_a_fingerprint_is_what_ssh_prints(tmp_path: Path) -> None:
    """People compare it with the site's documentation."""
    public = make_key(tmp_path, "key")
    printed = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "key.pub")], check=True, capture_output=True, text=True
    )
    assert fingerprint(base64.b64decode(public.split()[1])) == printed.stdout.split()[1]
