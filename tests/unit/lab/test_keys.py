"""Keys and configuration of the lab: right for OpenSSH and TLS, made once, readable by their owner only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from hpcbake.lab.keys import REGISTRY_USER, ensure_keys, render_known_hosts, render_ssh_config
from hpcbake.lab.settings import Ports

GOLDEN = Path(__file__).parents[2] / "golden/lab"
PORTS = Ports(alder=3201, bastion=3202)


def secrets_below(state: Path) -> dict[str, bytes]:
    """Every file that must stay the same while the lab lives."""
    return {str(path): path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file()}


def test_the_ssh_configuration_is_the_golden_one() -> None:
    """Strict host keys, the lab's key only, birch through the bastion."""
    assert render_ssh_config(Path("/run/the lab/100%"), PORTS) == (GOLDEN / "ssh_config").read_text()


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH is not installed")
def test_openssh_reads_the_configuration_as_meant(tmp_path: Path) -> None:
    """Also in a folder whose name has a space and a percent sign."""
    state = tmp_path / "a lab 100%"
    state.mkdir()
    (state / "ssh_config").write_text(render_ssh_config(state, PORTS))

    def option(host: str, name: str) -> str:
        argv = ["ssh", "-F", str(state / "ssh_config"), "-G", host]
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return next(line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} "))

    assert (option("alder", "hostname"), option("alder", "port")) == ("127.0.0.1", "3201")
    assert option("birch", "proxyjump") == "bastion"
    for host in ("alder", "bastion", "birch"):
        assert option(host, "stricthostkeychecking") in ("yes", "true")
        assert option(host, "hostkeyalias") == host


def test_known_hosts_knows_names_and_addresses() -> None:
    """A client that looks up the address instead of the alias finds the same key."""
    text = render_known_hosts({"alder": "ssh-ed25519 A", "bastion": "ssh-ed25519 B", "birch": "ssh-ed25519 C"}, PORTS)
    assert text.splitlines() == [
        "alder ssh-ed25519 A",
        "bastion ssh-ed25519 B",
        "birch ssh-ed25519 C",
        "[127.0.0.1]:3201 ssh-ed25519 A",
        "[127.0.0.1]:3202 ssh-ed25519 B",
    ]


def test_keys_are_made_once(tmp_path: Path) -> None:
    """A second call changes no byte and gives the same fingerprint."""
    first = ensure_keys(tmp_path, PORTS)
    before = secrets_below(tmp_path)
    assert ensure_keys(tmp_path, PORTS) == first
    assert secrets_below(tmp_path) == before


def test_half_a_set_is_made_anew_as_a_whole(tmp_path: Path) -> None:
    """The marker is written last: a kill in between never leaves keys that do not belong together."""
    first = ensure_keys(tmp_path, PORTS)
    old = secrets_below(tmp_path)
    (tmp_path / "nodes/fingerprint").unlink()
    assert ensure_keys(tmp_path, PORTS) != first
    new = secrets_below(tmp_path)
    same = [path for path in new if old.get(path) == new[path]]
    assert [Path(path).name for path in same] == ["ssh_config"]


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """ssh refuses anything else; a certificate and public keys are for everybody."""
    ensure_keys(tmp_path, PORTS)
    public = {"ssh_config", "known_hosts", "ca.crt", "registry.crt"}
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        wanted = 0o644 if path.name in public or path.suffix == ".pub" else 0o600
        assert path.stat().st_mode & 0o777 == wanted, path
    assert not list(tmp_path.rglob("*.partial"))


def test_the_private_key_is_not_among_the_files_for_machines(tmp_path: Path) -> None:
    """A machine of the lab can check the user's key, not use it."""
    ensure_keys(tmp_path, PORTS)
    private = (tmp_path / "id_lab").read_bytes()
    assert all(path.read_bytes() != private for path in (tmp_path / "nodes").rglob("*") if path.is_file())
    key = serialization.load_ssh_private_key(private, None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert (tmp_path / "nodes/authorized_keys").read_bytes().startswith(public)


def test_the_registrys_certificate_is_the_labs(tmp_path: Path) -> None:
    """Signed by the lab's authority, for the names it is reached by; the authority may sign, the server may not."""
    ensure_keys(tmp_path, PORTS)
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    server = x509.load_pem_x509_certificate((tmp_path / "nodes/tls/registry.crt").read_bytes())
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_password_opens_the_registry(tmp_path: Path) -> None:
    """htpasswd holds a hash of it in the notation that registries read."""
    ensure_keys(tmp_path, PORTS)
    user, _, hashed = (tmp_path / "nodes/tls/htpasswd").read_text().strip().partition(":")
    password = (tmp_path / "registry-password").read_bytes()
    assert user == REGISTRY_USER
    assert hashed.startswith("$2y$")
    assert bcrypt.checkpw(password, hashed.replace("$2y$", "$2b$").encode())


def test_sites_do_not_share_a_munge_key(tmp_path: Path) -> None:
    """One site's credentials mean nothing at the other."""
    ensure_keys(tmp_path, PORTS)
    keys = [path.read_bytes() for path in (tmp_path / "nodes/munge").iterdir()]
    assert len(set(keys)) == 2
    assert all(len(key) == 1024 for key in keys)
