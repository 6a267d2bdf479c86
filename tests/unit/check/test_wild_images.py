"""Images as they are met in the wild, small: whatever they are made of, what works raises no error."""

from __future__ import annotations

import pytest

from hpcbake.model.verdict import Severity
from tests.elf_builder import AARCH64, I386, Elf, glibc, library, program
from tests.image_builder import Content, File, Files, Link, scanned
from tests.unit.check.bases import debian, el8, findings, gpu, judged

NEW_CXX = ("GLIBCXX_3.4.30", "CXXABI_1.3.13")
MUSL = "lib/ld-musl-x86_64.so.1"
STORE = "nix/store/0c7c-glibc-2.39-52/lib"


def extension(**facts: object) -> bytes:
    return library(**facts)  # type: ignore[arg-type]


def alpine() -> dict[str, Content]:
    """musl as Alpine lays it out: the loader is the libc."""
    constants = b"\0/lib:/usr/local/lib:/usr/lib\0/etc/ld-musl-x86_64.path\0"
    return {
        MUSL: Elf(soname="libc.musl-x86_64.so.1", constants=constants).build(),
        "lib/libc.musl-x86_64.so.1": Link("ld-musl-x86_64.so.1"),
        "bin/busybox": program(interpreter=f"/{MUSL}", needed=("libc.musl-x86_64.so.1",)),
        "bin/sh": Link("busybox"),
    }


def conda() -> Files:
    """An environment with its own libstdc++, and a compiler whose sysroot holds a libc of its own."""
    packages = "opt/conda/lib/python3.11/site-packages"
    sysroot = "opt/conda/x86_64-conda-linux-gnu/sysroot"
    return {
        **el8(),
        "opt/conda/bin/python3.11": program(rpath="$ORIGIN/../lib", needed=("libz.so.1", "libc.so.6")),
        "opt/conda/bin/python": Link("python3.11"),
        "opt/conda/lib/libz.so.1": library("libz.so.1", offers=("ZLIB_1.2.9",)),
        "opt/conda/lib/libstdc++.so.6": library("libstdc++.so.6", offers=NEW_CXX),
        f"{packages}/fast/_fast.cpython-311-x86_64-linux-gnu.so": extension(
            needed=("libstdc++.so.6", "libc.so.6"), needs={"libstdc++.so.6": NEW_CXX}, rpath="$ORIGIN/../../../.."
        ),
        f"{sysroot}/lib64/libc.so.6": glibc("2.17")["libc.so.6"],
        f"{sysroot}/lib64/ld-linux-x86-64.so.2": glibc("2.17")["ld-linux-x86-64.so.2"],
        f"{sysroot}/usr/bin/getconf": program(needs={"libc.so.6": ("GLIBC_2.17",)}),
    }


def cuda() -> Files:
    """nvidia/cuda: stubs, a compat folder, debuggers for every Python, and the driver's libraries left to the host."""
    return {
        **debian("2.35"),
        "usr/local/cuda-12.4/lib64/libcudart.so.12.4.127": library("libcudart.so.12"),
        "usr/local/cuda-12.4/lib64/stubs/libcuda.so": library("libcuda.so.1"),
        "usr/local/cuda-12.4/compat/libcuda.so.550.54.15": library("libcuda.so.1"),
        "usr/local/cuda": Link("cuda-12.4"),
        "usr/local/cuda-12.4/bin/nvcc": program(),
        "usr/local/cuda-12.4/bin/demo": program(needed=("libcuda.so.1", "libcudart.so.12", "libc.so.6")),
        "usr/local/cuda-12.4/bin/cuda-gdb-python3.8-tui": program(needed=("libpython3.8.so.1.0", "libc.so.6")),
        "etc/ld.so.conf.d/cuda.conf": "/usr/local/cuda/lib64\n",
    }


def nix() -> Files:
    """Everything in the store, the loader too; /bin holds links."""
    own = glibc("2.39", folders=(f"/{STORE}/",))
    app = "nix/store/9x-app-1.0"
    return {
        **{f"{STORE}/{name}": content for name, content in own.items()},
        f"{app}/bin/app": program(
            interpreter=f"/{STORE}/ld-linux-x86-64.so.2",
            runpath=f"/{app}/lib:/{STORE}",
            needed=("libapp.so.1", "libc.so.6"),
            needs={"libc.so.6": ("GLIBC_2.38",)},
        ),
        f"{app}/lib/libapp.so.1": library("libapp.so.1", needs={"libc.so.6": ("GLIBC_2.34",)}),
        "bin/app": Link(f"/{app}/bin/app"),
        "bin/sh": Link(f"/{app}/bin/app"),
    }


def spack() -> Files:
    """A view of links; every file carries the full RPATH of its own prefixes."""
    prefix = "opt/spack/linux-rocky8-zen2/gcc-12.2.0"
    return {
        **el8(),
        f"{prefix}/hdf5-1.14/lib/libhdf5.so.310": library(
            "libhdf5.so.310", needed=("libz.so.1", "libc.so.6"), rpath=f"/{prefix}/zlib-1.3/lib"
        ),
        f"{prefix}/zlib-1.3/lib/libz.so.1": library("libz.so.1"),
        f"{prefix}/gcc-runtime/lib/libstdc++.so.6": library("libstdc++.so.6", offers=NEW_CXX),
        f"{prefix}/app/bin/app": program(
            needed=("libhdf5.so.310", "libstdc++.so.6", "libc.so.6"),
            needs={"libstdc++.so.6": NEW_CXX},
            rpath=f"/{prefix}/app/lib:/{prefix}/hdf5-1.14/lib:/{prefix}/gcc-runtime/lib",
        ),
        "opt/view/bin/app": Link(f"/{prefix}/app/bin/app"),
    }


def auditwheel() -> Files:
    """A wheel with its libraries beside it, under mangled names."""
    packages = "usr/local/lib/python3.11/site-packages"
    return {
        **el8(),
        "usr/local/bin/python3.11": program(),
        f"{packages}/numpy.libs/libopenblas64_p-r0-0cf96a72.so": library(
            "libopenblas64_p-r0-0cf96a72.so", needed=("libgfortran-040039e1.so.5", "libc.so.6"), rpath="$ORIGIN"
        ),
        f"{packages}/numpy.libs/libgfortran-040039e1.so.5": library("libgfortran-040039e1.so.5"),
        f"{packages}/numpy/core/_x.cpython-311-x86_64-linux-gnu.so": extension(
            needed=("libopenblas64_p-r0-0cf96a72.so", "libc.so.6"), rpath="$ORIGIN/../../numpy.libs"
        ),
    }


def rocky() -> Files:
    """Rocky 8 with python3.12 packages beside the system's own Python 3.6."""
    return {
        **el8(),
        "usr/libexec/platform-python3.6": program(),
        "usr/libexec/platform-python": Link("platform-python3.6"),
        "usr/lib64/python3.6/site-packages/_dnf.cpython-36m-x86_64-linux-gnu.so": extension(),
        "usr/bin/python3.12": program(),
        "usr/lib64/python3.12/lib-dynload/_ssl.cpython-312-x86_64-linux-gnu.so": extension(),
        "usr/lib64/python3.12/site-packages/x/_x.cpython-312-x86_64-linux-gnu.so": extension(),
        "usr/lib64/python3.12/site-packages/x/_x.cpython-311-x86_64-linux-gnu.so": extension(),
    }


def bundles() -> Files:
    """Julia, Java and Node: programs that find their libraries by $ORIGIN or open them by path."""
    return {
        **debian(),
        "opt/julia/bin/julia": program(needed=("libjulia.so.1", "libc.so.6"), runpath="$ORIGIN/../lib"),
        "opt/julia/lib/libjulia.so.1": library("libjulia.so.1"),
        "opt/julia/lib/julia/libjulia-internal.so.1": library(
            "libjulia-internal.so.1", needed=("libLLVM-15jl.so", "libc.so.6"), runpath="$ORIGIN"
        ),
        "opt/julia/lib/julia/libLLVM-15jl.so": library("libLLVM-15jl.so"),
        "usr/local/bin/julia": Link("/opt/julia/bin/julia"),
        "opt/jdk/bin/java": program(needed=("libjli.so", "libc.so.6"), rpath="$ORIGIN/../lib/jli"),
        "opt/jdk/lib/jli/libjli.so": library("libjli.so"),
        "opt/jdk/lib/amd64/server/libjvm.so": library("libjvm.so"),
        "opt/jdk/lib/amd64/libjava.so": library("libjava.so", needed=("libjvm.so", "libc.so.6"), rpath="$ORIGIN"),
        "usr/local/bin/java": Link("/opt/jdk/bin/java"),
        "opt/node/lib/node_modules/x/build/Release/x.node": library(),
        "opt/node/lib/node_modules/x/prebuilds/linux-x64/x.musl.node": library(needed=("libc.musl-x86_64.so.1",)),
        "opt/node/lib/node_modules/x/prebuilds/linux-arm64/x.node": library(machine=AARCH64),
    }


def odds_and_ends() -> Files:
    """Objects, kernel modules, debug files, firmware of other machines, 32-bit programs with their libc."""
    old = glibc("2.36", folders=("/lib32/", "/usr/lib32/"))
    thirty_two = {"machine": I386, "bits": 32}
    return {
        **debian(),
        "usr/lib/gcc/crt1.o": Elf(type=1).build(),
        "lib/modules/5.14.0/kernel/x.ko": Elf(type=1).build(),
        "usr/lib/debug/.build-id/ab/cdef.debug": program(needed=("libnone.so.1", "libc.so.6")),
        "usr/lib/firmware/dsp.elf": File(Elf(type=2, machine=AARCH64).build(), 0o755),
        "usr/share/qemu/hppa-firmware.img": File(Elf(type=2, machine=15, bits=32, order=">").build(), 0o644),
        "usr/lib32/libc.so.6": Elf(**thirty_two, soname="libc.so.6", offers=("GLIBC_2.0",)).build(),  # type: ignore[arg-type]
        "lib/ld-linux.so.2": Elf(**thirty_two, soname="ld-linux.so.2", constants=b"\0/lib32/\0/usr/lib32/\0").build(),  # type: ignore[arg-type]
        "usr/bin/wine": program(**thirty_two, interpreter="/lib/ld-linux.so.2", needs={"libc.so.6": ("GLIBC_2.0",)}),
        "usr/share/doc/empty": old["libm.so.6"][:0],
    }


def gcompat() -> Files:
    """Alpine with its stand-in for glibc's loader: glibc programs start on musl."""
    return {
        **alpine(),
        "lib/ld-linux-x86-64.so.2": program(interpreter=f"/{MUSL}", needed=("libc.musl-x86_64.so.1",)),
        "lib64/ld-linux-x86-64.so.2": Link("../lib/ld-linux-x86-64.so.2"),
        "lib/libgcompat.so.0": library("libgcompat.so.0", needed=("libc.musl-x86_64.so.1",)),
        "usr/local/bin/tool": program(needed=("libpthread.so.0", "libc.so.6"), needs={"libc.so.6": ("GLIBC_2.17",)}),
    }


def scratch() -> Files:
    """One static Go program and certificates."""
    return {"app": Elf(type=2, static=True).build(), "etc/ssl/certs/ca.pem": "x"}


def distroless() -> Files:
    """glibc, no shell."""
    return {name: content for name, content in {**debian(), "app/server": program()}.items() if "bash" not in name}


IMAGES = {
    "conda": (conda(), {}),
    "cuda": (cuda(), {"gpu": gpu("nv", "550.54", "12.4")}),
    "nix": (nix(), {}),
    "spack": (spack(), {}),
    "auditwheel": (auditwheel(), {}),
    "rocky": (rocky(), {}),
    "bundles": (bundles(), {}),
    "odds-and-ends": (odds_and_ends(), {}),
    "alpine": (alpine(), {}),
    "gcompat": (gcompat(), {}),
    "scratch": (scratch(), {}),
    "distroless": (distroless(), {}),
}
PATHS = {"conda": "/opt/conda/bin:/usr/bin", "cuda": "/usr/local/cuda/bin:/usr/bin", "spack": "/opt/view/bin:/usr/bin"}
#: Warnings that are right.
TOLD = {
    "cuda": {"missing-library", "setuid"},
    "scratch": {"no-shell"},
    "distroless": {"no-shell"},
    "nix": set(),
}


@pytest.mark.parametrize("name", IMAGES)
def test_no_false_alarm(name: str) -> None:
    """No error, nothing unknown, and no warning but the expected ones."""
    files, profile = IMAGES[name]
    command = {"scratch": ["/app"], "distroless": ["/app/server"]}.get(name, ["/bin/sh"])
    cache: Files = {}
    if name == "cuda":
        from tests.unit.check.test_loading import loader_cache

        cache = {"etc/ld.so.cache": loader_cache(("libcudart.so.12", "/usr/local/cuda/lib64/libcudart.so.12.4.127"))}
    env = [f"PATH={PATHS[name]}"] if name in PATHS else []
    report = judged(scanned(files, cache, Env=env, Cmd=command), glibc="2.28", cpu_level=2, **profile)
    assert findings(report, Severity.ERROR) == []
    assert findings(report, Severity.UNKNOWN) == []
    assert {rule for rule, _ in findings(report)} <= TOLD.get(name, set())
