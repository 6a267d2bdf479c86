"""Which host keys were accepted: read by the real ssh-keygen, revoked ones and authorities told apart."""

from __future__ import annotations

import base64
import dataclasses
import subprocess
from pathlib import Path

import pytest

from hpcbake.adapters.host_certificates import certificate_trouble
from hpcbake.adapters.known_hosts import (
    KnownKey,
    Standing,
    accept_host_key,
    find_known_keys,
    fingerprint,
    judge_host_key,
    parse_found_keys,
)
from hpcbake.adapters.ssh_config import Hop
from hpcbake.errors import CantWriteError


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
    (key,) = found(tmp_path, f"@cert-authority *.example.org {keys[0]}\n")
    assert key.is_authority
    assert judge_host_key(hop(tmp_path / "known hosts"), [key], key.blob).standing is Standing.UNKNOWN


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


# ---- judging --------------------------------------------------------------------------------------------------------


def blob_of(line: str) -> bytes:
    return base64.b64decode(line.split()[1])


def standing(folder: Path, text: str, offered: str, certificate: bytes = b"") -> Standing:
    """What known_hosts with this text says of the key that a server offers."""
    known = found(folder, text)
    return judge_host_key(hop(folder / "known hosts"), known, blob_of(offered), certificate).standing


def test_a_key_stands_as_it_is_listed(tmp_path: Path, keys: list[str]) -> None:
    """Listed, listed otherwise, not listed; a revoked line outweighs one that accepts."""
    mine, other = (f"login.example.org {key}\n" for key in keys)
    assert standing(tmp_path, mine, keys[0]) is Standing.ACCEPTED
    assert standing(tmp_path, mine + other, keys[1]) is Standing.ACCEPTED
    assert standing(tmp_path, other, keys[0]) is Standing.CHANGED
    assert standing(tmp_path, "", keys[0]) is Standing.UNKNOWN
    assert standing(tmp_path, f"{mine}@revoked * {keys[0]}\n", keys[0]) is Standing.REVOKED
    assert standing(tmp_path, f"@revoked * {keys[1]}\n", keys[0]) is Standing.UNKNOWN


class Signer:
    """Certificates by the real ssh-keygen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = make_key(folder, "authority")
        self.host = make_key(folder, "host")

    def certificate(self, *options: str, authority: str = "authority", host: str = "host") -> bytes:
        made = self.folder / f"{host}-cert.pub"
        sign = ["ssh-keygen", "-q", "-s", str(self.folder / authority), "-I", "x", *options]
        subprocess.run([*sign, str(self.folder / f"{host}.pub")], check=True, capture_output=True)
        return base64.b64decode(made.read_text().split()[1])

    def standing(self, folder: Path, certificate: bytes, more: str = "", authority: str = "") -> Standing:
        text = f"@cert-authority *.example.org {authority or self.authority}\n{more}"
        return standing(folder, text, self.host, certificate)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """An authority and a host key that it can sign."""
    return Signer(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    "names", ["login.example.org", "other,login.example.org", "*.example.org", "LOGIN.example.org"]
)
def test_an_authority_vouches_for_its_hosts(tmp_path: Path, signed: Signer, names: str) -> None:
    """By name or by pattern, with the key listed nowhere, and even where an older key is listed."""
    certificate = signed.certificate("-h", "-n", names)
    assert signed.standing(tmp_path, certificate) is Standing.ACCEPTED
    assert signed.standing(tmp_path, certificate, f"login.example.org {signed.authority}\n") is Standing.ACCEPTED


@pytest.mark.parametrize(
    "options",
    [
        ("-h", "-n", "elsewhere.example.org"),
        ("-h", "-n", "login.example.or"),
        ("-h", "-n", "login.example.org", "-V", "20200101:20200201"),
        ("-h", "-n", "login.example.org", "-V", "20400101:20410101"),
        ("-n", "login.example.org"),
        ("-h",),
    ],
)
def test_a_certificate_counts_only_for_what_it_says(tmp_path: Path, signed: Signer, options: tuple[str, ...]) -> None:
    """Another host, another time, a user's certificate, one for no host at all."""
    assert signed.standing(tmp_path, signed.certificate(*options)) is Standing.UNKNOWN


def test_another_authority_does_not_count(tmp_path: Path, signed: Signer) -> None:
    """Neither one that is not listed, nor one that is revoked, nor one listed for other hosts."""
    certificate = signed.certificate("-h", "-n", "login.example.org")
    assert signed.standing(tmp_path, certificate, authority=signed.host) is Standing.UNKNOWN
    assert signed.standing(tmp_path, certificate, f"@revoked * {signed.authority}\n") is Standing.REVOKED
    assert signed.standing(tmp_path, certificate, f"@revoked * {signed.host}\n") is Standing.REVOKED
    text = f"@cert-authority *.elsewhere.org {signed.authority}\n"
    assert standing(tmp_path, text, signed.host, certificate) is Standing.UNKNOWN


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_every_kind_of_key_can_be_certified(tmp_path: Path, signed: Signer, kind: str) -> None:
    """And can certify."""
    authority, host = make_key(signed.folder, f"ca_{kind}", kind), make_key(signed.folder, f"host_{kind}", kind)
    certificate = signed.certificate("-h", "-n", "*", authority=f"ca_{kind}", host=f"host_{kind}")
    assert standing(tmp_path, f"@cert-authority * {authority}\n", host, certificate) is Standing.ACCEPTED


def test_a_signature_by_sha1_does_not_count(tmp_path: Path, signed: Signer) -> None:
    """ssh has not taken them since 8.2."""
    authority = make_key(signed.folder, "ca_old", "rsa")
    certificate = signed.certificate("-h", "-n", "*", "-t", "ssh-rsa", authority="ca_old")
    assert standing(tmp_path, f"@cert-authority * {authority}\n", signed.host, certificate) is Standing.UNKNOWN


def test_a_certificate_that_was_touched_does_not_count(signed: Signer) -> None:
    """Whatever bit of it: no crash, no trust."""
    certificate = signed.certificate("-h", "-n", "login.example.org")
    for at in range(0, len(certificate), 3):
        changed = bytes([*certificate[:at], certificate[at] ^ 1, *certificate[at + 1 :]])
        for damaged in (changed, certificate[:at]):
            assert certificate_trouble(damaged, "login.example.org", {blob_of(signed.authority)})


# ---- accepting ------------------------------------------------------------------------------------------------------


def test_an_accepted_key_is_found_again(tmp_path: Path, keys: list[str]) -> None:
    """In a new file below a new folder, readable by the user alone; lines that are there stay."""
    where = hop(tmp_path / "ssh" / "known_hosts")
    accept_host_key(where, [("ssh-ed25519", blob_of(keys[0]))])
    path = accept_host_key(where, [(keys[1].split()[0], blob_of(keys[1]))])
    assert [key.blob for key in find_known_keys(where)] == [blob_of(keys[0]), blob_of(keys[1])]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_hashed_name_hides_the_host(tmp_path: Path, keys: list[str]) -> None:
    """As HashKnownHosts asks; port and all."""
    where = dataclasses.replace(hop(tmp_path / "known_hosts", port=2222), hashes_names=True)
    path = accept_host_key(where, [("ssh-ed25519", blob_of(keys[0]))])
    assert "login" not in path.read_text()
    assert [key.blob for key in find_known_keys(where)] == [blob_of(keys[0])]


@pytest.mark.parametrize("files", [(), ("/dev/null", "/etc/ssh/ssh_known_hosts")])
def test_without_a_file_of_the_user_s_nothing_is_accepted(keys: list[str], files: tuple[str, ...]) -> None:
    """The system's file is not the user's to write."""
    where = dataclasses.replace(hop(Path("/nowhere")), known_hosts_files=files)
    with pytest.raises(CantWriteError):
        accept_host_key(where, [("ssh-ed25519", blob_of(keys[0]))])
