"""Host keys that an authority vouches for: certificates as `ssh-keygen -s CA -h` makes them.

Whether the server holds the key was proved by the key exchange; here it is asked whether an authority that the user
trusts (an `@cert-authority` line) says that this key is this host's, now. The rules are those of ssh(1), stricter in
one: a certificate that names no host is for none.
"""

from __future__ import annotations

import base64
import re
import struct
import time
from collections.abc import Collection
from fnmatch import fnmatchcase

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import ssh

#: How many fields follow the nonce that are the key itself.
_KEY_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}
_SUFFIX = "-cert-v01@openssh.com"


def certificate_trouble(
    blob: bytes, host: str, authorities: Collection[bytes], *, now_s: float | None = None
) -> str | None:
    """Why this certificate does not vouch for `host`, or None when it does. `authorities` are public keys of such."""
    now_s = time.time() if now_s is None else now_s
    try:
        kind = _first_field(blob).decode("ascii")
        certificate = ssh.load_ssh_public_identity(kind.encode() + b" " + base64.b64encode(blob))
        if not isinstance(certificate, ssh.SSHCertificate):
            return "it is no certificate"
        signer = _public_blob(certificate)
        if signer not in authorities:
            return "its authority is not one that known_hosts trusts for this host"
        if _signature_kind(blob, kind) == b"ssh-rsa":
            return "its signature is made with SHA-1"
        certificate.verify_cert_signature()
    except InvalidSignature:
        return "its signature is wrong"
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm, struct.error, UnicodeDecodeError) as error:
        return f"it cannot be read: {error}"
    return _scope_trouble(certificate, host, now_s)


def _scope_trouble(certificate: ssh.SSHCertificate, host: str, now_s: float) -> str | None:
    if certificate.type is not ssh.SSHCertificateType.HOST:
        return "it is a user's certificate, not a host's"
    if certificate.critical_options:
        return "it has critical options, which host certificates cannot have"
    if not certificate.valid_after <= now_s < certificate.valid_before:
        return "it is not valid at this time"
    names = [name.decode("utf-8", "backslashreplace") for name in certificate.valid_principals]
    if not any(_matches(host, name) for name in names):
        return f"it is for {', '.join(names) or 'no host'}"
    return None


def _matches(host: str, pattern: str) -> bool:
    """`*` and `?` mean what they do in known_hosts; a bracket is a bracket."""
    return fnmatchcase(host.lower(), re.sub(r"\[", "[[]", pattern.lower()))


def _public_blob(certificate: ssh.SSHCertificate) -> bytes:
    line = certificate.signature_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def _first_field(blob: bytes) -> bytes:
    (length,) = struct.unpack_from(">I", blob)
    return blob[4 : 4 + length]


def _signature_kind(blob: bytes, kind: str) -> bytes:
    """The algorithm of the authority's signature, the first field of the last field."""
    fields = _KEY_FIELDS[kind.removesuffix(_SUFFIX)]
    at = 0

    def skip(count: int) -> None:
        nonlocal at
        for _ in range(count):
            (length,) = struct.unpack_from(">I", blob, at)
            at += 4 + length

    skip(2 + fields)  # type, nonce, the key
    at += 8 + 4  # serial, type
    skip(2)  # id, principals
    at += 8 + 8  # valid after, before
    skip(4)  # critical options, extensions, reserved, the authority's key
    (length,) = struct.unpack_from(">I", blob, at)
    return _first_field(blob[at + 4 : at + 4 + length])
