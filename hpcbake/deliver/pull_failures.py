"""Why a pull failed, read from what the runtime printed. Text explains here; it never decides success."""

from __future__ import annotations

import signal

from hpcbake.catalogue import failure_class
from hpcbake.catalogue.causes import find_cause
from hpcbake.errors import HpcbakeError, RegistryTempError, SiteResourceError


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
    cause = find_cause(log, "pull")
    if cause is not None:
        return failure_class(cause.kind)(
            f"{site}: cannot pull {reference}: {cause.meaning.replace('the login node', node)}",
            remedy=cause.remedy.replace("the login node", node),
            kind=cause.kind,
            evidence={**evidence, "cause": cause.name},
        )
    return SiteResourceError(
        f"{site}: the pull of {reference} ended with {exit_code}",
        remedy="the runtime's own words are above; try the pull by hand on the login node",
        kind="site.pull",
        evidence=evidence,
    )
