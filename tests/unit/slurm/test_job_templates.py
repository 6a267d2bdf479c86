"""What each template proves: the real script, in a container that is this machine itself or a stand-in."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.datafiles import data_folder
from hpcbake.model.artefacts import SmokeStatus, SmokeTest
from hpcbake.model.site import Gpu, Profile, Site
from hpcbake.smoke.job import TEMPLATES, render_job
from tests.site_stand import SiteStand
from tests.unit.slurm.test_job_scripts import JobStand


@pytest.fixture
def node(stand: SiteStand) -> JobStand:
    """A node whose container is this machine."""
    stand.tell("container.real")
    return JobStand(stand)


def ended(node: JobStand, test: SmokeTest, site: Site | None = None) -> tuple[str, SmokeStatus]:
    """The job's own word and what is concluded."""
    _, result, _ = node.run(test, site)
    return result["why"], node.status()


@pytest.mark.parametrize("name", sorted(path.name for path in data_folder("slurm").glob("*.j2")))
def test_a_template_is_short(name: str) -> None:
    """Somebody reads it before trusting it."""
    text = (data_folder("slurm") / name).read_text()
    assert len(text.splitlines()) <= 60
    assert name == "_head.j2" or "# Proves: " in text


def test_every_template_is_known() -> None:
    """The list that messages and docs show is that of the files."""
    assert sorted(TEMPLATES) == sorted(path.name.split(".")[0] for path in data_folder("slurm").glob("*.sbatch.j2"))


# ---- cpu ------------------------------------------------------------------------------------------------------------


def cpu(node: JobStand, *programs: str, site: Site | None = None) -> tuple[str, str]:
    """The word and the output of a cpu job for an image that exposes these."""
    test = SmokeTest("cpu")
    chosen = site or node.stand.site
    job = render_job(test, node.deployment(), chosen, comment="c", commands=SpythonCommands(), programs=programs)
    out = node.run_job(job)
    return node.result()["why"], out


def test_the_libraries_of_what_users_see_are_looked_for(node: JobStand) -> None:
    """A command of the system has all of them; a script is its interpreter's."""
    why, out = cpu(node, "sh", "ldd")
    assert why == "ok"
    assert "hpcbake-figure looked_at=sh ldd" in out
    assert "hpcbake-figure libc=" in out


def test_a_command_that_is_not_there_fails(node: JobStand) -> None:
    """What a module would put on PATH must exist."""
    why, out = cpu(node, "sh", "no-such-command-anywhere")
    assert why == "command-missing"
    assert "no-command no-such-command-anywhere" in out


def test_a_library_that_is_not_there_fails(node: JobStand, tmp_path: Path) -> None:
    """The image's own loader says which."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc here to make a program without its library")
    (tmp_path / "x.c").write_text("int f(void); int main(void) { return f(); }")
    (tmp_path / "f.c").write_text("int f(void) { return 0; }")
    library, program = tmp_path / "libhpcbakef.so", tmp_path / "needs-f"
    subprocess.run([compiler, "-shared", "-o", library, tmp_path / "f.c"], check=True)
    subprocess.run([compiler, "-o", program, tmp_path / "x.c", f"-L{tmp_path}", "-lhpcbakef"], check=True)
    library.unlink()
    site = replace(node.stand.site, slurm=replace(node.stand.site.slurm, prelude=f"{node.stand.prelude}:{tmp_path}"))
    why, out = cpu(node, "needs-f", site=site)
    assert why == "library-not-found"
    assert "libhpcbakef.so" in out


def test_a_node_below_the_profiles_promise_fails(node: JobStand) -> None:
    """The check judged by the profile: a node that offers less makes its word void."""
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    if "avx512f" in flags:
        pytest.skip("this machine offers every level")
    site = replace(node.stand.site, profile=Profile(cpu_level=4))
    assert cpu(node, site=site)[0] == "node-below-x86-64-v4-of-the-profile"
    assert cpu(node, site=replace(site, profile=Profile(cpu_level=1)))[0] == "ok"


# ---- python ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        (("json", "email.message"), "ok"),
        (("json", "nosuchmodule_x", "nosuchmodule_y"), "cannot-import-nosuchmodule_x"),
        (("leaves",), "cannot-import-leaves"),
        (("dies",), "python-ended-with-137"),
        (("exits",), "ended-before-the-last-import"),
    ],
)
def test_modules_are_imported(node: JobStand, modules: tuple[str, ...], why: str) -> None:
    """Each, also after one that failed; a module that ends the interpreter is no success."""
    for name, text in (
        ("leaves", "raise SystemExit(0)"),
        ("dies", "import os; os.kill(os.getpid(), 9)"),
        ("exits", "import os; os._exit(0)"),
    ):
        (node.attempt / f"{name}.py").write_text(text)
    test = SmokeTest("p", "python", modules=modules, command=(sys.executable,))
    assert ended(node, test) == (why, SmokeStatus.PASSED if why == "ok" else SmokeStatus.FAILED)


def test_versions_become_figures(node: JobStand) -> None:
    """In the result file, too."""
    _, result, _ = node.run(SmokeTest("p", "python", modules=("json",), command=(sys.executable,)))
    assert result["figures"] == {
        "python": ".".join(map(str, sys.version_info[:3])),
        "json": str(vars(json)["__version__"]),
    }
    assert result["out_bytes"] == (node.attempt / "out").stat().st_size


# ---- gpu ------------------------------------------------------------------------------------------------------------


def gpu(node: JobStand, code: int, *, has_gpu: bool = True, command: tuple[str, ...] = ()) -> tuple[str, SmokeStatus]:
    """A gpu job on a node with or without a GPU, whose container ends with `code`."""
    node.stand.untell("container.real")
    node.stand.tell("container.code", str(code))
    site = replace(node.stand.site, profile=Profile(gpu=Gpu("nv")))
    script = node.script(SmokeTest("gpu", "gpu", command), site)
    devices = node.attempt / "dev"
    devices.mkdir()
    if has_gpu:
        (devices / "nvidia0").touch()
    script.write_text(script.read_text().replace("set -- /dev/nvidia", f"set -- {devices}/nvidia"))
    subprocess.run(["/bin/sh", str(script)], capture_output=True, check=False)
    return node.result()["why"], node.status()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (0, "ok"),
        (11, "injected-library-does-not-load"),
        (12, "driver-not-visible"),
        (13, "driver-does-not-initialise"),
        (14, "no-python3-and-no-tool-to-try-the-driver-with"),
        (255, "container-did-not-run"),
    ],
)
def test_a_gpu_is_tried(node: JobStand, code: int, why: str) -> None:
    """Libraries, driver, initialisation; what could not be tried is not passed."""
    assert gpu(node, code) == (why, SmokeStatus.PASSED if code == 0 else SmokeStatus.FAILED)


def test_a_node_without_a_gpu_skips(node: JobStand) -> None:
    """With the reason; the container is not started."""
    assert gpu(node, 0, has_gpu=False) == ("skipped-no-gpu-on-the-node", SmokeStatus.SKIPPED)
    assert node.stand.calls("apptainer", "exec") == []


def test_a_library_that_needs_a_newer_libc_is_found_out(tmp_path: Path) -> None:
    """The inner script by itself: without a driver here it ends at the driver, after the libraries."""
    script = data_folder("slurm") / "inside/gpu.sh"
    done = subprocess.run(["/bin/sh", str(script), "nv"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (12, "no NVIDIA driver in the container\n")


# ---- mpi ------------------------------------------------------------------------------------------------------------

_SRUN = """#!/bin/sh
stand=@STAND@
echo "$*" >>"$stand/srun.calls"
while [ "$1" != apptainer ]; do shift; done
for rank in $(cat "$stand/ranks"); do SLURMD_NODENAME=n1 SLURM_NTASKS=2 SLURM_PROCID=$rank @PMI@ "$@" || exit; done
"""


def launcher(node: JobStand, ranks: str, pmi: str, hosts: str = "n1") -> None:
    """srun and scontrol on this node."""
    node.stand.tell("ranks", ranks)
    for name, text in (
        ("srun", _SRUN.replace("@STAND@", shlex.quote(str(node.stand.folder))).replace("@PMI@", pmi)),
        ("scontrol", f"#!/bin/sh\necho '{hosts}'\n"),
    ):
        program = node.stand.folder / "bin" / name
        program.write_text(text)
        program.chmod(0o755)


PMIX, PMI2 = "PMIX_RANK=$rank", "PMI_RANK=$rank PMI_SIZE=2"


@pytest.mark.parametrize(
    ("mpi", "ranks", "pmi", "hosts", "why"),
    [
        ("pmix", "1 0", PMIX, "n1", "ok"),
        ("pmi2", "0 1", PMI2, "n1", "ok"),
        (None, "0 1", "", "n1", "ok"),
        ("none", "0 1", "", "n1", "ok"),
        ("pmix", "0 1", PMI2, "n1", "no-pmix-in-the-container"),
        ("pmi2", "0 1", "", "n1", "no-pmi2-in-the-container"),
        ("pmi2", "0 0", PMI2, "n1", "ranks-differ"),
        ("pmi2", "0", PMI2, "n1", "ranks-differ"),
        ("pmi2", "0 1 2", PMI2, "n1", "ranks-differ"),
        ("pmi2", "0 1", PMI2, "n2", "hosts-differ"),
    ],
)
def test_ranks_know_each_other(node: JobStand, mpi: str | None, ranks: str, pmi: str, hosts: str, why: str) -> None:
    """Every rank once, of the right size, on the right nodes, by the launcher that the site names."""
    launcher(node, ranks, pmi, hosts)
    site = replace(node.stand.site, slurm=replace(node.stand.site.slurm, mpi=mpi))
    assert ended(node, SmokeTest("m", "mpi", tasks=2), site)[0] == why
    assert node.stand.calls("srun")[0].startswith(f"--ntasks=2 {f'--mpi={mpi} ' if mpi else ''}apptainer exec")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Hello from rank $SLURM_PROCID of 2", "ok"),
        ("Rank: $SLURM_PROCID out of 2 processes", "ok"),
        ("rank 0 of 1", "ranks-differ"),
        ("hello", "ranks-differ"),
    ],
)
def test_a_command_of_the_project_speaks_for_its_rank(node: JobStand, line: str, why: str) -> None:
    """A program that found no launcher says 0 of 1."""
    launcher(node, "0 1", "")
    test = SmokeTest("m", "mpi", ("sh", "-c", f'echo "{line}"'), tasks=2)
    assert ended(node, test)[0] == why


# ---- io -------------------------------------------------------------------------------------------------------------


def io(node: JobStand, *binds: str) -> str:
    """An io job at a site with these binds, in a container where everything lies where it lies outside."""
    site = replace(node.stand.site, profile=Profile(binds=binds))
    script = node.script(SmokeTest("io", "io"), site)
    script.write_text(script.read_text().replace("/hpcbake-io/", f"{node.attempt}/"))
    subprocess.run(["/bin/sh", str(script)], capture_output=True, check=False)
    return str(node.result()["why"])


def test_binds_are_as_the_site_says(node: JobStand, tmp_path: Path) -> None:
    """Read always, write where it says rw; no file of the test stays."""
    data = tmp_path / "my data"
    data.mkdir()
    assert io(node, str(data), f"{data}:{data}:rw") == "ok"
    assert list(data.iterdir()) == []
    assert io(node, f"{data}:{data}:ro") == "bind-writable-though-ro"
    assert list(data.iterdir()) == []
    assert io(node, f"{tmp_path}/absent") == "bind-not-readable"
    assert io(node, "/proc/self:/proc/self:rw") == "bind-not-writable"


def test_bytes_are_the_same_inside_and_outside(node: JobStand) -> None:
    """What was written outside is what the container reads."""
    assert io(node) == "ok"
    assert (node.attempt / "io.inside").read_bytes().endswith(b"\x01~\x80\xff bytes\n")
