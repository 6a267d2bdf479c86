"""Which host keys the user has accepted for a host, and whether the one that a server offers is among them.

known_hosts is read with OpenSSH's own `ssh-keygen -F`: it understands hashed names, patterns, `@cert-authority` and
`@revoked` lines, at which paramiko's reader stumbles.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from hpcbake.adapters.host_certificates import certificate_trouble
from hpcbake.adapters.processes import run_program
from hpcbake.adapters.ssh_config import Hop
from hpcbake.errors import CantWriteError
from hpcbake.model.late import dataclass


@dataclass(frozen=True)
class KnownKey:
    """One accepted or revoked host key, or an authority that may vouch for keys, and where it stands."""

    kind: str
    blob: bytes
    place: str
    revoked: bool = False
    is_authority: bool = False

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)


def fingerprint(blob: bytes) -> str:
    """`SHA256:…` as ssh prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def find_known_keys(hop: Hop) -> list[KnownKey]:
    """Every key and authority listed for this hop in its known_hosts files.

    Like ssh, a host on another port than 22 that is not listed with its port is looked up without it.
    """
    keys = _find_keys(hop.host_key_name, hop.known_hosts_files)
    if hop.host_key_name == f"[{hop.hostname}]:{hop.port}" and not any(not key.revoked for key in keys):
        keys += _find_keys(hop.hostname, hop.known_hosts_files)
    return keys


def _find_keys(name: str, files: Sequence[str]) -> list[KnownKey]:
    keys: list[KnownKey] = []
    for file in files:
        if Path(file).is_file():
            outcome = run_program(["ssh-keygen", "-F", name, "-f", file], timeout_s=20)
            keys += parse_found_keys(outcome.stdout, file)
    return keys


def parse_found_keys(text: str, file: str) -> list[KnownKey]:
    """What `ssh-keygen -F` prints: `# Host X found: line N` and the line itself."""
    keys: list[KnownKey] = []
    line_number = "?"
    for line in text.splitlines():
        if line.startswith("#"):
            number = re.search(r"found: line (\d+)", line)
            line_number = number[1] if number else "?"
            continue
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if marker not in ("", "@cert-authority", "@revoked") or len(words) < 3:
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        keys.append(
            KnownKey(words[1], blob, f"{file}:{line_number}", marker == "@revoked", marker == "@cert-authority")
        )
    return keys


class Standing(Enum):
    """What known_hosts says of a key that a server offers."""

    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Judgement:
    """A standing with its reasons: the lines of known_hosts that it rests on, and what is wrong with a certificate."""

    standing: Standing
    lines: tuple[KnownKey, ...] = ()
    certificate_trouble: str = ""


def judge_host_key(hop: Hop, known: Sequence[KnownKey], key: bytes, certificate: bytes = b"") -> Judgement:
    """Whether the key that the host at `hop` proved to hold is one to talk to, as ssh would judge it.

    A key of the same kind as a listed one that is another is CHANGED; so is any key where keys of other kinds are
    listed, because ssh would have asked for those.
    """
    revoked = {line.blob: line for line in known if line.revoked}
    signers = [line for line in known if line.is_authority and line.blob not in revoked]
    if key in revoked:
        return Judgement(Standing.REVOKED, (revoked[key],))
    for line in revoked.values():
        if certificate and line.blob in certificate:  # the authority's key, which the certificate carries
            return Judgement(Standing.REVOKED, (line,))
    trouble = ""
    if certificate:
        trouble = certificate_trouble(certificate, _certified_name(hop), {line.blob for line in signers}) or ""
        if not trouble:
            return Judgement(Standing.ACCEPTED, tuple(signers))
    listed = tuple(line for line in known if not line.revoked and not line.is_authority)
    if any(line.blob == key for line in listed):
        return Judgement(Standing.ACCEPTED, listed)
    return Judgement(Standing.CHANGED if listed else Standing.UNKNOWN, listed, trouble)


def _certified_name(hop: Hop) -> str:
    """The name that a certificate must be for: like ssh, without the port, or the HostKeyAlias."""
    is_address = hop.host_key_name in (hop.hostname, f"[{hop.hostname}]:{hop.port}")
    return hop.hostname if is_address else hop.host_key_name


# ---- accepting ------------------------------------------------------------------------------------------------------


def accept_host_key(hop: Hop, keys: Sequence[tuple[str, bytes]]) -> Path:
    """Add a line per (kind, key) for this hop to the user's own known_hosts file, and return that file.

    Lines that are there are left as they are: whoever wants one replaced removes it by hand. Raises CantWriteError.
    """
    if not hop.known_hosts_files or hop.known_hosts_files[0] == "/dev/null":
        raise CantWriteError(
            f"the ssh configuration of {hop.alias} names no known_hosts file of yours",
            remedy="set UserKnownHostsFile for it in your ssh configuration",
            kind="state.cantwrite",
        )
    path = Path(hop.known_hosts_files[0])
    lines = [f"{_written_name(hop)} {kind} {base64.b64encode(key).decode()}\n" for kind, key in keys]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            torn = size > 0 and file.read(1) != b"\n"  # a last line without its end would swallow ours
            file.write((("\n" if torn else "") + "".join(lines)).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CantWriteError(
            f"cannot write {path}: {error.strerror}", remedy="check its owner and mode", kind="state.cantwrite"
        ) from error
    return path


def _written_name(hop: Hop) -> str:
    """The host's name as a line begins with it: as it is, or hashed where the user wants names hidden."""
    if not hop.hashes_names:
        return hop.host_key_name
    salt = os.urandom(20)
    digest = hmac.new(salt, hop.host_key_name.encode(), "sha1").digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
