"""Where the loader finds libraries, and what it says when it does not."""

from __future__ import annotations

import struct

import pytest

from hpcbake.model.verdict import Severity, Verdict
from tests.elf_builder import AARCH64, I386, Elf, library, program
from tests.image_builder import File, Files, Link, scanned
from tests.unit.check.bases import debian, el8, findings, judged, only

APP = program(needed=("libfoo.so.1", "libc.so.6"))
FOO = library("libfoo.so.1")


def loader_cache(*entries: tuple[str, str], flags: int = 0x0303) -> bytes:
    """An ld.so.cache of the new format with these names and paths."""
    strings = b"".join(f"{name}\0{path}\0".encode() for name, path in entries)
    start = 48 + 24 * len(entries)
    table, at = b"", start
    for name, path in entries:
        table += struct.pack("<iIIIQ", flags, at, at + len(name) + 1, 0, 0)
        at += len(name) + len(path) + 2
    return b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", len(entries), len(strings), 2, 0) + table + strings


def test_a_library_that_is_nowhere() -> None:
    """A hot program without one of its libraries fails."""
    finding = only(judged(scanned(el8(), {"usr/bin/app": APP})))
    assert (finding.rule, finding.severity) == ("missing-library", Severity.ERROR)
    assert "nowhere in the image" in finding.message


def test_off_path_it_is_a_warning() -> None:
    """A program that is not on PATH may get its library from a wrapper."""
    assert only(judged(scanned(el8(), {"opt/x/app": APP}))).severity is Severity.WARNING


@pytest.mark.parametrize("folder", ["usr/local/lib", "opt/foo/lib", "usr/lib", "usr/lib/x86_64-linux-gnu"])
def test_a_library_on_no_search_path(folder: str) -> None:
    """EL searches /lib64 and /usr/lib64 only; the finding says where the library lies."""
    finding = only(judged(scanned(el8(), {"usr/bin/app": APP, f"{folder}/libfoo.so.1": FOO})))
    assert f"exists at /{folder}/libfoo.so.1" in finding.message
    assert "ldconfig" in finding.remedy


@pytest.mark.parametrize("folder", ["lib64", "usr/lib64"])
def test_default_folders_of_rocky(folder: str) -> None:
    """What the loader itself has compiled in is searched."""
    assert judged(scanned(el8(), {"usr/bin/app": APP, f"{folder}/libfoo.so.1": FOO})).verdict is Verdict.PASS


@pytest.mark.parametrize("folder", ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "lib"])
def test_default_folders_of_debian(folder: str) -> None:
    """Debian's loader searches the multiarch folders and /lib."""
    assert judged(scanned(debian(), {"usr/bin/app": APP, f"{folder}/libfoo.so.1": FOO})).verdict is Verdict.PASS


def test_cache_counts_and_its_configuration_does_not() -> None:
    """A folder in ld.so.conf.d is searched once ldconfig has written the cache, not before."""
    layer: Files = {"usr/bin/app": APP, "opt/lib/libfoo.so.1": FOO, "etc/ld.so.conf.d/foo.conf": "/opt/lib\n"}
    finding = only(judged(scanned(el8(), layer)))
    assert "add `RUN ldconfig`" in finding.remedy
    cache = {"etc/ld.so.cache": loader_cache(("libfoo.so.1", "/opt/lib/libfoo.so.1"))}
    assert judged(scanned(el8(), layer, cache)).verdict is Verdict.PASS


def test_cache_in_both_formats() -> None:
    """Older ldconfig writes an old list in front of the new one."""
    new = loader_cache(("libfoo.so.1", "/opt/lib/libfoo.so.1"))
    old = b"ld.so-1.7.0\0" + struct.pack("<I", 0)
    layer: Files = {"usr/bin/app": APP, "opt/lib/libfoo.so.1": FOO, "etc/ld.so.cache": old + new}
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_cache_entry_of_another_architecture_is_passed_over() -> None:
    """An i386 entry of the same name does not serve a 64-bit program."""
    layer: Files = {"usr/bin/app": APP, "opt/lib/libfoo.so.1": FOO}
    cache = {"etc/ld.so.cache": loader_cache(("libfoo.so.1", "/opt/lib/libfoo.so.1"), flags=3)}
    assert findings(judged(scanned(el8(), layer, cache))) == [("missing-library", "/usr/bin/app")]


def test_stale_cache_falls_back_to_default_folders() -> None:
    """The cache names a file that is gone; the one in a default folder is found."""
    layer: Files = {"usr/bin/app": APP, "usr/lib64/libfoo.so.1": FOO}
    cache = {"etc/ld.so.cache": loader_cache(("libfoo.so.1", "/gone/libfoo.so.1"))}
    assert judged(scanned(el8(), layer, cache)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "how", [{"runpath": "$ORIGIN/../lib"}, {"rpath": "${ORIGIN}/../lib"}, {"runpath": "/opt/app/lib"}]
)
def test_rpath_and_runpath(how: dict[str, str]) -> None:
    """Both are searched, with $ORIGIN standing for the program's folder."""
    app = program(needed=("libfoo.so.1", "libc.so.6"), **how)
    layer: Files = {"opt/app/bin/app": app, "opt/app/lib/libfoo.so.1": FOO, "usr/bin/app": Link("/opt/app/bin/app")}
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_origin_of_a_program_is_its_real_folder() -> None:
    """Started through a link, $ORIGIN is still where the file lies; started as a hard link, it is not."""
    app = program(needed=("libfoo.so.1",), runpath="$ORIGIN/lib")
    layer: Files = {"opt/app": app, "opt/lib/libfoo.so.1": FOO, "usr/bin/app": Link("/opt/app")}
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_runpath_is_not_inherited_but_rpath_is() -> None:
    """A library's own needs are found by the program's RPATH, never by its RUNPATH."""
    layer: Files = {
        "opt/lib/libfoo.so.1": library("libfoo.so.1", needed=("libbar.so.1",), needs={}),
        "opt/lib/libbar.so.1": library("libbar.so.1"),
    }
    by_rpath = {"usr/bin/app": program(needed=("libfoo.so.1",), rpath="/opt/lib")}
    by_runpath = {"usr/bin/app": program(needed=("libfoo.so.1",), runpath="/opt/lib")}
    assert judged(scanned(el8(), layer, by_rpath)).verdict is Verdict.PASS
    finding = only(judged(scanned(el8(), layer, by_runpath)))
    assert finding.evidence["library"] == "libbar.so.1"
    assert "through /opt/lib/libfoo.so.1" in finding.message


def test_rpath_is_ignored_beside_a_runpath() -> None:
    """DT_RPATH does not count in a file that also has DT_RUNPATH."""
    layer: Files = {
        "usr/bin/app": program(needed=("libfoo.so.1",), rpath="/opt/lib", runpath="/none"),
        "opt/lib/libfoo.so.1": FOO,
    }
    assert judged(scanned(el8(), layer)).verdict is Verdict.FAIL


def test_library_path_of_the_environment() -> None:
    """ENV LD_LIBRARY_PATH is searched, its empty and relative parts are not."""
    layer: Files = {"usr/bin/app": APP, "opt/lib/libfoo.so.1": FOO}
    assert judged(scanned(el8(), layer, Env=["LD_LIBRARY_PATH=:lib:/opt/lib"])).verdict is Verdict.PASS
    assert judged(scanned(el8(), layer, Env=["LD_LIBRARY_PATH=:opt/lib"])).verdict is Verdict.FAIL


def test_needed_with_a_slash() -> None:
    """A needed name with a slash is a path, and may start with $ORIGIN."""
    app = program(needed=("$ORIGIN/../lib/libfoo.so.1",))
    layer: Files = {"opt/bin/app": app, "opt/lib/libfoo.so.1": FOO, "usr/bin/app": Link("/opt/bin/app")}
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_first_holder_of_a_name_serves_all() -> None:
    """Two copies of one library: the one loaded first answers, also for the second asker's versions."""
    layer: Files = {
        "usr/bin/app": program(needed=("libold.so.1", "libuser.so.1"), runpath="/opt/lib"),
        "opt/lib/libold.so.1": library("libcxx.so.1", offers=["CXX_1"]),
        "opt/lib/libuser.so.1": library("libuser.so.1", needed=("libcxx.so.1",), needs={"libcxx.so.1": ("CXX_2",)}),
        "usr/lib64/libcxx.so.1": library("libcxx.so.1", offers=["CXX_1", "CXX_2"]),
    }
    finding = only(judged(scanned(el8(), layer)))
    assert (finding.rule, finding.subject) == ("library-version", "/opt/lib/libuser.so.1")


def test_foreign_architecture_is_passed_over() -> None:
    """The loader skips a library of another machine and takes the next; without a next it says what it saw."""
    foreign = library("libfoo.so.1", machine=AARCH64)
    app = program(needed=("libfoo.so.1",), runpath="/opt/lib")
    layer: Files = {"usr/bin/app": app, "opt/lib/libfoo.so.1": foreign}
    assert judged(scanned(el8(), layer, {"usr/lib64/libfoo.so.1": FOO})).verdict is Verdict.PASS
    assert "aarch64" in only(judged(scanned(el8(), layer))).message


def test_a_text_file_in_the_way_is_fatal() -> None:
    """A linker script named like the library ends the search with an error."""
    app = program(needed=("libfoo.so.1",), runpath="/opt/lib")
    layer: Files = {"usr/bin/app": app, "opt/lib/libfoo.so.1": "INPUT(-lfoo)", "usr/lib64/libfoo.so.1": FOO}
    assert "no ELF file" in only(judged(scanned(el8(), layer))).message


def test_circular_needs_end() -> None:
    """Libraries that need one another are loaded once each."""
    layer: Files = {
        "usr/bin/app": program(needed=("liba.so",)),
        "usr/lib64/liba.so": library("liba.so", needed=("libb.so",), needs={}),
        "usr/lib64/libb.so": library("libb.so", needed=("liba.so",), needs={}),
    }
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_missing_interpreter() -> None:
    """A program whose loader is not there cannot start, and musl is recognised."""
    app = program(interpreter="/lib/ld-musl-x86_64.so.1", needed=("libc.musl-x86_64.so.1",), needs={})
    finding = only(judged(scanned(el8(), {"usr/bin/app": app})))
    assert (finding.rule, finding.severity) == ("interpreter-missing", Severity.ERROR)
    assert "Alpine" in finding.remedy


def test_folder_laid_over_the_link_of_lib64() -> None:
    """A COPY of a tree with lib64/ in it hides the loader from every program: one error that says so."""
    broken = {"lib64": None, "lib64/libx.so.1": library("libx.so.1"), "opt/bin/app": program()}
    report = judged(scanned(el8(), broken, history=["FROM el8", "COPY rootfs/ /"]))
    errors = [finding for finding in report.findings if finding.rule == "interpreter-missing"]
    first = errors[0]
    assert first.severity is Severity.ERROR and "/usr/lib64/ld-linux-x86-64.so.2" in first.message
    assert "folder (from layer 2: COPY rootfs/ /)" in first.message and "link" in first.remedy


def test_one_library_is_one_cause_for_programs_on_and_off_path() -> None:
    """What the same missing library does to several programs is one finding, as grave as the gravest."""
    lacking = program(needed=("libfoo.so.1", "libc.so.6"))
    finding = only(judged(scanned(el8(), {"usr/bin/app": lacking, "opt/x/bin/other": lacking})))
    assert finding.severity is Severity.ERROR and finding.paths == ("/opt/x/bin/other", "/usr/bin/app")
    assert finding.subject == "/usr/bin/app"


def test_glibc_program_on_scratch() -> None:
    """An image with nothing but a dynamic program: the loader is missing, never the host's fault."""
    report = judged(scanned({"app": program()}, Entrypoint=["/app"]), glibc="2.41")
    assert ("interpreter-missing", "/app") in findings(report, Severity.ERROR)


def test_static_program_on_scratch() -> None:
    """A static program needs nothing."""
    static = Elf(type=2, static=True).build()
    report = judged(scanned({"app": static}, Entrypoint=["/app"]))
    assert findings(report, Severity.ERROR) == []


def test_32_bit_program_without_32_bit_libc() -> None:
    """An i386 program on PATH fails for want of its loader."""
    app = Elf(type=2, machine=I386, bits=32, interpreter="/lib/ld-linux.so.2", needed=("libc.so.6",)).build()
    finding = only(judged(scanned(el8(), {"usr/bin/app": app})))
    assert finding.rule == "interpreter-missing"
    assert "32-bit" in finding.remedy


def test_private_loader_has_its_own_folders() -> None:
    """A relocated glibc (Nix, Spack) searches its own store, not the system's folders or cache."""
    from tests.elf_builder import glibc

    pieces = glibc("2.38", folders=("/nix/store/g/lib/",))
    app = program(interpreter="/nix/store/g/lib/ld-linux-x86-64.so.2", needs={"libc.so.6": ("GLIBC_2.38",)})
    layer: Files = {**{f"nix/store/g/lib/{name}": content for name, content in pieces.items()}, "usr/bin/app": app}
    assert judged(scanned(el8(), layer)).verdict is Verdict.PASS


def test_a_whole_system_inside_the_image_is_not_judged() -> None:
    """A chroot under /opt has its own libc; its programs are not this image's."""
    nested = {f"opt/root/{name}": content for name, content in debian("2.41").items()}
    nested["opt/root/usr/bin/app"] = program(needs={"libc.so.6": ("GLIBC_2.38",)})
    assert judged(scanned(el8(), nested)).verdict is Verdict.PASS


def test_musl_image_is_fine_by_itself() -> None:
    """Alpine's programs find musl; versions are not checked there."""
    musl = Elf(soname="libc.musl-x86_64.so.1", symbols=()).build()
    app = program(interpreter="/lib/ld-musl-x86_64.so.1", needed=("libc.musl-x86_64.so.1", "libfoo.so.1"), needs={})
    layer: Files = {
        "lib/ld-musl-x86_64.so.1": musl,
        "bin/sh": app,
        "usr/lib/libfoo.so.1": library("libfoo.so.1", needed=(), needs={}),
    }
    report = judged(scanned(layer))
    assert (report.verdict, findings(report, Severity.INFO)) == (
        Verdict.PASS,
        [("musl-image", "registry.example.org/team/app:1")],
    )


def test_preloaded_library() -> None:
    """LD_PRELOAD joins every program; one that is not there is passed over by the loader."""
    bad = library("libmalloc.so", needs={"libc.so.6": ("GLIBC_2.34",)})
    layer: Files = {"opt/libmalloc.so": bad}
    assert findings(judged(scanned(el8(), layer, Env=["LD_PRELOAD=/opt/libmalloc.so"])))
    assert judged(scanned(el8(), Env=["LD_PRELOAD=/none.so"])).verdict is Verdict.PASS


def test_what_gpus_bring_is_not_missing() -> None:
    """libcuda.so.1 comes with --nv; on a site without GPUs it is missing, and the finding says who would bring it."""
    from tests.unit.check.bases import gpu

    layer: Files = {"usr/bin/app": program(needed=("libcuda.so.1",))}
    assert judged(scanned(el8(), layer), gpu=gpu("nv")).verdict is Verdict.PASS
    assert "NVIDIA driver" in only(judged(scanned(el8(), layer))).remedy


def test_library_marked_for_a_newer_kernel() -> None:
    """glibc before 2.36 passes over a library whose ABI tag is newer than the kernel; 2.36 does not."""
    layer: Files = {"usr/bin/app": APP, "usr/lib64/libfoo.so.1": library("libfoo.so.1", kernel=(4, 19, 0))}
    finding = only(judged(scanned(el8(), layer), kernel="4.18.0"))
    assert (finding.rule, finding.severity) == ("kernel-abi-tag", Severity.ERROR)
    assert "strip --remove-section=.note.ABI-tag" in finding.remedy
    assert judged(scanned(el8(), layer), kernel="5.14.0").verdict is Verdict.PASS
    assert judged(scanned(el8("2.36"), layer), kernel="4.18.0").verdict is Verdict.PASS


def test_damaged_program_on_path_is_unknown() -> None:
    """A truncated ELF file that people may start leaves the verdict open; elsewhere it is information."""
    cut = program()[:100]
    assert judged(scanned(el8(), {"usr/bin/app": cut})).verdict is Verdict.UNKNOWN
    assert judged(scanned(el8(), {"opt/data/app": File(cut, 0o644)})).verdict is Verdict.PASS
