"""What is said when a host key is not accepted: which hop, both fingerprints, where it is written, what to do."""

from __future__ import annotations

from hpcbake.adapters.known_hosts import Judgement, Standing, fingerprint
from hpcbake.adapters.ssh_config import Hop
from hpcbake.errors import SiteTrustError


def host_key_error(hop: Hop, judgement: Judgement, kind: str, key: bytes, site: str) -> SiteTrustError:
    """The refusal of this key. Nothing was sent to the host by then."""
    if judgement.standing is Standing.REVOKED:
        return _revoked(hop, judgement, site)
    if judgement.standing is Standing.CHANGED:
        return _changed(hop, judgement, key, site)
    return _unknown(hop, judgement, kind, key, site)


def _revoked(hop: Hop, judgement: Judgement, site: str) -> SiteTrustError:
    line = judgement.lines[0]
    return SiteTrustError(
        f"{site}: the host key of {hop.alias} ({hop.address}) is revoked; nothing was sent",
        remedy="do not connect: ask the site which key is right",
        kind="ssh.host-key-revoked",
        evidence={"output": f"{line.kind} {line.fingerprint}\n@revoked in {line.place}"},
    )


def _changed(hop: Hop, judgement: Judgement, key: bytes, site: str) -> SiteTrustError:
    expected = ", ".join(f"{line.fingerprint} ({line.place})" for line in judgement.lines)
    return SiteTrustError(
        f"{site}: the host key of {hop.alias} ({hop.address}) is not the one that was accepted; nothing was sent",
        remedy="ask the site whether its key changed; only then remove the line shown and run: hpcbake sites trust "
        f"{site}",
        kind="ssh.host-key-changed",
        evidence={"output": f"offered  {fingerprint(key)}\nexpected {expected}"},
    )


def _unknown(hop: Hop, judgement: Judgement, kind: str, key: bytes, site: str) -> SiteTrustError:
    seen = f"{kind} {fingerprint(key)}\nnot listed as {hop.host_key_name} in " + (
        ", ".join(hop.known_hosts_files) or "any known_hosts file"
    )
    if judgement.certificate_trouble:
        seen += f"\nits certificate does not count: {judgement.certificate_trouble}"
    return SiteTrustError(
        f"{site}: the host key of {hop.alias} ({hop.address}) is not known; nothing was sent",
        remedy=f"compare the fingerprint with the site's documentation, then accept it: hpcbake sites trust {site}",
        kind="ssh.host-key-unknown",
        evidence={"output": seen},
    )
