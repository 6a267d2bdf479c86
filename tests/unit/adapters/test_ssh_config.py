"""How to get to a login node, as ssh itself would: asked of the real `ssh -G`."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from hpcbake.adapters.ssh_config import (
    Hop,
    jump_argv,
    parse_ssh_settings,
    resolve_hops,
    shares_connections,
    ssh_argv,
)
from hpcbake.errors import ConfigError
from hpcbake.model.site import Login


class Resolve:
    """Resolves a login with some text as its ssh_config."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, text: str, host: str = "login", user: str | None = None, port: int | None = None) -> list[Hop]:
        config = self.folder / "ssh config"
        config.write_text(text)
        return resolve_hops(Login(host, user=user, port=port, ssh_config=str(config)))


@pytest.fixture
def resolve(tmp_path: Path) -> Resolve:
    return Resolve(tmp_path)


def addresses(hops: list[Hop]) -> list[str]:
    return [f"{hop.user}@{hop.address}" for hop in hops]


def test_an_alias_is_what_ssh_config_says(resolve: Resolve) -> None:
    """Name, port, user and the name of its host key."""
    (hop,) = resolve("Host login\n  HostName login.example.org\n  Port 2222\n  User ada\n")
    assert addresses([hop]) == ["ada@login.example.org:2222"]
    assert (hop.alias, hop.host_key_name) == ("login", "[login.example.org]:2222")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "login"),
        ("Host login\n  Port 2222\n", "[login]:2222"),
        ("Host login\n  HostKeyAlias cluster\n  Port 2222\n", "cluster"),
    ],
)
def test_a_host_key_is_listed_under_sshs_name(resolve: Resolve, text: str, name: str) -> None:
    """As ssh would look it up."""
    assert resolve(text)[0].host_key_name == name


def test_the_site_config_wins_over_ssh_config(resolve: Resolve) -> None:
    """User and port that are declared are meant."""
    assert addresses(resolve("Host login\n  User ada\n  Port 2222\n", user="bob", port=2200)) == ["bob@login:2200"]


def test_include_and_match_are_followed(resolve: Resolve) -> None:
    """What paramiko does not read."""
    (resolve.folder / "more").write_text("Host login\n  HostName included.example.org\n")
    text = f'Include "{resolve.folder}/more"\nMatch host included.example.org exec "true"\n  User matched\n'
    assert addresses(resolve(text)) == ["matched@included.example.org:22"]


CHAIN = """
Host login
  User ada
  ProxyJump {jumps}
Host middle
  User ada
  HostName 10.0.0.2
  ProxyJump outer
Host outer
  HostName 10.0.0.1
  User olga
  Port 2201
"""


@pytest.mark.parametrize(
    ("jumps", "way"),
    [
        ("none", ["ada@login:22"]),
        ("outer", ["olga@10.0.0.1:2201", "ada@login:22"]),
        ("middle", ["olga@10.0.0.1:2201", "ada@10.0.0.2:22", "ada@login:22"]),
        ("outer,middle", ["olga@10.0.0.1:2201", "ada@10.0.0.2:22", "ada@login:22"]),
        ("bob@outer:99,ssh://carol@other:2202", ["bob@10.0.0.1:99", "carol@other:2202", "ada@login:22"]),
        ("bob@realm@[fe80::1]:22", ["bob@realm@fe80::1:22", "ada@login:22"]),
    ],
)
def test_jump_hosts_are_opened_in_order(resolve: Resolve, jumps: str, way: list[str]) -> None:
    """Also those that a jump host itself needs; each with its own user and port."""
    assert addresses(resolve(CHAIN.format(jumps=jumps))) == way


@pytest.mark.parametrize(
    "text",
    [
        "Host login\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n",
        "Host *\n  ProxyJump bastion\n",
    ],
)
def test_jumps_in_a_circle_are_told(resolve: Resolve, text: str) -> None:
    """Not followed until something breaks."""
    with pytest.raises(ConfigError):
        resolve(text)


@pytest.mark.parametrize("host", ["login", "jump"])
def test_a_proxy_command_is_not_passed_over(resolve: Resolve, host: str) -> None:
    """Connecting without it would reach another machine, or none; at a jump host too."""
    with pytest.raises(ConfigError, match="ProxyCommand") as caught:
        resolve(f"Host {host}\n  ProxyCommand nc %h %p\nHost login\n  ProxyJump jump\n")
    assert "transport: openssh" in caught.value.remedy


def test_identities_are_files_that_exist(resolve: Resolve) -> None:
    """With tokens and quotes as ssh expands them."""
    for name in ("a key", "id_login.example.org_ada"):
        (resolve.folder / name).write_text("")
    text = (
        "Host login\n  HostName login.example.org\n  User ada\n  IdentitiesOnly yes\n"
        f'  IdentityFile "{resolve.folder}/a key"\n  IdentityFile {resolve.folder}/id_%h_%r\n  IdentityFile /nowhere\n'
    )
    (hop,) = resolve(text)
    assert [Path(name).name for name in hop.identity_files] == ["a key", "id_login.example.org_ada"]
    assert hop.identities_only


def test_known_hosts_files_are_sshs(resolve: Resolve) -> None:
    """User's and system's, in that order; none means none."""
    (hop,) = resolve("Host login\n  UserKnownHostsFile /x/%h ~/y\n  GlobalKnownHostsFile none\n")
    assert hop.known_hosts_files == ("/x/login", str(Path(pwd.getpwuid(os.getuid()).pw_dir) / "y"))


def test_an_ssh_config_that_does_not_exist_is_told() -> None:
    """ssh would pass over it in silence."""
    with pytest.raises(ConfigError, match="/nowhere/config"):
        resolve_hops(Login("login", ssh_config="/nowhere/config"))


def test_an_ssh_config_that_is_wrong_is_told_in_sshs_words(resolve: Resolve) -> None:
    """With its line."""
    with pytest.raises(ConfigError) as caught:
        resolve("Host login\n  Prot 22\n")
    assert "line 2" in str(caught.value.evidence["output"])


def test_settings_may_come_several_times() -> None:
    """Each value is kept, in order, with its spaces."""
    text = "identityfile a b\nIdentityFile c\nflag\n"
    assert parse_ssh_settings(text) == {"identityfile": ["a b", "c"], "flag": [""]}


def test_a_tilde_in_the_sites_ssh_config_is_the_home() -> None:
    """No shell is there to expand it."""
    argv = ssh_argv(Login("login", ssh_config="~/c"), "-G")
    assert argv == ["ssh", "-F", str(Path.home() / "c"), "-G"]


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("", False),
        ("ControlPath none", False),
        ("ControlMaster auto\n  ControlPath {0}/s\n  ControlPersist 10m", True),
        ("ControlMaster auto\n  ControlPath {0}/s", False),
        ("ControlPath {0}/s", False),
    ],
)
def test_a_shared_connection_must_outlive_a_call(tmp_path: Path, text: str, shared: bool) -> None:
    """ControlMaster without ControlPersist ends with the call that made it; a path alone has nobody behind it."""
    config = tmp_path / "config"
    config.write_text(f"Host h\n  HostName 127.0.0.1\n  {text.format(tmp_path)}\n")
    assert shares_connections(Login("h", ssh_config=str(config))) is shared


def test_jump_hosts_are_passed_by_ssh_itself() -> None:
    """All of them, each with its user and port, asking nobody and trusting nobody new."""
    hops = [Hop(name, "x", 22, "me", (), False, "x", ()) for name in ("outer", "inner")]
    argv = jump_argv(Login("login"), hops, "[far]:22")
    assert argv[argv.index("-J") + 1] == "me@outer:22"
    assert argv[-4:] == ["-W", "[far]:22", "--", "ssh://me@inner:22"]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(argv)
    assert "-J" not in jump_argv(Login("login"), hops[:1], "[far]:22")
