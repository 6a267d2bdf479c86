"""Why a pull failed, read from what the runtime printed. Text explains here; it never decides success."""

from __future__ import annotations

import re
import signal

from hpcbake.errors import HpcbakeError, IntegrityError, RegistryError, RegistryTempError, SiteResourceError
from hpcbake.model.late import dataclass


@dataclass(frozen=True)
class PullCause:
    """One known cause: the pattern that tells it, the exception it becomes, what to do."""

    pattern: str
    failure: type[HpcbakeError]
    kind: str
    meaning: str
    remedy: str


#: First match wins: the specific before the general.
PULL_CAUSES: tuple[PullCause, ...] = (
    PullCause(
        r"server gave HTTP response to HTTPS client",
        RegistryError,
        "registry.plain-http",
        "the registry speaks plain HTTP",
        "list its host under `runtime.plain_http` of the site config, or give the registry a certificate",
    ),
    PullCause(r"x509:|certificate", RegistryError, "registry.tls", "the registry's certificate is not trusted there",
              "install the registry's CA on the login node"),
    PullCause(r"MANIFEST_UNKNOWN|manifest unknown|NAME_UNKNOWN|status(?: code)?:? 404\b", RegistryError,
              "registry.not-found", "the registry does not have this digest", "push again: hpcbake build"),
    PullCause(r"UNAUTHORIZED|authentication required|unauthorized|DENIED|(?<!permission )denied:|"
              r"status(?: code)?:? 40[13]\b", RegistryError,
              "registry.auth", "the registry refused the login", "log in on this machine: docker login REGISTRY"),
    PullCause(r"'noexec' mount option", SiteResourceError, "site.noexec",
              "the file system it unpacks on is mounted noexec",
              "set `runtime.tmpdir` of the site config to a folder elsewhere"),
    # Before "no space left", which is what the kernel says where user namespaces are switched off.
    PullCause(r"Failed to create user namespace|fuse: device not found", SiteResourceError, "site.runtime",
              "the runtime cannot work on this node", "ask the site about user namespaces and fuse"),
    PullCause(r"[Nn]o space left on device|[Dd]isk quota exceeded", SiteResourceError, "site.space",
              "no room left there", "make room there, or choose another `store.root`"),
    PullCause(r"mksquashfs command failed: signal: killed|signal: killed", SiteResourceError, "site.memory",
              "the conversion was killed: too little memory",
              "ask the site for a login node with more memory"),
    PullCause(r"permission denied", SiteResourceError, "site.permission", "permission denied on the site",
              "check owner and mode of the store's folders"),
    PullCause(r"toomanyrequests|TOOMANYREQUESTS|\b429 Too Many|status(?: code)?:? 429\b", RegistryTempError,
              "registry.rate-limit", "the registry's rate limit is used up", "try later, or mirror the image"),
    PullCause(r"error verifying sha256|unexpected end of JSON input|after top-level value|Digest did not match",
              IntegrityError, "image.integrity", "the registry served other bytes than the digest names",
              "run the same command again; if it stays, the registry is damaged"),
    PullCause(r"connection refused|connection reset|unexpected EOF|EOF$|no such host|i/o timeout|"
              r"status(?: code)?:? 5\d\d\b|\b50\d [A-Z]",
              RegistryTempError, "registry.unreachable", "the login node cannot reach the registry",
              "check the registry from the login node; run the same command again"),
)  # fmt: skip


def explain_pull_failure(
    site: str, reference: str, exit_code: int, log: str, *, node: str = "the login node"
) -> HpcbakeError:
    """The exception for a failed pull: its class by cause, the runtime's own words as evidence.

    `node` is where it ran. `exit_code` is the runtime's; 124 and 137 are `timeout`'s at the deadline, −9 is a kill
    before it.
    """
    evidence = {"output": "\n".join(log.strip().splitlines()[-8:]), "exit_code": exit_code}
    if exit_code in (124, 137):
        return RegistryTempError(
            f"{site}: the pull of {reference} did not end within its deadline",
            remedy="raise `runtime.pull_timeout` of the site, or look at the registry",
            kind="registry.timeout",
            evidence=evidence,
        )
    if exit_code == -signal.SIGKILL:
        log = f"{log}\nsignal: killed"
    for cause in PULL_CAUSES:
        if re.search(cause.pattern, log, re.MULTILINE):
            return cause.failure(
                f"{site}: cannot pull {reference}: {cause.meaning.replace('the login node', node)}",
                remedy=cause.remedy.replace("the login node", node),
                kind=cause.kind,
                evidence=evidence,
            )
    return SiteResourceError(
        f"{site}: the pull of {reference} ended with {exit_code}",
        remedy="the runtime's own words are above; try the pull by hand on the login node",
        kind="site.pull",
        evidence=evidence,
    )
