"""The texts that the chain sends and leaves behind, made from fixed values: what golden files hold."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.deliver.deliver import DeliverRequest, render_deliver_script
from hpcbake.deliver.modulefile import render_module, render_wrapper
from hpcbake.deliver.promote import PromoteRequest, render_promote_script
from hpcbake.model.artefacts import BuiltImage, Deployment, SmokeResult, SmokeStatus, SmokeTest
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Gpu, GpuJobs, Login, Profile, Runtime, Site, Slurm, Store
from hpcbake.model.verdict import CompatReport
from hpcbake.report.document import render_report
from hpcbake.report.schema import render_report_schema
from hpcbake.report.terminal import print_report
from hpcbake.sites import render_site_schema
from hpcbake.smoke.job import render_job
from tests.fake_site import LIBRARY_MARK
from tests.reports import full_report

FOLDER = Path(__file__).parent / "chain"
ROOT = Path(__file__).resolve().parents[2]

PLAIN = Site("plain", Login("plain"), Store("/scratch/hpcbake"), slurm=Slurm(partition="debug"))
RICH = Site(
    "rich",
    Login("rich"),
    Store("/gpfs/proj/hpcbake", group="proj", mode="0640"),
    profile=Profile(cpu_level=3, gpu=Gpu("nv"), binds=("/gpfs/proj:/gpfs/proj:rw", "/opt/my data:/data:ro")),
    runtime=Runtime(
        prelude="if [ -f /etc/profile.d/modules.sh ]; then\n  . /etc/profile.d/modules.sh\nfi\nmodule load apptainer\n",
        plain_http=("registry.example.org",),
        tmpdir="/local/tmp",
    ),
    slurm=Slurm(
        partition="gpu",
        account="proj",
        qos="short",
        constraint="a100&ib",
        gres="tmpdisk:1",
        gpu=GpuJobs(partition="gpu-long", gres="gpu:a100:2"),
        mpi="pmix",
        reservation="tests",
        time_limit="1-02:00:00",
        prelude="export OMP_NUM_THREADS=2",
    ),
)
SITES = (PLAIN, RICH)

_DIGEST = Digest("sha256:" + "0123456789abcdef" * 4)
_TAG = parse_image_reference("registry.example.org/team/hpc-app:1.0")
IMAGE = BuiltImage("hpc-app", "1.0", _TAG.with_digest(_DIGEST), _DIGEST, 123_456_789, (_TAG,), 5)
TESTS = (
    SmokeTest("cpu"),
    SmokeTest(
        "command",
        "command",
        ("hpc-app", "--title", "it's $HOME; `id`", ""),
        expect_exit=3,
        expect_stdout="error: 'none' of \"them\" $(x)",
        tasks=2,
    ),
    SmokeTest("python", "python", modules=("json", "numpy.linalg")),
    SmokeTest("gpu", "gpu", ("hpc-app", "--gpu"), expect_stdout="it's fine"),
    SmokeTest("mpi", "mpi", tasks=2),
    SmokeTest("io", "io"),
)
_CREATED = "2026-01-31T12:00:00Z"
_COMMANDS = SpythonCommands()


def deployment(site: Site) -> Deployment:
    """The SIF of the image at this site."""
    path = f"{site.store.root}/sif/{IMAGE.name}/{IMAGE.digest.hex}.sif"
    return Deployment(site.name, IMAGE, path, "fedcba98" * 8, 150_000_000, changed=True, runtime="apptainer 1.4.5")


def job_script(site: Site, test: SmokeTest) -> str:
    """The job as it is sent; folder and name are filled in at the site."""
    comment = f"hpcbake:01RUN:{site.name}:{IMAGE.name}:{test.name}"
    return render_job(test, deployment(site), site, comment=comment, commands=_COMMANDS).script


def deliver_script(site: Site) -> str:
    """One delivery, whole."""
    check = CompatReport(site.name, str(IMAGE.digest), ())
    return render_deliver_script(DeliverRequest(IMAGE, "01RUN", _CREATED, "0.1.0", check), site, _COMMANDS)


def promote_script(site: Site) -> str:
    """One promotion, whole."""
    smoke = [
        SmokeResult(
            site.name, IMAGE.name, test.name, "key", SmokeStatus.PASSED, "12", "n1", figures={"os": "Rocky 8.10"}
        )
        for test in TESTS
    ]
    was = f"../sif/{IMAGE.name}/{'f' * 64}.sif"
    request = PromoteRequest(deployment(site), smoke, was, "01RUN", _CREATED, "0.1.0", expose=("hpc-app", "g++"))
    return render_promote_script(request, site, _COMMANDS)


def values_of(script: str) -> str:
    """What stands in front of a site's script; the rest is the files under `slurm/site/`."""
    return script[: script.index(LIBRARY_MARK)]


def terminal_text() -> str:
    """The report for people, without colours."""
    stream = io.StringIO()
    print_report(full_report(), Console(file=stream, width=120, highlight=False))
    return stream.getvalue()


def chain_texts() -> dict[Path, str]:
    """Golden file → its text."""
    texts = {
        FOLDER / "report.json": render_report(full_report()),
        FOLDER / "report.txt": terminal_text(),
        ROOT / "site-configs/site.schema.json": render_site_schema(),
        ROOT / "docs/reference/report.schema.json": render_report_schema(),
    }
    for site in SITES:
        folder = FOLDER / site.name
        module = render_module(deployment(site), site, _COMMANDS, ("hpc-app", "g++") if site is RICH else ())
        texts |= {
            folder / "module.lua": module.lua + "\n",
            folder / "module.tcl": module.tcl + "\n",
            folder / "wrapper.sh": render_wrapper("hpc-app", deployment(site), site, _COMMANDS),
            folder / "deliver.values": values_of(deliver_script(site)),
            folder / "promote.values": values_of(promote_script(site)),
            **{folder / f"job-{test.name}.sh": job_script(site, test) for test in TESTS},
        }
    return texts
