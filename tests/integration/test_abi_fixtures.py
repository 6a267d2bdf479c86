"""Images of the kinds that break in practice, from real compilers, on a base laid out as Rocky 8 with glibc 2.28."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from hpcbake.image.scan import ScannedImage
from hpcbake.model.verdict import CompatReport, Finding, Severity, Verdict
from tests.image_builder import File, Files, HardLink, Link, scanned
from tests.integration.abi_workshop import Workshop
from tests.unit.check.bases import debian, el8, judged
from tests.unit.check.test_loading import loader_cache

pytestmark = [
    pytest.mark.abi,
    pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="pip install hpcbake[abi-fixtures]"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]

SITE = {"glibc": "2.28", "glibcxx": "3.4.25", "kernel": "4.18.0", "cpu_level": 2}
HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }'
#: Symbols that moved into libc.so.6 in 2.34: linked against that, a program needs GLIBC_2.34.
THREADS = "#include <pthread.h>\nstatic void *run(void *x) { return x; }\n"
PROGRAM = THREADS + "int main(void) { pthread_t t; return pthread_create(&t, 0, run, 0); }"
EXTENSION = THREADS + "int PyInit_m(void) { pthread_t t; return pthread_create(&t, 0, run, 0); }"
TAG = "cpython-311-x86_64-linux-gnu"
PACKAGES = "usr/local/lib/python3.11/site-packages"


@pytest.fixture(scope="session")
def shop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(Path(request.config.cache.mkdir("abi")))


def on_el8(*layers: Files, **config: object) -> ScannedImage:
    history = ["FROM rockylinux/rockylinux:8.10", *(f"COPY --from=builder {number}" for number in range(len(layers)))]
    return scanned(el8(), *layers, history=history, **config)  # type: ignore[arg-type]


def check(image: ScannedImage) -> CompatReport:
    return judged(image, **SITE)


def error(report: CompatReport) -> Finding:
    """The one error that there is."""
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert len(errors) == 1, [finding.message for finding in errors]
    return errors[0]


def app(content: bytes) -> Files:
    return {"usr/local/bin/app": File(content, 0o755)}


@pytest.mark.parametrize("version", ["2.17", "2.28"])
def test_hello_for_an_older_or_equal_glibc(shop: Workshop, version: str) -> None:
    """Built for 2.17 or 2.28 it runs on 2.28."""
    assert check(on_el8(app(shop.zig(f"x86_64-linux-gnu.{version}", HELLO)))).verdict is Verdict.PASS


def test_hello_for_a_newer_glibc(shop: Workshop) -> None:
    """Built for 2.34 it does not; the finding names version and instruction."""
    finding = error(check(on_el8(app(shop.zig("x86_64-linux-gnu.2.34", PROGRAM)))))
    assert finding.rule == "glibc-too-new"
    assert "GLIBC_2.34" in finding.message and finding.origin == "layer 2: COPY --from=builder 0"


def test_debian_python_in_el8() -> None:
    """This machine's python3 and the libraries it needs, copied onto the base: one error about versions, one COPY."""
    python = Path(shutil.which("python3", path="/usr/bin") or "/none").resolve()
    if not python.is_file():
        pytest.skip("this machine has no python3 of its own")
    said = subprocess.run(["ldd", python], capture_output=True, text=True, check=True).stdout
    paths = [Path(line.split("=>")[1].split()[0]) for line in said.splitlines() if "=>" in line and "/" in line]
    copied: Files = {
        f"usr/local/bin/{python.name}": File(python.read_bytes(), 0o755),
        **{f"usr/lib64/{p.name}": p.resolve().read_bytes() for p in paths if p.name not in ("libc.so.6", "libm.so.6")},
    }
    report = check(on_el8(copied))
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert {finding.origin for finding in errors} == {"layer 2: COPY --from=builder 0"}
    assert [finding.rule for finding in errors].count("glibc-too-new") == 1


def test_extension_compiled_on_debian(shop: Workshop) -> None:
    """An sdist compiled in a newer stage, in site-packages."""
    module = shop.zig("x86_64-linux-gnu.2.34", EXTENSION, "-shared", "-fPIC")
    image = on_el8({"usr/local/bin/python3.11": shop.gcc(HELLO, "-static")}, {f"{PACKAGES}/m.{TAG}.so": module})
    finding = error(check(image))
    assert (finding.rule, finding.subject) == ("glibc-too-new", f"/{PACKAGES}/m.{TAG}.so")
    assert "manylinux_2_28" in finding.remedy


def test_extension_from_an_arm64_builder(shop: Workshop) -> None:
    """aarch64 files in site-packages of an amd64 image."""
    module = shop.zig("aarch64-linux-gnu.2.28", EXTENSION, "-shared", "-fPIC")
    image = on_el8({f"{PACKAGES}/m.cpython-311-aarch64-linux-gnu.so": module})
    finding = error(check(image))
    assert finding.rule == "wrong-machine" and "linux/amd64" in finding.remedy


def test_extension_for_another_python(shop: Workshop) -> None:
    """cp311 beside python3.9 only."""
    module = shop.zig("x86_64-linux-gnu.2.28", "int PyInit_m(void) { return 0; }", "-shared", "-fPIC")
    image = on_el8({"usr/bin/python3.9": shop.gcc(HELLO, "-static"), f"{PACKAGES}/m.{TAG}.so": module})
    assert error(check(image)).rule == "python-abi"


def test_packed_relocations_alone(shop: Workshop) -> None:
    """-z pack-relative-relocs, with nothing else that is new."""
    source = "int a, b, *p[] = {&a, &b}; int main(void) { return p[0] == p[1]; }"
    content = shop.gcc(source, "-pie", "-fPIE", "-Wl,-z,pack-relative-relocs")
    if b"GLIBC_ABI_DT_RELR" not in content:
        pytest.skip("this linker does not pack relocations")
    report = check(on_el8(app(content)))
    assert any("GLIBC_ABI_DT_RELR" in str(finding.evidence["needed"]) for finding in report.findings)
    assert report.verdict is Verdict.FAIL


def test_cxx_of_a_newer_compiler(shop: Workshop) -> None:
    """from_chars for floating point came with GLIBCXX_3.4.29."""
    source = (
        "#include <charconv>\n"
        "int main(int n, char **w) { double d; return std::from_chars(w[0], w[0] + n, d).ec != std::errc(); }"
    )
    content = shop.gxx(source, "-std=c++17", "-static-libgcc")
    if b"GLIBCXX_3.4.29" not in content:
        pytest.skip("this compiler has its own idea of from_chars")
    rules = {finding.rule for finding in check(on_el8(app(content))).findings}
    assert "libstdcxx-too-new" in rules


def _with_library(shop: Workshop, folder: str, *args: str) -> Files:
    library = shop.zig(
        "x86_64-linux-gnu.2.28", "int foo(void) { return 7; }", "-shared", "-fPIC", "-Wl,-soname,libfoo.so.1"
    )
    source = "int foo(void); int main(void) { return foo() - 7; }"
    program = shop.zig("x86_64-linux-gnu.2.28", source, "-L.", "-lfoo", *args, inputs={"libfoo.so": library})
    return {
        "opt/app/bin/app": File(program, 0o755),
        "usr/local/bin/app": Link("/opt/app/bin/app"),
        f"{folder}/libfoo.so.1": library,
    }


@pytest.mark.parametrize("folder", ["opt/app/lib", "usr/local/lib"])
def test_library_on_no_search_path(shop: Workshop, folder: str) -> None:
    """missing-lib, usr-local-lib: the finding says where it lies."""
    finding = error(check(on_el8(_with_library(shop, folder))))
    assert f"exists at /{folder}/libfoo.so.1" in finding.message


def test_configured_but_no_ldconfig(shop: Workshop) -> None:
    """conf-no-ldconfig: the remedy is ldconfig; conf-ldconfig: fine."""
    files = {**_with_library(shop, "opt/app/lib"), "etc/ld.so.conf.d/app.conf": "/opt/app/lib\n"}
    assert "RUN ldconfig" in error(check(on_el8(files))).remedy
    cache: Files = {"etc/ld.so.cache": loader_cache(("libfoo.so.1", "/opt/app/lib/libfoo.so.1"))}
    assert check(on_el8(files, cache)).verdict is Verdict.PASS


def test_runpath_and_environment(shop: Workshop) -> None:
    """runpath-ok and env-llp."""
    assert check(on_el8(_with_library(shop, "opt/app/lib", "-Wl,-rpath,$ORIGIN/../lib"))).verdict is Verdict.PASS
    image = on_el8(_with_library(shop, "opt/app/lib"), Env=["LD_LIBRARY_PATH=/opt/app/lib"])
    assert check(image).verdict is Verdict.PASS


def test_musl_dynamic_and_static(shop: Workshop) -> None:
    """musl-dyn fails for want of its loader, musl-static runs."""
    dynamic = shop.zig("x86_64-linux-musl", HELLO, "-dynamic")
    assert error(check(on_el8(app(dynamic)))).rule == "interpreter-missing"
    assert check(on_el8(app(shop.zig("x86_64-linux-musl", HELLO, "-static")))).verdict is Verdict.PASS


def test_static_glibc(shop: Workshop) -> None:
    """A static program runs."""
    assert check(on_el8(app(shop.gcc(HELLO, "-static")))).verdict is Verdict.PASS


def test_32_bit_program(shop: Workshop) -> None:
    """i386-exe."""
    assert error(check(on_el8(app(shop.zig("x86-linux-gnu.2.28", HELLO))))).rule == "interpreter-missing"


def test_arm64_program_and_arm64_image(shop: Workshop) -> None:
    """arm64-exe and arm64-config."""
    content = shop.zig("aarch64-linux-gnu.2.28", HELLO)
    assert error(check(on_el8(app(content)))).rule == "wrong-machine"
    image = scanned(el8(), architecture="arm64")
    assert error(check(image)).rule == "wrong-platform"


def test_what_upper_layers_hide(shop: Workshop) -> None:
    """whiteout-removed and opaque are fine, a second name is not."""
    broken = app(shop.zig("x86_64-linux-gnu.2.34", PROGRAM))
    assert check(on_el8(broken, {"usr/local/bin/.wh.app": b""})).verdict is Verdict.PASS
    assert check(on_el8(broken, {"usr/local/.wh..wh..opq": b""})).verdict is Verdict.PASS
    twice: Files = {**broken, "usr/local/bin/twin": HardLink("usr/local/bin/app")}
    assert error(check(on_el8(twice, {"usr/local/bin/.wh.app": b""}))).subject == "/usr/local/bin/twin"


def test_newer_than_the_host(shop: Workshop) -> None:
    """An image with a newer glibc than the site, nothing injected or exported."""
    image = scanned(debian("2.41"), app(shop.zig("x86_64-linux-gnu.2.38", PROGRAM)))
    assert check(image).verdict is Verdict.PASS
