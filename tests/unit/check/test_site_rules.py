"""Rules in which the site's profile decides: injected and exported files, kernel, processor, driver, binds."""

from __future__ import annotations

import tarfile
from typing import Any

import pytest

from hpcbake.model.site import Partition
from hpcbake.model.verdict import Severity, Verdict
from tests.elf_builder import AARCH64, Elf, glibc, library, program
from tests.image_builder import File, Files, MemoryImage, make_layer, scanned
from tests.unit.check.bases import debian, el8, findings, gpu, injection, judged, only

# ---- injected -------------------------------------------------------------------------------------------------------


def test_injected_library_needs_more_than_the_image_has() -> None:
    """Bound PMIx of a newer host cannot be loaded on the image's glibc."""
    finding = only(judged(scanned(el8()), inject=(injection("pmix", "GLIBC_2.17", "GLIBC_2.34"),)))
    assert (finding.rule, finding.severity, finding.subject) == ("injected-too-new", Severity.ERROR, "pmix")
    assert "GLIBC_2.34" in finding.message and "GLIBC_2.17" not in finding.message


def test_injected_library_that_fits() -> None:
    """The same library in a newer image is fine."""
    assert judged(scanned(debian("2.36")), inject=(injection("pmix", "GLIBC_2.34"),)).verdict is Verdict.PASS


def test_injected_cxx_library() -> None:
    """GLIBCXX is asked of the image's libstdc++; an image without one cannot offer any."""
    inject = (injection("mpi", "GLIBCXX_3.4.29"),)
    assert "libstdc++" in only(judged(scanned(el8()), inject=inject)).message
    assert "no libstdc++.so.6" in only(judged(scanned(debian()), inject=inject)).message


def test_unprobed_gpu_libraries_are_taken_for_the_hosts() -> None:
    """With --nv and nothing probed, an older image on a newer host is a warning."""
    finding = only(judged(scanned(el8()), gpu=gpu("nv"), glibc="2.34"))
    assert (finding.rule, finding.severity) == ("injected-too-new", Severity.WARNING)
    assert judged(scanned(debian("2.36")), gpu=gpu("nv"), glibc="2.34").verdict is Verdict.PASS


@pytest.mark.parametrize(("apptainer", "severity"), [("1.4.5", Severity.ERROR), ("1.5.0", Severity.WARNING)])
def test_apptainer_1_5_lets_the_image_win(apptainer: str, severity: Severity) -> None:
    """From 1.5.0 on an image with its own GLVND never loads the host's copies."""
    image = scanned(el8(), {"usr/lib64/libGLdispatch.so.0": library("libGLdispatch.so.0")})
    report = judged(image, gpu=gpu("nv"), inject=(injection("nv", "GLIBC_2.34"),), apptainer=apptainer)
    assert only(report).severity is severity


def test_exec_stack_matters_from_2_41_on() -> None:
    """A plugin that asks for an executable stack cannot be opened on glibc 2.41."""
    layer: Files = {"usr/lib/python3.11/site-packages/x.abi3.so": library(exec_stack=True)}
    assert findings(judged(scanned(debian("2.41"), layer))) == [
        ("exec-stack", "/usr/lib/python3.11/site-packages/x.abi3.so")
    ]
    assert judged(scanned(debian("2.40"), layer)).verdict is Verdict.PASS
    injected = (injection("mpi", "GLIBC_2.17", execstack=True),)
    assert only(judged(scanned(debian("2.41")), inject=injected)).rule == "exec-stack"


@pytest.mark.parametrize(
    "bind", ["/lib64", "/usr/lib64:/usr/lib64:ro", "/opt/x/libc.so.6:/usr/lib64/libc.so.6", "/usr"]
)
def test_host_libc_bound_over_the_images(bind: str) -> None:
    """A bind over a folder with libc, or over libc itself, is an error."""
    report = judged(scanned(el8()), binds=(bind,))
    assert ("libc-bound", bind) in findings(report, Severity.ERROR)


def test_host_libc_beside_the_images() -> None:
    """The host's /usr/lib64 elsewhere is harmless, unless LD_LIBRARY_PATH of the image names it."""
    bind = "/usr/lib64:/host/lib64"
    assert judged(scanned(el8()), binds=(bind,)).verdict is Verdict.PASS
    searched = scanned(el8(), Env=["LD_LIBRARY_PATH=/host/lib64"])
    assert findings(judged(searched, binds=(bind,))) == [("libc-bound", bind)]


def test_binds_of_data_are_fine() -> None:
    """A missing mount point is information: apptainer makes it."""
    report = judged(scanned(el8()), binds=("/scratch", "/usr/lib64/libpmix.so.2"))
    assert report.verdict is Verdict.PASS
    assert ("no-mount-point", "/scratch") in findings(report, Severity.INFO)


# ---- exported -------------------------------------------------------------------------------------------------------


def test_exported_files_are_judged_against_the_host() -> None:
    """Only declared paths, and only there does the host's glibc count."""
    layer: Files = {"opt/export/bin/app": program(needs={"libc.so.6": ("GLIBC_2.34",)})}
    image = scanned(debian("2.36"), layer, Entrypoint=["/opt/export/bin/app"])
    assert judged(image, glibc="2.28").verdict is Verdict.PASS
    finding = only(judged(image, glibc="2.28", exports=("/opt/export",)))
    assert (finding.rule, finding.subject) == ("export-too-new", "/opt/export/bin/app")
    assert judged(image, glibc="2.34", exports=("/opt/export",)).verdict is Verdict.PASS


def test_version_sets_beat_numbers() -> None:
    """RHEL 9's glibc 2.34 also defines GLIBC_2.35: the list says so, the number does not."""
    layer: Files = {"opt/export/app": program(needs={"libc.so.6": ("GLIBC_2.35",)})}
    image = scanned(debian("2.36"), layer)
    assert judged(image, glibc="2.34", exports=("/opt/export",)).verdict is Verdict.FAIL
    offers = ("GLIBC_2.34", "GLIBC_2.35")
    assert judged(image, glibc="2.34", exports=("/opt/export",), offers=offers).verdict is Verdict.PASS


def test_exports_without_a_declared_host_are_unknown() -> None:
    """Not declared never means that anything goes."""
    image = scanned(debian(), {"opt/export/app": program()})
    assert judged(image, exports=("/opt/export/*",)).verdict is Verdict.UNKNOWN


# ---- kernel and processor -------------------------------------------------------------------------------------------


def test_glibc_that_refuses_the_kernel() -> None:
    """glibc before 2.36 starts only on the kernel of its ABI tag or newer."""
    pieces = glibc("2.28")
    pieces["libc.so.6"] = Elf(
        soname="libc.so.6",
        offers=["GLIBC_2.2.5", "GLIBC_2.28"],
        kernel=(4, 18, 1),
        constants=b"GNU C Library version 2.28.",
    ).build()
    image = scanned(el8(), {f"usr/lib64/{name}": content for name, content in pieces.items()})
    assert ("kernel-too-old", "/usr/lib64/libc.so.6") in findings(judged(image, kernel="4.18.0"))
    assert judged(image, kernel="4.18.1").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("needed", "level", "severity"),
    [
        (0b0001, 1, None),
        (0b0010, 2, None),
        (0b0100, 2, Severity.ERROR),
        (0b0100, None, Severity.WARNING),
        (0b1111, 4, None),
    ],
)
def test_processor_level(needed: int, level: int | None, severity: Severity | None) -> None:
    """What a file states is compared with the oldest processor of the site."""
    report = judged(scanned(el8(), {"usr/bin/app": program(isa_needed=needed)}), cpu_level=level)
    assert (only(report).severity if report.verdict is not Verdict.PASS else None) == severity


def test_processor_level_by_partition() -> None:
    """Where some partitions can run it, it is a warning that names the ones that cannot, and where it runs."""
    partitions = (Partition("cpu", 3), Partition("old", 2), Partition("older", 1))
    image = scanned(el8(), {"usr/bin/app": program(isa_needed=0b0100)})
    finding = only(judged(image, cpu_level=1, partitions=partitions))
    assert finding.severity is Severity.WARNING
    assert "partitions old (x86-64-v2), older (x86-64-v1) are older" in finding.message
    assert "run on cpu only" in finding.remedy
    assert only(judged(image, cpu_level=1, partitions=partitions[1:])).severity is Severity.ERROR


def test_processor_level_in_hwcaps_folders_is_no_demand() -> None:
    """Variants for better processors lie beside the plain library; the loader chooses."""
    folder = "usr/lib64/glibc-hwcaps/x86-64-v3"
    layer: Files = {
        f"{folder}/libfoo.so.1": library("libfoo.so.1", isa_needed=0b100),
        "usr/lib64/libfoo.so.1": library("libfoo.so.1"),
        "usr/bin/app": program(needed=("libfoo.so.1", "libc.so.6")),
    }
    assert judged(scanned(el8("2.34"), layer), cpu_level=2).verdict is Verdict.PASS
    assert judged(scanned(el8("2.34"), layer), cpu_level=3).verdict is Verdict.PASS


@pytest.mark.parametrize(("version", "level", "verdict"), [("9.4", 1, "FAIL"), ("9.4", 2, "PASS"), ("10.0", 2, "FAIL")])
def test_distributions_have_a_level_of_their_own(version: str, level: int, verdict: str) -> None:
    """Rocky 9 is compiled for level 2, Rocky 10 for level 3."""
    release = {"etc/os-release": f'ID="rocky"\nVERSION_ID="{version}"\n'}
    assert judged(scanned(el8("2.34"), release), cpu_level=level).verdict.value == verdict


# ---- architecture ---------------------------------------------------------------------------------------------------


def test_image_for_another_architecture() -> None:
    """An arm64 image on an x86-64 site is one finding."""
    finding = only(judged(scanned({"bin/sh": program(machine=AARCH64)}, architecture="arm64")))
    assert (finding.rule, finding.severity) == ("wrong-platform", Severity.ERROR)
    assert "linux/arm64" in finding.message


def test_index_without_the_right_platform_says_what_it_has() -> None:
    """An arm64-only index is judged, and its platforms are named."""
    from hpcbake.image.scan import scan_image

    layer = make_layer({"bin/sh": program(machine=AARCH64)})
    image = MemoryImage([layer], architecture="arm64", index=[("linux", "arm64"), ("unknown", "unknown")])
    finding = only(judged(scan_image(image)))
    assert finding.evidence["platforms"] == ["linux/arm64"]


def test_foreign_program_on_path() -> None:
    """An arm64 program on PATH of an amd64 image is an error; elsewhere it is a warning, in a package information."""
    arm = program(machine=AARCH64)
    assert only(judged(scanned(el8(), {"usr/bin/app": arm}))).severity is Severity.ERROR
    assert only(judged(scanned(el8(), {"opt/x/app": arm}))).severity is Severity.WARNING
    packaged = scanned(el8(), {"usr/lib/python3/site-packages/x/bin/arm": arm})
    assert findings(judged(packaged), Severity.INFO) == [("wrong-machine", "/usr/lib/python3/site-packages/x/bin/arm")]


def test_foreign_python_extensions_are_one_cause() -> None:
    """arm64 extensions of an arm64 builder stage are an error, unless the right one lies beside."""
    folder = "usr/lib/python3.11/site-packages/np"
    arm: Files = {
        f"{folder}/a.cpython-311-aarch64-linux-gnu.so": library(machine=AARCH64),
        f"{folder}/b.cpython-311-aarch64-linux-gnu.so": library(machine=AARCH64),
    }
    python: Files = {"usr/bin/python3.11": program()}
    finding = only(judged(scanned(el8(), python, arm, history=["base", "python", "COPY --from=builder"])))
    assert (finding.rule, len(finding.paths), finding.origin) == ("wrong-machine", 2, "layer 3: COPY --from=builder")
    twins: Files = {f"{folder}/{name}.cpython-311-x86_64-linux-gnu.so": library() for name in "ab"}
    assert judged(scanned(el8(), python, arm, twins)).verdict is Verdict.PASS


# ---- Python ---------------------------------------------------------------------------------------------------------


def extension(version: str, tag: str = "", module: str = "m") -> str:
    tag = tag or f".cpython-{version.replace('.', '')}-x86_64-linux-gnu"
    return f"usr/lib/python{version}/site-packages/{module}{tag}.so"


def test_extension_for_another_python() -> None:
    """cp311 extensions in an image with Python 3.9 only cannot be imported."""
    image = scanned(el8(), {"usr/bin/python3.9": program(), extension("3.11"): library()})
    finding = only(judged(image))
    assert (finding.rule, finding.severity) == ("python-abi", Severity.ERROR)
    assert "3.11" in finding.message and "3.9" in finding.message


def test_extension_for_its_own_python() -> None:
    """The right version, an abi3 module and a tagless one are fine."""
    layer: Files = {
        "usr/bin/python3.11": program(),
        extension("3.11"): library(),
        extension("3.11", ".abi3", "stable"): library(),
        extension("3.11", "-plain", "old").replace("-plain", ""): library(),
    }
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_extension_in_a_folder_of_another_version() -> None:
    """python3.9's folder is read by 3.9 only, even where 3.11 is there too."""
    path = "usr/lib/python3.9/site-packages/m.cpython-311-x86_64-linux-gnu.so"
    image = scanned(el8(), {"usr/bin/python3.9": program(), "usr/bin/python3.11": program(), path: library()})
    assert "only Python 3.9 reads" in only(judged(image)).message


def test_extension_for_several_pythons() -> None:
    """Debian's dist-packages hold one file per Python; one that fits is enough."""
    folder = "usr/lib/python3/dist-packages"
    layer: Files = {
        "usr/bin/python3.11": program(),
        f"{folder}/m.cpython-311-x86_64-linux-gnu.so": library(),
        f"{folder}/m.cpython-312-x86_64-linux-gnu.so": library(),
    }
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_extension_needs_more_than_the_image_has() -> None:
    """An extension compiled from source on Debian fails as a program does."""
    layer: Files = {
        "usr/bin/python3.11": program(),
        extension("3.11"): library(needs={"libc.so.6": ("GLIBC_2.32",)}, needed=("libc.so.6",)),
    }
    assert only(judged(scanned(el8(), layer))).rule == "glibc-too-new"


def test_library_that_another_extension_loads_beforehand() -> None:
    """A needed library that lies somewhere may have been opened before; one that is nowhere is a warning."""
    path, module = extension("3.11"), library(needed=("libcudnn.so.9",))
    python: Files = {"usr/bin/python3.11": program()}
    elsewhere: Files = {"usr/lib/python3.11/site-packages/nvidia/lib/libcudnn.so.9": library("libcudnn.so.9")}
    assert judged(scanned(el8(), python, {path: module}, elsewhere)).verdict is Verdict.PASS
    assert only(judged(scanned(el8(), python, {path: module}))).severity is Severity.WARNING


def test_the_systems_own_python_of_el8() -> None:
    """Rocky 8 has its Python 3.6 as platform-python only; dnf's extensions are for that one."""
    path = "usr/lib64/python3.6/site-packages/_dnf.cpython-36m-x86_64-linux-gnu.so"
    layer: Files = {"usr/libexec/platform-python3.6": program(), path: library()}
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_program_that_embeds_python() -> None:
    """gdb, vim and plotting programs bring libpython and no python: it reads the extensions."""
    layer: Files = {"usr/lib64/libpython3.11.so.1.0": library("libpython3.11.so.1.0"), extension("3.11"): library()}
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_one_variant_for_each_python() -> None:
    """CUDA's debugger comes for every Python; that most of them lack theirs stops nobody."""
    lacking = program(needed=("libpython3.8.so.1.0", "libc.so.6"))
    report = judged(scanned(el8(), {"usr/local/bin/cuda-gdb-python3.8-tui": lacking}))
    assert only(report).severity is Severity.WARNING
    assert only(judged(scanned(el8(), {"usr/bin/python3.8": lacking}))).severity is Severity.ERROR


# ---- CUDA -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "driver", "cuda", "severity"),
    [
        ("12.4.1", "550.54", "12.4", None),
        ("12.4.1", "525.60.13", "12.0", Severity.WARNING),
        ("12.4.1", "515.65", "11.7", Severity.ERROR),
        ("11.8", "450.80.02", "11.0", Severity.WARNING),
        ("11.8", "550.54", "12.4", None),
        ("13.0", "570.00", "12.8", Severity.ERROR),
        ("10.2", "440.33", "10.2", None),
        ("12.4", "", "11.8", Severity.ERROR),
        ("12.4", "", "", Severity.WARNING),
    ],
)
def test_cuda_against_the_driver(version: str, driver: str, cuda: str, severity: Severity | None) -> None:
    """One driver serves a whole major series; a newer minor release is a warning."""
    image = scanned(debian("2.36"), Env=[f"CUDA_VERSION={version}"])
    report = judged(image, gpu=gpu("nv", driver, cuda), glibc="2.28")
    assert (only(report).severity if report.verdict is not Verdict.PASS else None) == severity


def test_cuda_is_found_without_its_variable() -> None:
    """The requirement variable, else the newest runtime library, says which CUDA it is."""
    required = scanned(debian(), Env=["NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470"])
    assert "CUDA 12.4" in only(judged(required, gpu=gpu("nv", "515.65"))).message
    wheel: Files = {
        "usr/lib/python3.11/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12": library("libcudart.so.12")
    }
    assert "CUDA 12" in only(judged(scanned(debian(), wheel), gpu=gpu("nv", "515.65"))).message


def test_cuda_compat_softens_an_old_driver() -> None:
    """The forward compatibility package helps on data-centre GPUs: a warning."""
    layer: Files = {"usr/local/cuda-12.4/compat/libcuda.so.550.54": library("libcuda.so.1")}
    image = scanned(debian(), layer, Env=["CUDA_VERSION=12.4"])
    assert only(judged(image, gpu=gpu("nv", "515.65"))).severity is Severity.WARNING


def test_cuda_on_a_site_without_gpus_is_information() -> None:
    """Nothing is demanded of a site that declares no GPU."""
    assert judged(scanned(debian(), Env=["CUDA_VERSION=12.4"])).verdict is Verdict.PASS


# ---- musl, users ----------------------------------------------------------------------------------------------------


def test_musl_image_where_the_host_injects() -> None:
    """Host libraries cannot join musl programs: a warning where the site injects any."""
    musl = Elf(soname="libc.musl-x86_64.so.1").build()
    shell = program(interpreter="/lib/ld-musl-x86_64.so.1", needed=("libc.musl-x86_64.so.1",))
    image = scanned({"lib/ld-musl-x86_64.so.1": musl, "bin/sh": shell})
    assert only(judged(image, gpu=gpu("nv"))).rule == "musl-image"


def test_musl_twin_in_a_glibc_image_is_information() -> None:
    """Packages bring files for every libc."""
    path = "usr/lib/node_modules/x/x.linux-x64-musl.node"
    report = judged(scanned(el8(), {path: library(needed=("libc.musl-x86_64.so.1",))}))
    assert (report.verdict, findings(report, Severity.INFO)) == (Verdict.PASS, [("musl-files", f"/{path}")])


def test_programs_under_root_home_are_closed_to_users() -> None:
    """What pip installed under /root cannot be used by anybody else."""
    folder = tarfile.TarInfo("root")
    folder.type, folder.mode = b"5", 0o700
    image = scanned(el8(), {"root": folder, "root/.local/bin/app": program()}, Env=["PATH=/usr/bin:/root/.local/bin"])
    finding = only(judged(image))
    assert (finding.rule, finding.severity) == ("unreadable", Severity.WARNING)
    assert "/root" in finding.message


def test_program_only_root_may_start() -> None:
    """A mode of 0700 on a program of PATH."""
    assert only(judged(scanned(el8(), {"usr/bin/app": File(program(), 0o700)}))).rule == "unreadable"


def test_image_without_a_shell() -> None:
    """A static program alone runs, but nothing that needs a shell."""
    assert only(judged(scanned({"app": Elf(type=2, static=True).build()}, Entrypoint=["/app"]))).rule == "no-shell"


@pytest.mark.parametrize(
    ("script", "severity"),
    [("#!/bin/sh\n", None), ("#!/usr/bin/perl -w\n", Severity.ERROR), ("#!/bin/sh\r\n", Severity.ERROR)],
)
def test_entry_script_and_its_interpreter(script: str, severity: Severity | None) -> None:
    """The entry point's first line must name an interpreter of the image."""
    report = judged(scanned(el8(), {"entry.sh": script}, Entrypoint=["/entry.sh"]))
    assert (only(report).severity if report.verdict is not Verdict.PASS else None) == severity


def test_entry_that_is_not_there() -> None:
    """An entry point without its file is a warning: `apptainer exec` works without it."""
    assert only(judged(scanned(el8(), Entrypoint=["/opt/none"]))).rule == "broken-entry"


@pytest.mark.parametrize(
    "config",
    [
        {"Cmd": ["/opt/x/app"]},
        {"Entrypoint": ["tini", "--", "/opt/x/app"]},
        {"Cmd": ["/bin/sh", "-c", "exec /opt/x/app --flag"]},
        {"Entrypoint": ["./app"], "WorkingDir": "/opt/x"},
        {"Env": ["PATH=/usr/bin:/opt/x"]},
    ],
)
def test_programs_that_the_config_starts_are_hot(config: dict[str, Any]) -> None:
    """Entrypoint, Cmd, the shell form, the working folder and PATH all make a program hot."""
    image = scanned(el8(), {"opt/x/app": program(needed=("libnone.so.1",)), "usr/bin/tini": program()}, **config)
    assert findings(judged(image), Severity.ERROR) == [("missing-library", "/opt/x/app")]


def test_setuid_is_information() -> None:
    """A set-uid program has no effect and does no harm."""
    report = judged(scanned(el8(), {"usr/bin/su": File(program(), 0o4755)}))
    assert (report.verdict, findings(report, Severity.INFO)) == (Verdict.PASS, [("setuid", "/usr/bin/su")])
