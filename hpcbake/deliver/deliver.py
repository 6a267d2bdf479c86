"""Puts the SIF of one digest into the store of one site: pulled by digest, verified, renamed into place."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from hpcbake.deliver.provenance import render_provenance
from hpcbake.deliver.pull_failures import explain_pull_failure
from hpcbake.errors import HpcbakeError, IntegrityError
from hpcbake.model.artefacts import BuiltImage, Deployment
from hpcbake.model.ports import Node, RuntimeCommands
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport
from hpcbake.sites.scripts import parse_answer_lines, read_answer, render_site_script

#: apptainer unpacks the layers and writes the SIF beside them: measured 2.5 times the compressed size, and the SIF.
ROOM_FACTOR = 3.5
_ROOM_FLOOR_KB = 4096
_PULL_ATTEMPTS = 3
#: SIF headers name architectures by number.
_SIF_ARCH = {"x86_64": "02", "aarch64": "04"}


@dataclass(frozen=True)
class DeliverRequest:
    """One image for one site. `run` and `created` go into the provenance.

    `credentials` are user and password for the registry; `lock_wait_s` is the patience with somebody else's lease.
    """

    image: BuiltImage
    run: str
    created: str
    tool_version: str
    check: CompatReport | None = None
    credentials: tuple[str, str] | None = None
    lock_wait_s: int = 60


def deliver(
    request: DeliverRequest,
    site: Site,
    *,
    node: Node,
    commands: RuntimeCommands,
    sleep: Callable[[float], None] = time.sleep,
) -> Deployment:
    """Bring the digest into the site's store, or find it there.

    Writes nothing when the verified SIF is in place. Raises SiteResourceError, RegistryError, RegistryTempError,
    IntegrityError, BusyError or SiteUnreachableError; whatever is raised, no file has the SIF's name that was not
    verified. Passing faults of the registry or of its bytes are tried again up to three times.
    """
    for attempt in Retrying(
        reraise=True,
        retry=retry_if_exception(_is_worth_another_pull),
        wait=wait_random_exponential(multiplier=1, max=20),
        stop=stop_after_attempt(_PULL_ATTEMPTS),
        sleep=sleep,
    ):
        with attempt:
            return _deliver_once(request, site, node, commands)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _is_worth_another_pull(error: BaseException) -> bool:
    if isinstance(error, IntegrityError):
        return error.kind == "image.integrity"
    # A pull that used up the site's deadline has had its time.
    is_over = isinstance(error, HpcbakeError) and error.kind == "registry.timeout"
    return isinstance(error, HpcbakeError) and error.retryable and error.kind.startswith("registry.") and not is_over


def pull_argv(request: DeliverRequest, site: Site, commands: RuntimeCommands) -> list[str]:
    """The pull that runs on the site, as its argv."""
    image = request.image
    partial = f"{site.store.root}/.hpcbake/incoming/{image.name}-{image.digest.hex}/image.sif"
    return commands.pull_argv(
        site.runtime.program,
        f"docker://{image.reference}",
        partial,
        plain_http=image.reference.registry in site.runtime.plain_http,
    )


def render_deliver_script(request: DeliverRequest, site: Site, commands: RuntimeCommands) -> str:
    """The whole script for one delivery. Pure: golden files hold it."""
    image = request.image
    return render_site_script(
        "deliver",
        root=site.store.root,
        run=request.run,
        lock_wait=request.lock_wait_s,
        image=image.name,
        hex=image.digest.hex,
        arch_id=_SIF_ARCH[site.profile.arch],
        need_kb=_ROOM_FLOOR_KB + int(image.size_bytes * ROOM_FACTOR / 1024),
        pull_command=shlex.join(pull_argv(request, site, commands)),
        program=site.runtime.program,
        prelude=site.runtime.prelude,
        tmpdir=site.runtime.tmpdir or "",
        pull_timeout=int(site.runtime.pull_timeout_s),
        sif_mode=site.store.mode,
        sif_group=site.store.group or "",
        provenance=render_provenance(
            image, run=request.run, created=request.created, tool_version=request.tool_version, check=request.check
        ),
    )


def _deliver_once(request: DeliverRequest, site: Site, node: Node, commands: RuntimeCommands) -> Deployment:
    secret = b"" if request.credentials is None else "\n".join(request.credentials).encode()
    outcome = node.run_script(
        render_deliver_script(request, site, commands),
        # The script ends its own pull; this deadline is for a connection that went silent.
        timeout_s=site.runtime.pull_timeout_s + request.lock_wait_s + 120,
        secret_stdin=secret,
    )
    said = parse_answer_lines(outcome.stdout)
    if said.find("error").startswith("pull "):
        raise explain_pull_failure(
            site.name, str(request.image.reference), int(said.find("pull_exit") or -1), said.find_text("log")
        )
    step = f"deliver {request.image.name}"
    answer = read_answer(outcome, site=site.name, step=step, needs=("state", "path", "sha256", "size"))
    return Deployment(
        site=site.name,
        image=request.image,
        path=answer.find("path"),
        sif_sha256=answer.find("sha256"),
        size_bytes=int(answer.find("size") or 0),
        changed=answer.find("state") == "created",
        runtime=answer.find("runtime"),
        notes=answer.all("note"),
    )
