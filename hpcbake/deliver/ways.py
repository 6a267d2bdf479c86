"""Which way a SIF takes to a site, and why: one line that the report prints."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node
from hpcbake.model.reference import SERVERS, ImageReference
from hpcbake.model.site import Site
from hpcbake.sites.scripts import read_answer, render_site_script, store_values

#: What mksquashfs took for an image of 1.3 GB; a login node that allows less kills it.
CONVERSION_MEMORY_KB = 1_500_000
_LOOK_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Way:
    """One way of delivery and the reason for it. `fallback`: what `auto` tries when the site cannot pull after all."""

    name: str
    why: str
    fallback: str = ""


@dataclass(frozen=True)
class LoginFacts:
    """What a login node says of itself. None: it could not tell.

    `reaches` is whether it gets an answer from the registry, `memory_kb` what one process may use there.
    """

    reaches: bool | None = None
    memory_kb: int | None = None


def look_at_login(registry: str, site: Site, *, node: Node) -> LoginFacts:
    """Ask the login node, in one round trip; nothing is changed there. Raises SiteUnreachableError."""
    is_plain = registry in site.runtime.plain_http
    server = urlsplit(f"{'http' if is_plain else 'https'}://{SERVERS.get(registry, registry)}/v2/")
    script = render_site_script(
        "reach",
        **store_values(site.store),
        run="reach",
        prelude=site.runtime.prelude,
        url=server.geturl(),
        host=server.hostname or "",
        port=server.port or (80 if is_plain else 443),
    )
    answer = read_answer(
        node.run_script(script, timeout_s=_LOOK_TIMEOUT_S),
        site=site.name,
        step="look at the login node",
        needs=("reach",),
    )
    memory = answer.find("memory_kb")
    return LoginFacts({"yes": True, "no": False}.get(answer.find("reach")), int(memory) if memory.isdigit() else None)


def choose_way(wanted: str, site: Site, reference: ImageReference, facts: LoginFacts, *, cannot_convert: str) -> Way:
    """The way for one site. `wanted` is `auto` or the way that somebody chose; `cannot_convert` says why the build
    host cannot make a SIF, empty when it can. Pure."""
    has_slurm = site.slurm.scheduler == "slurm"
    if wanted == "job" and not has_slurm:
        raise ConfigError(
            f"{site.name}: the way `job` needs Slurm, and its `slurm.scheduler` is {site.slurm.scheduler}",
            remedy="take the way docker, which converts on the machine itself",
            kind="config.site",
        )
    if wanted != "auto":
        return Way(wanted, "chosen by the site config or --way")
    registry = reference.registry
    if facts.reaches is False:
        if cannot_convert:
            return Way(
                "docker",
                f"{site.name} gets no answer from {registry}, and there is {cannot_convert}: tried all the same",
            )
        return Way("stream", f"no route from {site.name} to {registry}")
    if not cannot_convert:
        return Way("oras", "converted once on this machine, pulled as it is", fallback="stream")
    if has_slurm and facts.memory_kb is not None and facts.memory_kb < CONVERSION_MEMORY_KB:
        return Way("job", f"{cannot_convert}, and the login node allows {facts.memory_kb // 1024} MB")
    return Way("docker", f"{cannot_convert}: the login node converts")


def next_way(way: Way, site: Site) -> Way | None:
    """What `auto` does when the site could not get the SIF from the registry."""
    if not way.fallback:
        return None
    return Way(way.fallback, f"{site.name} could not pull it from the registry")


#: Every way, the cheapest for a site first.
WAYS: Sequence[str] = ("oras", "docker", "job", "stream")
