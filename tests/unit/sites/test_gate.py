"""The gate knows every value that a script may have, carries what it allows, and refuses all else."""

from __future__ import annotations

import ast
import base64
import os
import subprocess
from pathlib import Path

import pytest

from hpcbake.deliver.admit import site_gate
from hpcbake.model.script import body_sum
from hpcbake.model.site import Login, Site, Store
from hpcbake.sites.gate import MORE_SCRIPTS, SHIP_SCRIPTS, VALUE_RULES, authorized_keys_line
from hpcbake.sites.scripts import render_site_script, script_body, store_values

pytestmark = pytest.mark.stand

PACKAGE = Path(__file__).resolve().parents[3] / "hpcbake"
#: Scripts for full keys only: they look at a site that is not declared yet, or install the gate itself.
OPEN_SCRIPTS = {"probe", "pieces", "admit"}


def values_in_code() -> dict[str, set[str]]:
    """script → names of the values that hpcbake's code gives it, `**` mappings left out."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "render_site_script":
                assert isinstance(node.args[0], ast.Constant), f"{path}: a script's name is written out"
                found.setdefault(str(node.args[0].value), set()).update(word.arg for word in node.keywords if word.arg)
    return found


def test_every_script_is_gated_or_open_on_purpose() -> None:
    """A new script is put into one of the three lists by whoever writes it."""
    assert set(values_in_code()) - {*SHIP_SCRIPTS, *MORE_SCRIPTS} - OPEN_SCRIPTS == set()


def test_every_value_has_a_rule() -> None:
    """A value that the code gives to a gated script is known to the gate: else a ship through it would be refused."""
    for script, names in values_in_code().items():
        if script not in OPEN_SCRIPTS:
            assert names - set(VALUE_RULES) == set(), script
    assert set(store_values(Store("/store"))) <= set(VALUE_RULES)


def run_gate(gate: str, folder: Path, command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """What sshd does with a forced command, without sshd."""
    file = folder / "gate"
    file.write_text(gate)
    (folder / ".hpcbake").mkdir(exist_ok=True)
    environment = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "SSH_CONNECTION": "192.0.2.7 4 192.0.2.1 22",
        "SSH_ORIGINAL_COMMAND": command,
    }
    argv = ["/bin/sh", str(file)]
    return subprocess.run(argv, input=given, env=environment, capture_output=True, text=True, timeout=60, check=False)


def request(script: str, **values: str) -> tuple[str, str]:
    """Command and input for a script with these values on top of those that every script has."""
    text = render_site_script(script, **values)
    lines = "".join(f"{key} {base64.b64encode(value.encode()).decode()}\n" for key, value in text.values.items())
    return f"hpcbake-gate 1 {script} {body_sum(script_body(script))} hpcbake-1 {len(lines)}", lines


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site("alder", Login("alder"), Store(str(tmp_path / "store")))


@pytest.mark.stand
def test_an_allowed_script_is_run_with_its_values(site: Site, tmp_path: Path) -> None:
    """`hello` answers between the marks that the client asked for."""
    done = run_gate(site_gate(site, made_by="test"), tmp_path, *request("hello", root=site.store.root, run="x"))
    assert done.stdout.startswith("\nhpcbake-1 begin\nhello ")
    assert done.stdout.endswith("\nhpcbake-1 end 0\n")


@pytest.mark.stand
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("root", "/elsewhere"),
        ("run", "../x"),
        ("run", "a b"),
        ("run", "x;id"),
        ("run", "$(id)"),
        ("run", "x\ny"),
        ("lock_wait", "a[$(id)]"),
        ("folder_mode", "0777"),
        ("prelude", "id"),
        ("url", "file:///etc/passwd"),
        ("wanted", "../x y z"),
        ("wanted", "a;b c d"),
        ("seen", "/etc/x"),
        ("jobs", "12 /etc"),
        ("wrappers", "../x aGk="),
        ("pull_command", "id"),
        ("pull_command", "apptainer pull --name /tmp/x.sif docker://a/b"),
        ("pull_command", "apptainer exec --name x docker://a/b"),
        ("unheard_of", "x"),
        ("gate_text", "id"),
    ],
)
def test_a_value_outside_its_rule_is_refused(site: Site, tmp_path: Path, key: str, value: str) -> None:
    """Before anything runs, with the value's name, and with a line in the log."""
    values = {"root": site.store.root, "run": "x", key: value}
    done = run_gate(site_gate(site, made_by="test"), tmp_path, *request("hello", **values))
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.startswith("hpcbake-gate refuses: ")
    assert "refused from 192.0.2.7" in (tmp_path / f".hpcbake/gate-{site.name}.log").read_text()


@pytest.mark.stand
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("wanted", "app 0a1b 1.0\nother 2c 1.0"),
        ("jobs", "12 {root}/.hpcbake/jobs/a/b/c/attempt-1\nnone {root}/.hpcbake/jobs/a/b/c/attempt-2"),
        ("again_after", ""),
        ("seen", "{root}/.hpcbake/jobs/a/b/c d/attempt-1"),
        (
            "pull_command",
            "apptainer pull --no-https --name {root}/.hpcbake/incoming/a-0/image.sif docker://r:5/a/b@sha256:0",
        ),
        ("pull_command", "apptainer pull --name {root}/.hpcbake/incoming/a-0/image.sif oras://r/a/b@sha256:0"),
        ("provenance", '{"any": "`text` $(at) \'all\'"}'),
        ("wrappers", "hpc-app aGVsbG8K\nother aGk="),
    ],
)
def test_a_value_inside_its_rule_is_taken(site: Site, tmp_path: Path, key: str, value: str) -> None:
    """What ship really sends fits."""
    values = {"root": site.store.root, "run": "x", key: value.replace("{root}", site.store.root)}
    done = run_gate(site_gate(site, made_by="test"), tmp_path, *request("hello", **values))
    assert done.returncode == 0, done.stderr


@pytest.mark.stand
@pytest.mark.parametrize(
    "command", ["", "id", "exec /bin/sh -s", "hpcbake-gate 2 hello 0 n 0", "hpcbake-gate 1 gc 0 n 0"]
)
def test_another_command_is_refused(site: Site, tmp_path: Path, command: str) -> None:
    """A shell, another program, another version, a script that this key was not given."""
    assert run_gate(site_gate(site, made_by="test"), tmp_path, command).returncode == 77


def test_more_scripts_are_given_by_name(site: Site) -> None:
    """gc and rollback are there for a key that was given them, and only then."""
    assert "    gc) cat" not in site_gate(site, made_by="test")
    assert "    gc) cat" in site_gate(site, made_by="test", more=["gc"])


def test_the_line_restricts(site: Site) -> None:
    """sshd turns everything off but the gate; the address comes from whoever asks for it."""
    line = authorized_keys_line(site, "ssh-ed25519 AAAA me\n", sources="192.0.2.7")
    assert line == 'restrict,from="192.0.2.7",command="/bin/sh ~/.hpcbake/gate-alder" ssh-ed25519 AAAA me\n'
