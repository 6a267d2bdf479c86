"""A restricted key at a real login node: an ordinary ship goes through its gate, and nothing else does."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.chain import Chain, make_chain, outcomes, write_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def project(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    chain = make_chain(lab, tmp_path_factory.mktemp("gate"))
    yield chain
    chain.wipe()


@pytest.fixture(scope="module")
def gated(project: Chain) -> Iterator[Path]:
    """An ssh_config whose key is restricted at alder by the line that hpcbake printed; the project uses it."""
    lab, folder = project.lab, project.folder
    key, mark = folder / "nightly", f"nightly-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", mark, "-f", key], check=True)
    done = project.run(
        "sites", "restrict", "alder", "--install", "--key", f"{key}.pub", "--from", "*.*,*:*", check=True
    )
    assert "installed alder:/home/alice/.hpcbake/gate-alder" in done.stderr
    assert done.stdout.startswith('restrict,from="*.*,*:*",command="/bin/sh ~/.hpcbake/gate-alder" ssh-ed25519 ')
    lab.ssh("alder", "umask 077; cat >>~/.ssh/authorized_keys", input=done.stdout)
    config = folder / "ssh_config_gated"
    text = (lab.state / "ssh_config").read_text()
    config.write_text(text.replace(f'"{lab.state}/id_lab"', f'"{key}"'))
    write_site(project, "alder", login={"ssh_config": str(config), "gate": "true"})
    yield config
    lab.ssh(
        "alder", f"sed -i '/{mark}$/d' ~/.ssh/authorized_keys; rm -f ~/.hpcbake/gate-alder ~/.hpcbake/gate-alder.log*"
    )


def call(config: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    argv = ["ssh", "-F", str(config), "-o", "BatchMode=yes", *words]
    return subprocess.run(argv, input=given, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("way", ["docker", "oras", "stream"])
@pytest.mark.parametrize("transport", ["fabric", "openssh"])
def test_an_ordinary_ship_goes_through(project: Chain, gated: Path, way: str, transport: str) -> None:
    """Survey, delivery of every kind, smoke job and promotion need no more than the gate allows."""
    if (way, transport) == ("oras", "openssh"):
        pytest.skip("the transport makes no difference to a way without bytes")
    project.environment["CONTENT"] = f"{way}-{transport}"
    login = {"ssh_config": str(gated), "gate": "true", "transport": transport}
    write_site(project, "alder", login=login, runtime={"way": way})
    report = project.ship("--site", "alder")
    assert outcomes(report) == {"alder": "ok"}, report["stderr"]
    assert project.readlink("alder").endswith(".sif")
    status = project.run("status", "--site", "alder", check=True)
    assert project.image in status.stdout


def test_a_detached_job_is_collected_through_it(project: Chain, gated: Path) -> None:
    """Night runs may leave their jobs to the next one."""
    project.environment["CONTENT"] = "detached"
    write_site(project, "alder", login={"ssh_config": str(gated), "gate": "true"})
    project.run("ship", "--site", "alder", "--detach")
    report = project.ship("--site", "alder")
    assert outcomes(report) == {"alder": "ok"}, report["stderr"]


@pytest.mark.parametrize(
    "words",
    [
        ("alder", "id"),
        ("alder",),
        ("alder", "exec /bin/sh -s"),
        ("alder", "scp -t /tmp/x"),
        ("alder", "hpcbake-gate 1 survey; id"),
        ("alder", "hpcbake-gate 1 $(id) 0 hpcbake-0 0"),
        ("alder", "hpcbake-gate 1 rollback 0 hpcbake-0 0"),
    ],
)
def test_nothing_else_is_run(gated: Path, words: tuple[str, ...]) -> None:
    """No command, no shell, no file transfer: each is refused before anything of it runs."""
    done = call(gated, *words, given=b"id\n")
    assert done.returncode != 0
    assert b"uid=" not in done.stdout + done.stderr
    assert b"hpcbake-gate refuses: " in done.stderr


@pytest.mark.parametrize("words", [("-tt", "alder", "bash"), ("-s", "alder", "sftp"), ("-A", "-tt", "alder")])
def test_no_terminal_and_no_subsystem(gated: Path, words: tuple[str, ...]) -> None:
    """A terminal is refused by sshd (`restrict`), and a subsystem comes to the gate as any other command."""
    done = call(gated, *words, given=b"id\n")
    assert done.returncode in (77, 255)
    assert done.stdout == b""


def test_no_port_is_forwarded(gated: Path) -> None:
    """`restrict` turns forwarding off: the key is no way around the site's firewall."""
    done = call(gated, "-W", "localhost:22", "alder")
    assert done.returncode != 0
    assert b"SSH-2.0" not in done.stdout


def test_a_changed_script_is_refused(project: Chain, gated: Path) -> None:
    """A script of another version, or of somebody else, has another sha256."""
    done = call(gated, "alder", f"hpcbake-gate 1 survey {'0' * 64} hpcbake-1 0")
    assert b"the script survey is another than the gate's" in done.stderr


BAD_VALUES = {
    "prelude": b"touch /tmp/gate-was-passed",
    "program": b"/bin/sh",
    "root": b"/home/alice",
    "image": b"../../../home/alice/.ssh",
    "pull_command": b"sh -c id",
    "sbatch_command": b"sh -c id",
    "gate_text": b"id",
    "nonsense": b"x",
    "pull_timeout": b"1;id",
    "PATH": b"/tmp",
}


@pytest.mark.parametrize("key", BAD_VALUES)
def test_a_value_that_does_not_fit_is_refused(project: Chain, gated: Path, key: str) -> None:
    """Values are data: none of them brings in a program, a path outside the store, or a variable of the gate's."""
    from hpcbake.model.script import body_sum
    from hpcbake.sites.scripts import script_body

    block = f"root {base64.b64encode(project.root.encode()).decode()}\n"
    block += f"{key} {base64.b64encode(BAD_VALUES[key]).decode()}\n"
    command = f"hpcbake-gate 1 deliver {body_sum(script_body('deliver'))} hpcbake-1 {len(block)}"
    done = call(gated, "alder", command, given=block.encode())
    assert done.returncode == 77, done
    assert b"hpcbake-gate refuses: " in done.stderr
    assert project.lab.ssh("alder", "ls /tmp/gate-was-passed").returncode != 0


def test_refusals_are_logged(project: Chain, gated: Path) -> None:
    """Whoever looks after the account sees who tried what, and from where."""
    call(gated, "alder", "cat /etc/shadow")
    log = project.lab.ssh("alder", "cat ~/.hpcbake/gate-alder.log").stdout
    assert "refused from " in log
    assert "cat /etc/shadow" in log


def test_a_changed_config_says_what_to_do(project: Chain, gated: Path) -> None:
    """The gate holds what the config said when it was installed; a later change is refused with the remedy."""
    write_site(project, "alder", login={"ssh_config": str(gated), "gate": "true"}, store={"root": f"{project.root}-b"})
    done = project.run("status", "--site", "alder")
    write_site(project, "alder", login={"ssh_config": str(gated), "gate": "true"})
    assert done.returncode != 0
    assert "hpcbake sites restrict alder --install" in done.stdout + done.stderr


def test_a_gated_key_without_the_word_in_the_config(project: Chain, gated: Path) -> None:
    """Who forgets `gate: true` is told so."""
    write_site(project, "alder", login={"ssh_config": str(gated)})
    done = project.run("status", "--site", "alder")
    write_site(project, "alder", login={"ssh_config": str(gated), "gate": "true"})
    assert "gate: true" in done.stdout + done.stderr
