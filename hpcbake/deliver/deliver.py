"""Puts the SIF of one digest into the store of one site: brought by some way, verified, renamed into place."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

from hpcbake.deliver.provenance import render_provenance
from hpcbake.deliver.pull_failures import explain_pull_failure
from hpcbake.deliver.room import conversion_kb, sif_kb
from hpcbake.errors import BugError, HpcbakeError, IntegrityError
from hpcbake.model.artefacts import BuiltImage, ConvertedSif, Deployment
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node, RuntimeCommands
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport
from hpcbake.sites.scripts import Answer, parse_answer_lines, read_answer, render_site_script, store_values

_PULL_ATTEMPTS = 3
#: SIF headers name architectures by number.
_SIF_ARCH = {"x86_64": "02", "aarch64": "04"}
#: What is worth another try although it is no passing fault of a registry: bytes that came out wrong.
_WRONG_BYTES = frozenset({"image.integrity", "image.content", "image.transfer"})


@dataclass(frozen=True)
class DeliverRequest:
    """One image for one site. `run` and `created` go into the provenance.

    `credentials` are user and password for the registry; `lock_wait_s` is the patience with somebody else's lease.
    `way` is docker or job, which convert at the site and compare with `expected_content` there, or oras or stream,
    which bring `converted`.
    """

    image: BuiltImage
    run: str
    created: str
    tool_version: str
    check: CompatReport | None = None
    credentials: tuple[str, str] | None = None
    lock_wait_s: int = 60
    way: str = "docker"
    why: str = ""
    converted: ConvertedSif | None = None
    expected_content: str = ""


def deliver(
    request: DeliverRequest,
    site: Site,
    *,
    node: Node,
    commands: RuntimeCommands,
    sleep: Callable[[float], None] = time.sleep,
    on_sent: Callable[[int], None] | None = None,
) -> Deployment:
    """Bring the digest into the site's store, or find it there. `on_sent` hears of bytes that this machine sends.

    Writes nothing when the verified SIF is in place. Raises SiteResourceError, RegistryError, RegistryTempError,
    IntegrityError, BusyError or SiteUnreachableError; whatever is raised, no file has the SIF's name that was not
    verified. Passing faults of the registry or of its bytes are tried again up to three times.
    """
    # Here, as most deliveries find the SIF there, and it takes long to load.
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

    for attempt in Retrying(
        reraise=True,
        retry=retry_if_exception(_is_worth_another_pull),
        wait=wait_random_exponential(multiplier=1, max=20),
        stop=stop_after_attempt(_PULL_ATTEMPTS),
        sleep=sleep,
    ):
        with attempt:
            return _deliver_once(request, site, node, commands, on_sent)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _is_worth_another_pull(error: BaseException) -> bool:
    if isinstance(error, IntegrityError):
        return error.kind in _WRONG_BYTES
    # A pull that used up the site's deadline has had its time.
    is_over = isinstance(error, HpcbakeError) and error.kind == "registry.timeout"
    return isinstance(error, HpcbakeError) and error.retryable and error.kind.startswith("registry.") and not is_over


def pull_argv(request: DeliverRequest, site: Site, commands: RuntimeCommands) -> list[str]:
    """The pull that runs on the site, as its argv."""
    image = request.image
    partial = f"{site.store.root}/.hpcbake/incoming/{image.name}-{image.digest.hex}/image.sif"
    uri = f"docker://{image.reference}"
    if request.way == "oras":
        uri = f"oras://{_converted(request).artifact}"
    return commands.pull_argv(
        site.runtime.program, uri, partial, plain_http=image.reference.registry in site.runtime.plain_http
    )


def sbatch_argv(site: Site) -> list[str]:
    """How a pull is submitted as a job; its name, folder and script are added on the site."""
    slurm = site.slurm
    minutes = max(1, -(-int(site.runtime.pull_timeout_s) // 60))
    options = {
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "reservation": slurm.reservation,
        "cpus-per-task": site.runtime.pull_cpus,
        "mem": site.runtime.pull_memory,
        "time": minutes,
    }
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return ["sbatch", "--parsable", "--no-requeue", "--ntasks=1", *given]


def render_deliver_script(request: DeliverRequest, site: Site, commands: RuntimeCommands) -> str:
    """The whole script for one delivery. Pure: golden files hold it."""
    image, converted = request.image, request.converted
    return render_site_script(
        "deliver",
        **store_values(site.store),
        run=request.run,
        lock_wait=request.lock_wait_s,
        way=request.way,
        image=image.name,
        hex=image.digest.hex,
        arch_id=_SIF_ARCH[site.profile.arch],
        need_kb=sif_kb(converted.size_bytes) if converted else conversion_kb(image.size_bytes),
        pull_command="" if request.way == "stream" else shlex.join(pull_argv(request, site, commands)),
        sbatch_command=shlex.join(sbatch_argv(site)),
        poll_interval=f"{site.slurm.poll_interval_s:g}",
        program=site.runtime.program,
        prelude="\n".join(filter(None, (site.runtime.prelude, site.slurm.prelude if request.way == "job" else ""))),
        tmpdir=site.runtime.tmpdir or "",
        pull_timeout=int(site.runtime.pull_timeout_s),
        expected_sha256=converted.sha256 if converted else "",
        expected_content=request.expected_content,
        signed_by=(site.runtime.signed_by or "").upper(),
        sif_mode=site.store.mode,
        sif_group=site.store.group or "",
        provenance=render_provenance(
            image, run=request.run, created=request.created, tool_version=request.tool_version, check=request.check
        ),
    )


def _converted(request: DeliverRequest) -> ConvertedSif:
    if request.converted is None:
        raise BugError(f"the way {request.way} needs a SIF that was converted before")
    return request.converted


def _deliver_once(
    request: DeliverRequest,
    site: Site,
    node: Node,
    commands: RuntimeCommands,
    on_sent: Callable[[int], None] | None,
) -> Deployment:
    secret = b"" if request.credentials is None else "\n".join(request.credentials).encode()
    script = render_deliver_script(request, site, commands)
    # The script ends its own pull; this deadline is for a connection that went silent.
    timeout_s = site.runtime.pull_timeout_s + request.lock_wait_s + 120
    if request.way == "stream":
        outcome = node.send_file(_converted(request).path, script, timeout_s=timeout_s, on_sent=on_sent)
    else:
        outcome = node.run_script(script, timeout_s=timeout_s, secret_stdin=secret)
    said = parse_answer_lines(outcome.stdout)
    if said.find("error").startswith("pull "):
        raise explain_pull_failure(
            site.name,
            str(request.image.reference),
            int(said.find("pull_exit") or -1),
            said.find_text("log"),
            node="the compute node" if request.way == "job" else "the login node",
        )
    step = f"deliver {request.image.name}"
    answer = read_answer(outcome, site=site.name, step=step, needs=("state", "path", "sha256", "size"))
    return _deployment(request, site, answer)


def _deployment(request: DeliverRequest, site: Site, answer: Answer) -> Deployment:
    return Deployment(
        site=site.name,
        image=request.image,
        path=answer.find("path"),
        sif_sha256=answer.find("sha256"),
        size_bytes=int(answer.find("size") or 0),
        changed=answer.find("state") == "created",
        runtime=answer.find("runtime"),
        notes=answer.all("note"),
        way=answer.find("way"),
        why=request.why,
        content=answer.find("content"),
    )
