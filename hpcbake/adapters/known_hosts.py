"""Which host keys the user has accepted for a host, read with OpenSSH's own `ssh-keygen -F`.

It understands hashed names, patterns and `@revoked` lines, at which paramiko's reader stumbles.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcbake.adapters.processes import run_program
from hpcbake.adapters.ssh_config import Hop


@dataclass(frozen=True)
class KnownKey:
    """One accepted or revoked host key and where it stands."""

    kind: str
    blob: bytes
    place: str
    revoked: bool = False

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)


def fingerprint(blob: bytes) -> str:
    """`SHA256:…` as ssh prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def find_known_keys(hop: Hop) -> list[KnownKey]:
    """Every key listed for this hop in its known_hosts files, certificates' authorities left out.

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
        if marker == "@cert-authority" or len(words) < 3:
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        keys.append(KnownKey(words[1], blob, f"{file}:{line_number}", marker == "@revoked"))
    return keys
