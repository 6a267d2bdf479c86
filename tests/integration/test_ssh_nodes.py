"""Login nodes over real SSH servers: nothing is sent to a host that is not known, and no silence is waited out."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hpcbake.adapters.local import LocalNode
from hpcbake.adapters.ssh_fabric import FabricNode
from hpcbake.adapters.ssh_masters import Masters
from hpcbake.adapters.ssh_openssh import OpenSshNode
from hpcbake.adapters.ssh_sockets import SocketFolder
from hpcbake.errors import CantWriteError, HpcbakeError, SiteTrustError, SiteUnreachableError
from hpcbake.model.site import Login
from tests.integration.sshd import Sshd, fingerprint_of, free_port, make_key, public_key, require_sshd
from tests.integration.way import NodeMaker, Way, known_server

#: Whatever of these this machine has.
SHELLS = [name for name in ("sh", "bash", "dash", "zsh", "csh", "tcsh", "fish") if shutil.which(name)]
both = pytest.mark.parametrize("make_node", [FabricNode, OpenSshNode], ids=["fabric", "openssh"])


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """No agent, no servers yet."""
    require_sshd()
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made = Way(tmp_path)
    yield made
    monkeypatch.undo()  # a test that fails may leave a PATH without programs
    made.end()


def wait_until(condition: Callable[[], bool]) -> bool:
    """What another process does takes its time."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def refusal(way: Way, make_node: NodeMaker, script: str = "true", **limits: float) -> HpcbakeError:
    with pytest.raises(HpcbakeError) as caught:
        way.node(make_node, **limits).run_script(script, timeout_s=20)
    return caught.value


# ---- talking --------------------------------------------------------------------------------------------------------


@both
def test_a_script_runs_there(way: Way, make_node: NodeMaker) -> None:
    """Exit code and both streams are the script's; one node serves many scripts."""
    known_server(way)
    node = way.node(make_node)
    for number in range(3):
        outcome = node.run_script(f"echo out; echo err >&2; exit {number}", timeout_s=20)
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (number, "out\n", "err\n")


@both
def test_one_connection_serves_many_scripts(way: Way, make_node: NodeMaker) -> None:
    """One login, however many scripts and files; closed, it is gone."""
    server = known_server(way)
    node = way.node(make_node)
    for _ in range(3):
        node.run_script("true", timeout_s=20)
    node.send_file(way.known_hosts, "cat", timeout_s=20)
    assert server.logins() == 1
    if make_node is FabricNode:
        assert node.host_key == fingerprint_of(server.host_key)
    node.close()
    assert wait_until(lambda: not server.sessions())
    node.run_script("true", timeout_s=20)
    assert server.logins() == 2


@both
@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_every_kind_of_host_key_is_verified(way: Way, make_node: NodeMaker, kind: str) -> None:
    """Many sites have an RSA key and no other."""
    known_server(way, key_kind=kind)
    assert way.node(make_node).run_script("echo here", timeout_s=20).stdout == "here\n"


@both
def test_what_a_login_prints_does_not_matter(way: Way, make_node: NodeMaker) -> None:
    """Banners, noisy start-up files and logout messages are no part of the answer."""
    banner = way.folder / "banner"
    banner.write_text("error busy\nstate created\n" * 50)
    noise = "echo state forged; echo noise >&2"
    server = known_server(way, f"Banner {banner}", f'ForceCommand {noise}; /bin/sh -c "$SSH_ORIGINAL_COMMAND"; {noise}')
    (server.folder / ".bashrc").write_text(f"{noise}\n")
    outcome = way.node(make_node).run_script("echo state real; exit 3", timeout_s=20)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, "state real\n", "")


@both
@pytest.mark.parametrize("shell", SHELLS)
def test_any_login_shell_will_do(way: Way, make_node: NodeMaker, shell: str) -> None:
    """The script is read by /bin/sh, whatever the user's shell is."""
    known_server(way, f'ForceCommand {shutil.which(shell)} -c "$SSH_ORIGINAL_COMMAND"')
    script = "x='a;b'; case $x in a*) echo \"$x\" >&2 ;; esac; exit 4"
    outcome = way.node(make_node).run_script(script, timeout_s=20)
    assert (outcome.exit_code, outcome.stderr) == (4, "a;b\n")


@both
def test_much_comes_and_goes(way: Way, make_node: NodeMaker) -> None:
    """A script of a megabyte and an answer of ten, whole."""
    known_server(way)
    script = f"cat <<'EOF'\n{'x' * 79}\n" + ("y" * 79 + "\n") * 13_000 + "EOF\nhead -c 10000000 /dev/zero | tr '\\0' z"
    outcome = way.node(make_node).run_script(script, timeout_s=60)
    assert len(outcome.stdout) == 80 * 13_001 + 10_000_000
    assert outcome.stdout.endswith("z" * 1000)


@both
def test_a_secret_is_seen_by_nobody_else(way: Way, make_node: NodeMaker) -> None:
    """It reaches the script, and no process list, here or there, and no log."""
    server = known_server(way)
    secret = "s3cret $(x) 'y'"
    outcome = way.node(make_node).run_script(
        'IFS= read -r given; ps axwwe -o args >&2; printf %s "$given"', timeout_s=20, secret_stdin=secret.encode()
    )
    assert outcome.stdout == secret
    assert "sshd" in outcome.stderr
    assert "s3cret" not in outcome.stderr
    assert "s3cret" not in server.log


def test_a_background_process_does_not_hold_the_answer(way: Way) -> None:
    """What a start-up file leaves running keeps the streams open; the answer is there all the same."""
    known_server(way, 'ForceCommand sleep 30 & exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
    began = time.monotonic()
    assert way.node(FabricNode).run_script("echo here", timeout_s=25).stdout == "here\n"
    assert time.monotonic() - began < 10


# ---- trust ----------------------------------------------------------------------------------------------------------


@both
def test_an_unknown_host_is_sent_nothing(way: Way, make_node: NodeMaker) -> None:
    """Not even the user's name; the fingerprint is shown for comparison."""
    server = way.server()
    failure = refusal(way, make_node, f"touch '{way.folder}/ran'")
    assert isinstance(failure, SiteTrustError)
    assert server.requests() == 0
    assert not (way.folder / "ran").exists()
    assert way.known_hosts.read_text() == ""


@both
def test_an_unknown_host_is_named_with_its_fingerprint(way: Way, make_node: NodeMaker) -> None:
    """What to compare, where it was looked for, and the verb that accepts it."""
    server = way.server()
    failure = refusal(way, make_node)
    assert "hpcbake sites trust here" in failure.remedy
    assert failure.kind == "ssh.host-key-unknown"
    assert fingerprint_of(server.host_key) in str(failure.evidence["output"])
    assert str(way.known_hosts) in str(failure.evidence["output"])


@both
def test_a_changed_host_key_is_sent_nothing(way: Way, make_node: NodeMaker) -> None:
    """Somebody else may sit there."""
    server = way.server()
    way.trust(server, make_key(way.folder / "old_key"))
    failure = refusal(way, make_node)
    assert isinstance(failure, SiteTrustError)
    assert server.requests() == 0


@both
def test_a_changed_host_key_is_shown_beside_the_old_one(way: Way, make_node: NodeMaker) -> None:
    """Both fingerprints, and the line of the file."""
    server = way.server()
    old = make_key(way.folder / "old_key")
    way.known_hosts.write_text("# first line\n")
    way.trust(server, old)
    failure = refusal(way, make_node)
    assert failure.kind == "ssh.host-key-changed"
    shown = str(failure.evidence["output"])
    assert fingerprint_of(server.host_key) in shown
    assert fingerprint_of(old) in shown
    assert f"{way.known_hosts}:2" in shown


@both
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_revoked_host_key_is_sent_nothing(way: Way, make_node: NodeMaker, is_listed: bool) -> None:
    """Also where another line still accepts it."""
    server = way.server()
    if is_listed:
        way.trust(server)
    way.trust(server, marker="@revoked ")
    failure = refusal(way, make_node)
    assert isinstance(failure, SiteTrustError)
    assert server.requests() == 0
    if make_node is FabricNode or is_listed:
        assert failure.kind == "ssh.host-key-revoked"


def certified_server(way: Way, names: str = "127.0.0.1", *, marker: str = "@cert-authority") -> tuple[Sshd, Path]:
    """A server whose host key an authority has signed; the authority alone is in known_hosts."""
    authority = make_key(way.folder / "authority")
    server = Sshd(way.folder / "login", way.user_key)
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-h", "-n", names, f"{server.host_key}.pub"]
    subprocess.run(argv, check=True)
    server.lines = (f"HostCertificate {server.folder / 'host_key-cert.pub'}",)
    server.start()
    way.servers.append(server)
    way.add_host("login", server.port)
    way.known_hosts.write_text(f"{marker} [127.0.0.1]:* {public_key(authority)}\n")
    return server, authority


@both
def test_a_signed_host_key_is_accepted(way: Way, make_node: NodeMaker) -> None:
    """The authority is in known_hosts, the key itself is not."""
    server, _ = certified_server(way)
    node = way.node(make_node)
    assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
    assert node.host_key in ("", fingerprint_of(server.host_key))


@both
def test_a_host_key_signed_for_another_host_is_sent_nothing(way: Way, make_node: NodeMaker) -> None:
    """Who runs one host of the site is not every host of it."""
    server, _ = certified_server(way, "other.example.org")
    failure = refusal(way, make_node)
    assert isinstance(failure, SiteTrustError)
    assert server.requests() == 0
    if make_node is FabricNode:
        assert "other.example.org" in str(failure.evidence["output"])


@both
@pytest.mark.parametrize("revoked", ["authority", "key"])
def test_a_revoked_signature_is_sent_nothing(way: Way, make_node: NodeMaker, revoked: str) -> None:
    """The authority may be revoked, or the one key that it signed."""
    server, authority = certified_server(way)
    way.trust(server, authority if revoked == "authority" else None, marker="@revoked ")
    assert isinstance(refusal(way, make_node), SiteTrustError)
    assert server.requests() == 0


@both
def test_every_hop_is_verified(way: Way, make_node: NodeMaker) -> None:
    """A known jump host leads to a known login node."""
    jump = way.server("jump")
    server = way.server("login", jump="jump")
    way.trust(jump)
    way.trust(server)
    node = way.node(make_node)
    assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
    if make_node is FabricNode:
        assert node.host_key == fingerprint_of(server.host_key)


@both
@pytest.mark.parametrize("unknown", ["jump", "login"])
def test_a_hop_that_is_not_known_is_sent_nothing(way: Way, make_node: NodeMaker, unknown: str) -> None:
    """An unknown jump host hears nothing of the login node behind it; an unknown login node nothing of the user."""
    servers = {"jump": way.server("jump"), "login": way.server("login", jump="jump")}
    way.trust(servers["login" if unknown == "jump" else "jump"])
    failure = refusal(way, make_node)
    assert isinstance(failure, SiteTrustError)
    assert servers[unknown].requests() == 0
    assert servers["login"].requests() == 0


def test_jump_hosts_of_jump_hosts_are_verified(way: Way) -> None:
    """Three in a row, the middle one not known: the way ends there."""
    outer, middle = way.server("outer"), way.server("middle", jump="outer")
    server = way.server("login", jump="middle")
    for known in (outer, server):
        way.trust(known)
    assert isinstance(refusal(way, FabricNode), SiteTrustError)
    assert (outer.logins(), middle.requests(), server.requests()) == (1, 0, 0)
    way.trust(middle)
    assert way.node(FabricNode).run_script("echo here", timeout_s=20).stdout == "here\n"


@both
def test_a_refused_login_is_tried_once(way: Way, make_node: NodeMaker) -> None:
    """Sites lock out who knocks too often."""
    server = known_server(way)
    (server.folder / "authorized_keys").write_text("")
    failure = refusal(way, make_node)
    assert isinstance(failure, SiteTrustError)
    assert server.log.count("Connection from") == 2  # the probe at its start, and one connection
    assert failure.kind == "ssh.auth"
    if make_node is FabricNode:
        assert str(way.user_key) in failure.remedy


@both
def test_no_key_at_all_is_a_matter_of_trust(way: Way, make_node: NodeMaker) -> None:
    """Not of the network: trying again changes nothing."""
    known_server(way)
    way.user_key.unlink()
    assert isinstance(refusal(way, make_node), SiteTrustError)


def test_a_key_with_a_passphrase_is_told(way: Way) -> None:
    """With the agent's name and the key's."""
    known_server(way)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", str(way.user_key)], check=True)
    failure = refusal(way, FabricNode)
    assert isinstance(failure, SiteTrustError)
    assert "ssh-add" in failure.remedy


@both
def test_a_key_with_a_passphrase_in_an_agent_is_used(
    way: Way, make_node: NodeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with IdentitiesOnly, as most people have it; of the agent's other keys none is offered."""
    server = known_server(way)
    started = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    socket_path, pid = re.findall(r"=([^;]+);", started)
    monkeypatch.setenv("SSH_AUTH_SOCK", socket_path)
    try:
        others = [make_key(way.folder / f"other{number}") for number in range(7)]
        for key in (*others, way.user_key):
            subprocess.run(["ssh-add", "-q", str(key)], check=True)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", str(way.user_key)], check=True)
        assert way.node(make_node).run_script("echo here", timeout_s=20).stdout == "here\n"
        assert server.log.count("Failed publickey") == 0
    finally:
        os.kill(int(pid), signal.SIGTERM)


# ---- the network ----------------------------------------------------------------------------------------------------


@both
def test_a_refused_connection_is_unreachable(way: Way, make_node: NodeMaker) -> None:
    """Nobody listens there."""
    way.add_host("login", free_port())
    failure = refusal(way, make_node)
    assert isinstance(failure, SiteUnreachableError)
    assert failure.retryable
    if make_node is FabricNode:
        assert failure.kind == "ssh.refused"


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield listener.getsockname()[1]
    for one in taken:
        one.close()


@both
def test_a_host_that_says_nothing_costs_its_deadline(way: Way, make_node: NodeMaker, mute_port: int) -> None:
    """A firewall that swallows everything is not waited for."""
    way.add_host("login", mute_port)
    began = time.monotonic()
    assert isinstance(refusal(way, make_node, connect_timeout_s=1), SiteUnreachableError)
    assert time.monotonic() - began < 25


def test_a_host_that_closes_at_once_is_explained(way: Way) -> None:
    """Most often MaxStartups."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close_all() -> None:
            with suppress(OSError):  # it is closed at the end
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=close_all, daemon=True).start()
        way.add_host("login", listener.getsockname()[1])
        failure = refusal(way, FabricNode, connect_timeout_s=2)
    assert (type(failure), failure.kind) == (SiteUnreachableError, "ssh.banner")


@both
def test_a_script_past_its_deadline_is_unreachable(way: Way, make_node: NodeMaker) -> None:
    """Nobody knows how it ended; the node serves the next script."""
    known_server(way)
    node = way.node(make_node)
    began = time.monotonic()
    with pytest.raises(SiteUnreachableError) as caught:
        node.run_script("sleep 15", timeout_s=1)
    assert time.monotonic() - began < 10
    assert caught.value.kind == "ssh.timeout"
    assert node.run_script("echo here", timeout_s=20).stdout == "here\n"


def when_there(path: Path, act: Callable[[], object]) -> threading.Thread:
    """Call `act` when `path` is there: a script that makes it has begun, however slow the machine is."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_script_that_never_stops_printing_is_stopped(way: Way) -> None:
    """The deadline holds also while something comes in all the time."""
    known_server(way)
    began = time.monotonic()
    with pytest.raises(SiteUnreachableError):
        way.node(FabricNode).run_script("yes", timeout_s=2)
    assert time.monotonic() - began < 15


@both
def test_a_broken_connection_is_told_and_made_anew(way: Way, make_node: NodeMaker, tmp_path: Path) -> None:
    """The server's side dies in the middle of a script; the next script connects again."""
    server = known_server(way)
    node = way.node(make_node)
    begun = tmp_path / "begun"
    when_there(begun, server.break_connections)
    with pytest.raises(SiteUnreachableError) as caught:
        node.run_script(f"touch '{begun}'; sleep 60", timeout_s=90)
    assert caught.value.kind == "ssh.lost"
    assert node.run_script("echo here", timeout_s=20).stdout == "here\n"


def test_a_server_that_freezes_is_not_waited_for(way: Way) -> None:
    """A connection that is open and answers no more: the next script costs one connect deadline, not for ever."""
    server = known_server(way)
    node = way.node(FabricNode, connect_timeout_s=2)
    node.run_script("true", timeout_s=20)
    frozen = server.sessions()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(SiteUnreachableError):
            node.run_script("true", timeout_s=20)
        assert time.monotonic() - began < 15
        assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


def test_a_connection_that_dies_silently_in_a_long_script_is_noticed(way: Way, tmp_path: Path) -> None:
    """A black hole in the middle of an hour's work: the server is asked, and does not answer."""
    server = known_server(way)
    node = FabricNode(way.site(), pulse_s=0.5)
    way.nodes.append(node)
    # Silence alone is no death: the script may be at work.
    assert node.run_script("sleep 4; echo here", timeout_s=60).stdout == "here\n"
    frozen: list[int] = []

    def freeze() -> None:
        frozen.extend(server.sessions())
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)

    begun = tmp_path / "begun"
    timer = when_there(begun, freeze)
    try:
        with pytest.raises(SiteUnreachableError) as caught:
            node.run_script(f"touch '{begun}'; sleep 300", timeout_s=600)
        assert caught.value.kind == "ssh.lost"
        assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
    finally:
        timer.join()
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


@both
def test_a_login_node_that_its_jump_host_cannot_reach_costs_its_deadline(way: Way, make_node: NodeMaker) -> None:
    """A firewall behind the bastion that swallows everything is not waited for either."""
    jump = way.server("jump")
    way.trust(jump)
    with socket.socket() as deaf:  # a queue that is full: nobody is answered any more
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        way.add_host("login", deaf.getsockname()[1], jump="jump")
        began = time.monotonic()
        assert isinstance(refusal(way, make_node, connect_timeout_s=2), SiteUnreachableError)
        assert time.monotonic() - began < 60
        for filler in fillers:
            filler.close()


@both
def test_a_shell_that_dies_has_not_answered(way: Way, make_node: NodeMaker) -> None:
    """A killed script is no success and no exit code."""
    known_server(way)
    with pytest.raises(SiteUnreachableError):
        way.node(make_node).run_script("echo begun; kill -9 $$", timeout_s=20)


@both
def test_sites_are_reached_side_by_side(way: Way, make_node: NodeMaker) -> None:
    """Many nodes in many threads, each with its own answer."""
    known_server(way)
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = way.node(make_node).run_script(f"echo {number}", timeout_s=60).stdout

    way.site()  # written before the threads read it
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"{number}\n" for number in range(8)}


# ---- files ----------------------------------------------------------------------------------------------------------

#: What takes a file: into a part, then its size and hash.
TAKE = "cat >part && wc -c <part && sha256sum <part"
all_ways = pytest.mark.parametrize(
    "make_node", [FabricNode, OpenSshNode, LocalNode], ids=["fabric", "openssh", "local"]
)


def _file(way: Way, content: bytes) -> Path:
    path = way.folder / "a file 'x'"
    path.write_bytes(content)
    return path


@all_ways
@pytest.mark.parametrize("size", [0, 1, 4097, 5_000_001])
def test_a_file_arrives_as_it_is(way: Way, make_node: NodeMaker, size: int) -> None:
    """Any bytes, NUL and the newlines at its end included, and the script's own answer."""
    known_server(way)
    content = (b"\0\xff\r\n\x04~.\n" * (size // 8 + 1))[:size]
    script = f"cd '{way.folder}' && {TAKE}; exit 3"
    told: list[int] = []
    outcome = way.node(make_node).send_file(_file(way, content), script, timeout_s=60, on_sent=told.append)
    assert outcome.exit_code == 3
    assert (told[0], told[-1]) == (0, size)
    assert outcome.stdout.split()[:2] == [str(size), hashlib.sha256(content).hexdigest()]
    assert (way.folder / "part").read_bytes() == content


@all_ways
def test_a_file_need_not_be_taken(way: Way, make_node: NodeMaker) -> None:
    """A script that finds no room says so at once, and the node serves the next one."""
    known_server(way)
    source = way.folder / "large"
    with source.open("wb") as file:
        file.truncate(2 << 30)  # would take long
    node = way.node(make_node)
    outcome = node.send_file(source, "head -c 3 | od -An -c; echo error space; exit 9", timeout_s=60)
    assert (outcome.exit_code, outcome.stdout.split()[-2:]) == (9, ["error", "space"])
    assert node.run_script("echo here", timeout_s=20).stdout == "here\n"


@both
@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_comes_through_any_login_shell(way: Way, make_node: NodeMaker, shell: str) -> None:
    """The login shell reads nothing of it."""
    known_server(way, f'ForceCommand {shutil.which(shell)} -c "$SSH_ORIGINAL_COMMAND"')
    outcome = way.node(make_node).send_file(_file(way, b"x" * 100_000), "wc -c", timeout_s=60)
    assert outcome.stdout == "100000\n"


@all_ways
def test_a_file_that_nobody_takes_is_not_waited_for(way: Way, make_node: NodeMaker) -> None:
    """A file system that hangs is noticed by the lack of progress, long before the deadline."""
    known_server(way)
    began = time.monotonic()
    with pytest.raises(SiteUnreachableError) as caught:
        way.node(make_node).send_file(_file(way, b"x" * 20_000_000), "sleep 50; cat", timeout_s=55, stall_s=2)
    assert time.monotonic() - began < 40
    assert caught.value.kind == "ssh.timeout"


@all_ways
def test_work_after_the_last_byte_may_be_silent(way: Way, make_node: NodeMaker) -> None:
    """Writing to disk and hashing make no progress that could be seen: only the deadline bounds them."""
    known_server(way)
    outcome = way.node(make_node).send_file(_file(way, b"x" * 9), "cat; sleep 3; echo done", timeout_s=60, stall_s=1)
    assert outcome.stdout == "xxxxxxxxxdone\n"


@both
def test_a_file_whose_connection_breaks_has_not_arrived(way: Way, make_node: NodeMaker, tmp_path: Path) -> None:
    """No outcome; the next try is a new one."""
    server = known_server(way)
    node = way.node(make_node)
    begun = tmp_path / "begun"
    when_there(begun, server.break_connections)
    script = f"head -c 10000000; touch '{begun}'; sleep 60; cat"
    with pytest.raises(SiteUnreachableError) as caught:
        node.send_file(_file(way, b"x" * 30_000_000), script, timeout_s=120, stall_s=100)
    assert caught.value.kind == "ssh.lost"
    assert node.send_file(_file(way, b"xyz"), "cat", timeout_s=20).stdout == "xyz"


@all_ways
def test_a_file_that_is_not_there_is_told_before_anything_is_sent(way: Way, make_node: NodeMaker) -> None:
    """This machine's trouble, not the site's."""
    server = known_server(way)
    with pytest.raises(CantWriteError):
        way.node(make_node).send_file(way.folder / "nothing", TAKE, timeout_s=20)
    assert server.requests() == 0


# ---- asking ---------------------------------------------------------------------------------------------------------


def test_a_bastion_asks_once_for_all_sites_behind_it(way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the bastion wants to know is typed once; two sites and many scripts go through its one connection."""
    jump = way.server("jump")
    servers = [way.server("login", jump="jump"), way.server("other", jump="jump")]
    for server in (jump, *servers):
        way.trust(server)
    # A key with a passphrase stands for whatever a host may ask: ssh asks for it in the same way.
    locked = make_key(way.folder / "locked")
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a code", "-f", str(locked)], check=True)
    (jump.folder / "authorized_keys").write_text(public_key(locked) + "\n")
    way.config = [line.replace(str(way.user_key), str(locked)) if n < 8 else line for n, line in enumerate(way.config)]
    asked = tmp_path / "asked"
    helper = tmp_path / "askpass"
    helper.write_text(f"#!/bin/sh\necho asked >>'{asked}'\necho a code\n")
    helper.chmod(0o700)
    for name, value in (("SSH_ASKPASS", str(helper)), ("SSH_ASKPASS_REQUIRE", "force"), ("DISPLAY", "none")):
        monkeypatch.setenv(name, value)
    masters = Masters()
    base = way.site()
    sites = [
        dataclasses.replace(base, name=host, login=dataclasses.replace(base.login, host=host, ask=True))
        for host in ("login", "other")
    ]
    try:
        for site in sites:
            node = OpenSshNode(site, masters)
            for _ in range(2):
                assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
            node.close()
        assert asked.read_text().splitlines() == ["asked"]
        assert [server.logins() for server in (jump, *servers)] == [1, 1, 1]
    finally:
        masters.close()
    assert wait_until(lambda: not jump.sessions())


def test_a_site_that_may_not_ask_never_does(way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `ask` an unattended run is told at once that nobody let it in."""
    known_server(way)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a code", "-f", str(way.user_key)], check=True)
    helper = tmp_path / "askpass"
    helper.write_text(f"#!/bin/sh\ntouch '{tmp_path}/asked'\necho a code\n")
    helper.chmod(0o700)
    for name, value in (("SSH_ASKPASS", str(helper)), ("SSH_ASKPASS_REQUIRE", "force"), ("DISPLAY", "none")):
        monkeypatch.setenv(name, value)
    assert refusal(way, OpenSshNode).kind == "ssh.auth"
    assert not (tmp_path / "asked").exists()


def test_a_connection_that_the_user_shares_is_used(way: Way) -> None:
    """ControlMaster in the user's own configuration is the user's: opened by hand, used, and left open."""
    server = known_server(way)
    socket_path = Path(tempfile.mkdtemp(prefix="cm-")) / "s"
    way.config.append(f"  ControlPath {socket_path}")
    way.site()
    ssh = ["ssh", "-F", str(way.folder / "ssh_config"), "-o", "StrictHostKeyChecking=yes"]
    subprocess.run([*ssh, "-f", "-N", "-M", "login"], check=True, stderr=subprocess.DEVNULL)
    try:
        (server.folder / "authorized_keys").write_text("")  # nobody could log in anew
        node = way.node(OpenSshNode)
        assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
        node.close()
        assert server.logins() == 1
        assert socket_path.exists()
    finally:
        subprocess.run([*ssh, "-O", "exit", "login"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(socket_path.parent)


def test_a_connection_is_kept_for_the_next_run(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `persist` the second run logs in no more, and knows the host key all the same; a new config asks anew."""
    server = known_server(way)
    runtime = tempfile.mkdtemp(prefix="rt-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    base = way.site()
    site = dataclasses.replace(base, login=dataclasses.replace(base.login, persist_s=60.0))
    keys = []
    try:
        for logins in (1, 1, 2):
            masters = Masters()  # those of another process
            node = OpenSshNode(site, masters)
            assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
            assert node.run_script("echo again", timeout_s=20).stdout == "again\n"
            keys.append(node.host_key)
            node.close()
            masters.close()
            assert server.logins() == logins
            if len(keys) == 2:
                os.utime(way.folder / "ssh_config", (1, 1))
        assert len(set(keys)) == 1
        assert keys[0].startswith("SHA256:")
        assert all(path.stat().st_mode & 0o077 == 0 for path in Path(runtime).iterdir())
    finally:
        for path in Path(runtime).glob("*/*"):
            if path.is_socket():
                subprocess.run(
                    ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "x"], check=False, capture_output=True
                )
        shutil.rmtree(runtime)


def standing_node(way: Way, monkeypatch: pytest.MonkeyPatch) -> OpenSshNode:
    """A node whose connection stands, on a machine that has no ssh any more."""
    node = OpenSshNode(way.site(), Masters())
    assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
    monkeypatch.setenv("PATH", str(way.folder / "nowhere"))
    return node


def test_where_a_connection_stands_no_ssh_is_started(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is as with ssh: both streams, the exit code, input of any length, input that nobody reads."""
    server = known_server(way)
    node = standing_node(way, monkeypatch)
    outcome = node.run_script("echo out; echo err >&2; exit 7", timeout_s=20)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (7, "out\n", "err\n")
    much = b"0123456789abcde\n" * 100_000
    assert node.run_script("cat", timeout_s=60, secret_stdin=much).stdout.encode() == much
    assert node.run_script("head -c 10", timeout_s=60, secret_stdin=much).stdout == "0123456789"
    assert len(node.run_script("yes | head -c 3000000 >&2; yes | head -c 3000000", timeout_s=60).stderr) == 3_000_000
    assert server.logins() == 1
    monkeypatch.undo()
    node.close()


def test_threads_do_not_close_each_others_files(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many scripts at the same time, each with streams of its own, while others come and go."""
    # A session that has ended still counts for a moment at the server, which by itself takes 10.
    known_server(way, "MaxSessions 100")
    node = standing_node(way, monkeypatch)
    wrong: list[object] = []

    def work(name: int) -> None:
        try:
            for number in range(25):
                said = node.run_script(f"cat; echo {name}-{number}", timeout_s=60, secret_stdin=b"given\n")
                if said.stdout != f"given\n{name}-{number}\n":
                    wrong.append(said)
        except Exception as error:  # noqa: BLE001  (whatever it is: a thread must not lose it)
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    monkeypatch.undo()
    node.close()


def test_over_a_standing_connection_no_silence_is_waited_out(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline the session is closed; a connection that breaks is told at once."""
    server = known_server(way)
    node = standing_node(way, monkeypatch)
    began = time.monotonic()
    with pytest.raises(SiteUnreachableError, match="no answer for 1 s"):
        node.run_script("sleep 60", timeout_s=1)
    assert time.monotonic() - began < 40
    monkeypatch.undo()
    node = standing_node(way, monkeypatch)
    monkeypatch.undo()
    began = time.monotonic()
    breaker = threading.Timer(1, server.break_connections)
    breaker.start()
    with pytest.raises(SiteUnreachableError, match="the connection broke"):
        node.run_script("sleep 60", timeout_s=59)
    breaker.join()
    assert time.monotonic() - began < 55


def test_notes_of_connections_that_have_gone_are_cleared_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a day; beside a connection that stands they stay."""
    with tempfile.TemporaryDirectory(prefix="rt-") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        folder = Path(runtime, f"hpcbake-ssh-{os.getuid()}")
        folder.mkdir(mode=0o700)
        for name in ("gone.key", "gone.jumps", "new.log", "there.key", "there"):
            (folder / name).touch()
            if name != "new.log":
                os.utime(folder / name, (1, 1))
        SocketFolder().path("x", Login("x", transport="openssh", persist_s=60.0))
        assert sorted(path.name for path in folder.iterdir()) == ["new.log", "there", "there.key"]


def test_a_folder_of_somebody_else_holds_no_sockets(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder of kept connections is open to others, another one is made."""
    known_server(way)
    runtime = Path(tempfile.mkdtemp(prefix="rt-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    open_to_all = runtime / f"hpcbake-ssh-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    base = way.site()
    masters = Masters()
    site = dataclasses.replace(base, login=dataclasses.replace(base.login, persist_s=1.0))
    try:
        assert OpenSshNode(site, masters).run_script("echo here", timeout_s=20).stdout == "here\n"
        assert list(open_to_all.iterdir()) == []
    finally:
        masters.drop(site.login, site.name)
        shutil.rmtree(runtime)


def test_both_transports_know_the_same_host_key(way: Way) -> None:
    """The report names the key that the server proved to hold."""
    known_server(way)
    keys = []
    for make_node in (FabricNode, OpenSshNode):
        node = way.node(make_node)
        node.run_script("true", timeout_s=20)
        keys.append(node.host_key)
        node.close()
    assert keys[0] == keys[1] != ""


# ---- servers with little patience ------------------------------------------------------------------------------------


@both
def test_one_session_at_a_time_is_enough(way: Way, make_node: NodeMaker) -> None:
    """MaxSessions 1, as some sites have it."""
    known_server(way, "MaxSessions 1")
    node = way.node(make_node)
    for _ in range(3):
        assert node.run_script("echo here", timeout_s=20).stdout == "here\n"
    assert node.send_file(way.known_hosts, "cat", timeout_s=20).ok


def test_few_connections_at_a_time_are_shared(way: Way) -> None:
    """MaxStartups 1 drops whoever comes second: each comes again a little later."""
    known_server(way, "MaxStartups 1")
    way.site()
    answers: list[str] = []

    def ask(number: int) -> None:
        answers.append(way.node(FabricNode, connect_timeout_s=10).run_script(f"echo {number}", timeout_s=60).stdout)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["0\n", "1\n", "2\n"]


@both
def test_forwarding_an_agent_that_is_not_there_does_not_matter(way: Way, make_node: NodeMaker) -> None:
    """ForwardAgent in the user's configuration is not ours to follow."""
    known_server(way)
    way.config += ["  ForwardAgent yes"]
    outcome = way.node(make_node).run_script('echo "${SSH_AUTH_SOCK:-none}"', timeout_s=20)
    assert outcome.stdout == "none\n"


# ---- the user's ssh configuration ------------------------------------------------------------------------------------


@both
def test_included_and_matched_lines_count(way: Way, make_node: NodeMaker) -> None:
    """Include, Match and ProxyJump none, as ssh itself reads them."""
    known_server(way)
    included = way.folder / "included"
    included.write_text("\n".join(way.config) + "\n")
    way.config = [f"Include {included}", "Match originalhost login exec true", "  ProxyJump none", "Host *"]
    way.config += ["  ProxyJump nowhere.invalid"]
    assert way.node(make_node).run_script("echo here", timeout_s=20).stdout == "here\n"


@both
def test_a_list_of_jump_hosts_is_followed(way: Way, make_node: NodeMaker) -> None:
    """`ProxyJump a,b`: b through a, whatever b's own lines say; both on one address."""
    first, second = way.server("first"), way.server("second")
    server = way.server("login", jump="first,second")
    for known in (first, second, server):
        way.trust(known)
    assert way.node(make_node).run_script("echo here", timeout_s=20).stdout == "here\n"
    assert [known.logins() for known in (first, second, server)] == [1, 1, 1]
