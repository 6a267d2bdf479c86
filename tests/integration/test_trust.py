"""`hpcbake sites trust` over real SSH servers: what is shown, what is written, and what is never accepted."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcbake.adapters.ssh_fabric import FabricNode
from tests.integration.sshd import Sshd, fingerprint_of, free_port, make_key, public_key, require_sshd
from tests.integration.way import Way

TRANSPORTS = pytest.mark.parametrize("transport", ["fabric", "openssh"])


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """No agent, no servers yet."""
    require_sshd()
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made = Way(tmp_path)
    yield made
    made.end()


def trust(way: Way, *words: str, transport: str = "fabric", answer: str | None = None) -> tuple[int, str]:
    """Exit code and output of `hpcbake sites trust here`; with an answer it has a terminal to ask on."""
    way.site()  # writes the ssh configuration
    configs = way.folder / "site-configs"
    configs.mkdir(exist_ok=True)
    (configs / "here.yaml").write_text(
        f"name: here\nlogin: {{host: login, transport: {transport}, ssh_config: '{way.folder}/ssh_config'}}\n"
        "store: {root: /store}\n"
    )
    argv = [sys.executable, "-m", "hpcbake", "sites", "trust", "here", "--site-configs", str(configs), *words]
    if answer is None:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(argv, stdin=theirs, capture_output=True, text=True, timeout=120)
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stdout + done.stderr


@TRANSPORTS
def test_a_fingerprint_that_is_given_is_written(way: Way, transport: str) -> None:
    """That key alone; afterwards the site can be reached."""
    server = way.server()
    code, shown = trust(way, "--fingerprint", fingerprint_of(server.host_key), transport=transport)
    assert (code, "written to" in shown) == (0, True)
    assert way.known_hosts.read_text() == f"{server.name} {public_key(server.host_key)}\n"
    assert server.requests() == 0
    assert way.node(FabricNode).run_script("echo here", timeout_s=20).stdout == "here\n"


def test_a_word_on_the_terminal_accepts(way: Way) -> None:
    """All keys that were shown; a second time there is nothing to ask."""
    server = way.server()
    assert trust(way, answer="y")[0] == 0
    assert public_key(server.host_key) in way.known_hosts.read_text()
    before = way.known_hosts.read_text()
    code, shown = trust(way)
    assert (code, "accepted already" in shown, way.known_hosts.read_text() == before) == (0, True, True)


@pytest.mark.parametrize("answer", ["n", "", None])
def test_without_a_yes_nothing_is_written(way: Way, answer: str | None) -> None:
    """No, nothing, and nobody there to ask."""
    server = way.server()
    code, shown = trust(way, answer=answer)
    assert (code, way.known_hosts.read_text()) == (41, "")
    assert fingerprint_of(server.host_key) in shown


def test_another_fingerprint_is_refused(way: Way) -> None:
    """Somebody else may sit there."""
    way.server()
    code, shown = trust(way, "--fingerprint", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert (code, way.known_hosts.read_text()) == (41, "")
    assert "do not connect" in shown


@pytest.mark.parametrize("marker", ["", "@revoked "])
def test_a_changed_or_revoked_key_is_never_accepted(way: Way, marker: str) -> None:
    """Not even with its own fingerprint: the line that says otherwise is removed by hand or not at all."""
    server = way.server()
    way.trust(server, make_key(way.folder / "old") if not marker else None, marker)
    before = way.known_hosts.read_text()
    code, shown = trust(way, "--fingerprint", fingerprint_of(server.host_key))
    assert (code, way.known_hosts.read_text()) == (41, before)
    assert f"{way.known_hosts}:1" in shown


@TRANSPORTS
def test_a_host_behind_a_jump_host_is_asked_through_it(way: Way, transport: str) -> None:
    """Each hop in turn, each by its own fingerprint; the first must be trusted before the second is seen."""
    jump = way.server("jump")
    server = way.server("login", jump="jump")
    code, shown = trust(way, "--fingerprint", fingerprint_of(jump.host_key), transport=transport)
    assert (code, fingerprint_of(server.host_key) in shown) == (41, True)
    both = ("--fingerprint", fingerprint_of(jump.host_key), "--fingerprint", fingerprint_of(server.host_key))
    assert trust(way, *both, transport=transport)[0] == 0
    names = [line.split()[0] for line in way.known_hosts.read_text().splitlines()]
    assert names == [jump.name, server.name]
    assert server.requests() == 0
    assert way.node(FabricNode).run_script("echo here", timeout_s=20).stdout == "here\n"


def test_names_are_hidden_where_the_user_hides_them(way: Way) -> None:
    """HashKnownHosts, as ssh does it; ssh-keygen finds the line."""
    server = way.server()
    way.config.append("  HashKnownHosts yes")
    assert trust(way, "--fingerprint", fingerprint_of(server.host_key))[0] == 0
    assert way.known_hosts.read_text().startswith("|1|")
    assert way.node(FabricNode).run_script("echo here", timeout_s=20).stdout == "here\n"


def test_a_torn_last_line_is_not_continued(way: Way) -> None:
    """A known_hosts file without its last newline keeps that line."""
    server = way.server()
    way.known_hosts.write_text(f"other {public_key(way.user_key)}")
    assert trust(way, "--fingerprint", fingerprint_of(server.host_key))[0] == 0
    assert len(way.known_hosts.read_text().splitlines()) == 2


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_every_kind_of_key_is_shown(way: Way, kind: str) -> None:
    """Also where a server has no key of the newest kind."""
    server = Sshd(way.folder / "login", way.user_key, key_kind=kind)
    server.start()
    way.servers.append(server)
    way.add_host("login", server.port)
    assert fingerprint_of(server.host_key) in trust(way)[1]


def test_a_host_that_is_not_there_is_unreachable(way: Way) -> None:
    """Worth trying again, unlike a refusal."""
    way.add_host("login", free_port())
    assert trust(way)[0] == 40
