"""What the user's own ssh says when it will not connect, told apart: an unknown key, a changed one, a login refused."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress

from hpcbake.adapters.host_key_scan import HostKeyScanner
from hpcbake.adapters.known_hosts import find_known_keys
from hpcbake.adapters.ssh_config import Hop, resolve_hops, ssh_argv
from hpcbake.catalogue.causes import find_causes
from hpcbake.errors import HpcbakeError, SiteTrustError
from hpcbake.model.site import Login, Site, Store

#: Without one of these, trouble with a key file did not keep anybody out.
_NOT_LET_IN = frozenset({"ssh-auth", "ssh-too-many-keys", "ssh-account"})


def ssh_refusal(stderr: str, login: Login, site: str) -> SiteTrustError | None:
    """The refusal that this output of ssh tells of; None for anything else, which is the network's matter."""
    text = stderr.strip()[-4000:]
    seen = find_causes(text, "ssh")
    kinds = {cause.kind for cause in seen}
    if "ssh.host-key-revoked" in kinds:
        return SiteTrustError(
            f"{site}: a host key on the way to {login.host} is revoked; nothing was sent",
            remedy="do not connect: ask the site which key is right",
            kind="ssh.host-key-revoked",
            evidence={"output": text},
        )
    if "ssh.host-key-changed" in kinds:
        return _changed(text, login, site)
    unknown = re.search(r"No (\S+ )?host key is known for (\S+)", text)
    if "ssh.host-key-unknown" in kinds:
        return _unknown(unknown[2] if unknown else "", text, login, site)
    if _NOT_LET_IN & {cause.name for cause in seen}:
        # A key file that cannot be used is told before the refusal that comes of it.
        cause = next(cause for cause in seen if cause.kind == "ssh.auth")
        return SiteTrustError(
            f"{site}: ssh was not let in on the way to {login.host}: {cause.meaning}",
            remedy=f"{cause.remedy}; try it yourself: {shlex.join([*ssh_argv(login), login.host])}",
            kind="ssh.auth",
            evidence={"output": text},
        )
    return None


def _changed(text: str, login: Login, site: str) -> SiteTrustError:
    """Both fingerprints and the line of known_hosts, from what ssh prints and what that line holds."""
    offered = re.search(r"SHA256:[A-Za-z0-9+/]{43}", text)
    place = re.search(r"Offending \S+ key in (.+:\d+)", text)
    expected = [
        f"{key.fingerprint} ({key.place})"
        for hop in _hops(login)
        for key in find_known_keys(hop)
        if place and key.place == place[1].strip()
    ]
    seen = f"offered  {offered[0] if offered else 'not shown'}\n"
    seen += f"expected {', '.join(expected) or (place[1] if place else 'not shown')}"
    return SiteTrustError(
        f"{site}: a host key on the way to {login.host} is not the one that was accepted; nothing was sent",
        remedy="ask the site whether its key changed; only then remove the line shown and run: hpcbake sites trust "
        f"{site}",
        kind="ssh.host-key-changed",
        evidence={"output": seen},
    )


def _unknown(name: str, text: str, login: Login, site: str) -> SiteTrustError:
    """ssh does not print the fingerprint of what it refuses: the host is asked for it."""
    return SiteTrustError(
        f"{site}: the host key of {name or 'a host on the way to ' + login.host} is not known; nothing was sent",
        remedy=f"compare the fingerprint with the site's documentation, then accept it: hpcbake sites trust {site}",
        kind="ssh.host-key-unknown",
        evidence={"output": "\n".join(_fingerprints(name, login, site)) or text},
    )


def _fingerprints(name: str, login: Login, site: str) -> list[str]:
    found: list[str] = []
    with suppress(HpcbakeError):  # it was to help; what was refused is told all the same
        scanner = HostKeyScanner(Site(site, login, Store("/")))
        try:
            for index, hop in enumerate(scanner.hops):
                if name in (hop.host_key_name, hop.hostname, hop.alias):
                    found = [f"{key.kind} {key.fingerprint}" for key in scanner.scan(index).offered]
                    found.append(f"not listed as {hop.host_key_name} in {', '.join(hop.known_hosts_files)}")
        finally:
            scanner.close()
    return found


def _hops(login: Login) -> list[Hop]:
    with suppress(HpcbakeError):
        return resolve_hops(login)
    return []
