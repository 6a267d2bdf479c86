"""`hpcbake sites` as far as it needs no network, and what every verb does with site configs that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpcbake.cli.group import hpcbake
from hpcbake.cli.site_target import find_target
from hpcbake.errors import ConfigError, ExitCode, UsageError
from hpcbake.model.site import Login


def run(*words: str) -> object:
    return hpcbake.main(args=list(words), standalone_mode=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One good site and one that is wrong."""
    (tmp_path / "alder.yaml").write_text(
        "name: alder\nlogin: {host: login, user: me, port: 22}\nstore: {root: /s}\nprofile: {glibc: 2.30}\n"
    )
    (tmp_path / "birch.yaml").write_text("name: birch\nlogin: {hots: birch}\nstore: {root: /s}\n")
    return tmp_path


def test_a_wrong_file_stops_everything(folder: Path) -> None:
    """Nothing is started for the good ones either."""
    with pytest.raises(ConfigError):
        run("sites", "list", "--site-configs", str(folder))


def test_a_wrong_file_can_be_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others go on, its mistake is told, and the run is not fine."""
    code = run("sites", "list", "--json", "--keep-going-sites", "--site-configs", str(folder))
    shown = capsys.readouterr()
    assert code == ExitCode.PARTIAL
    assert [site["name"] for site in json.loads(shown.out)["sites"]] == ["alder"]
    assert "birch.yaml:2:" in shown.err
    assert "did you mean `host`?" in shown.err


def test_when_all_files_are_right_nothing_is_left_out(folder: Path) -> None:
    """The option alone changes no exit code."""
    (folder / "birch.yaml").unlink()
    assert run("sites", "list", "--json", "--keep-going-sites", "--site-configs", str(folder)) in (None, 0)


def test_sites_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How to get there, what carries the SIFs, and where it is written."""
    run("sites", "list", "--site", "alder", "--site-configs", str(folder))
    shown = capsys.readouterr().out
    for word in ("alder", "me@login:22", "fabric", "auto", "/s", "alder.yaml"):
        assert word in shown


def test_a_site_is_shown_with_its_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is declared with its place, text as text."""
    run("sites", "show", "alder", "--json", "--site-configs", str(folder))
    settings = {item["key"]: item for item in json.loads(capsys.readouterr().out)["settings"]}
    assert (settings["profile.glibc"]["value"], settings["profile.glibc"]["line"]) == ("2.30", 4)
    assert (settings["store.mode"]["value"], settings["store.mode"]["line"]) == ("0644", None)


@pytest.mark.parametrize(
    ("target", "login"),
    [
        ("me@login.example.org", Login("login.example.org", user="me")),
        ("login", Login("login")),
        ("me@login:2222", Login("login", user="me", port=2222)),
    ],
)
def test_a_target_is_written_as_for_ssh(folder: Path, target: str, login: Login) -> None:
    """User, host, port."""
    assert find_target(target, folder, None, None).login == login


def test_a_declared_site_is_a_target(folder: Path) -> None:
    """By its name, with everything that its file says."""
    assert find_target("alder", folder, None, None).path == str(folder / "alder.yaml")


@pytest.mark.parametrize("target", ["", "-oProxyCommand=x", "a b", "me@", "x;y", "me@-h", "host:port"])
def test_what_is_no_target_is_not_given_to_ssh(folder: Path, target: str) -> None:
    """An option or a command in its place is refused."""
    with pytest.raises(UsageError):
        find_target(target, folder, None, None)


def test_a_check_of_wrong_files_alone_is_a_document_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read JSON whatever is wrong; people read the error."""
    code = run("sites", "check", "birch", "--json", "--site-configs", str(folder))
    document = json.loads(capsys.readouterr().out)
    assert (code, document["exit"]) == (ExitCode.CONFIG, ExitCode.CONFIG)
    (site,) = document["sites"]
    assert (site["name"], site["lines"][0]["level"]) == ("birch", "FAIL")
    with pytest.raises(ConfigError):
        run("sites", "check", "birch", "--site-configs", str(folder))


def test_a_way_that_only_ssh_knows_is_told(tmp_path: Path) -> None:
    """Host keys behind a ProxyCommand are looked at by hand."""
    config = tmp_path / "ssh_config"
    config.write_text("Host far\n  ProxyCommand nc %h %p\n")
    with pytest.raises(ConfigError, match="ProxyCommand") as caught:
        run("sites", "trust", "far", "--transport", "openssh", "--ssh-config", str(config))
    assert f"ssh -F {config} far" in caught.value.remedy
