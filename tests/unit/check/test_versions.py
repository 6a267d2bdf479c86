"""Needs against offers: the rule on version names, in all the shapes that images have."""

from __future__ import annotations

import pytest

from hpcbake.model.verdict import Severity, Verdict
from tests.elf_builder import library, program
from tests.image_builder import Files, HardLink, Link, scanned
from tests.unit.check.bases import debian, el8, findings, judged, only


def needing(*versions: str, **facts: object) -> bytes:
    return program(needs={"libc.so.6": versions}, **facts)


@pytest.mark.parametrize("version", ["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.28"])
def test_what_the_images_glibc_offers_is_fine(version: str) -> None:
    """A program that needs no more than the image has passes, whatever the host has."""
    report = judged(scanned(el8(), {"usr/local/bin/app": needing(version)}), glibc="2.17")
    assert (report.verdict, report.findings) == (Verdict.PASS, ())


def test_host_glibc_does_not_matter_by_itself() -> None:
    """An image newer than the host is fine, and one older than the host too."""
    newer = scanned(debian("2.41"), {"usr/local/bin/app": needing("GLIBC_2.38")})
    assert judged(newer, glibc="2.28").verdict is Verdict.PASS
    assert judged(scanned(el8()), glibc="2.41").verdict is Verdict.PASS


def test_a_program_for_a_newer_glibc_fails() -> None:
    """The finding names the version, the image's glibc, the instruction, and two ways to mend it."""
    history = ["FROM el8", "COPY /app /usr/local/bin/app # buildkit"]
    image = scanned(el8(), {"usr/local/bin/app": needing("GLIBC_2.2.5", "GLIBC_2.34")}, history=history)
    finding = only(judged(image))
    assert (finding.rule, finding.severity, finding.subject) == ("glibc-too-new", Severity.ERROR, "/usr/local/bin/app")
    assert "GLIBC_2.34" in finding.message and "2.28" in finding.message
    assert finding.origin == "layer 2: COPY /app /usr/local/bin/app"
    assert "stage" in finding.remedy and "manylinux_2_28" in finding.remedy
    assert finding.evidence["needed"] == ["GLIBC_2.34"]


def test_versions_are_compared_as_numbers() -> None:
    """2.4 is not newer than 2.34: the highest need is named."""
    image = scanned(el8(), {"usr/bin/app": needing("GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.33")})
    assert "GLIBC_2.34" in only(judged(image)).message


def test_many_files_of_one_instruction_are_one_cause() -> None:
    """Two programs and an extension that one COPY brought in are one finding with three paths."""
    copied = {
        "usr/local/bin/python3.11": needing("GLIBC_2.35"),
        "usr/local/bin/tool": needing("GLIBC_2.34"),
        "usr/local/lib/python3.11/site-packages/x/_x.cpython-311-x86_64-linux-gnu.so": library(
            needs={"libc.so.6": ("GLIBC_2.36",)}
        ),
    }
    image = scanned(el8(), copied, history=["base", "COPY /usr/local /usr/local"])
    finding = only(judged(image))
    assert len(finding.paths) == 3
    assert "GLIBC_2.36" in finding.message and "2 more files" in finding.message


def test_files_of_two_instructions_are_two_causes() -> None:
    """Each instruction has its own finding, for each is mended in its own place."""
    first, second = {"usr/bin/one": needing("GLIBC_2.34")}, {"usr/bin/two": needing("GLIBC_2.34")}
    report = judged(scanned(el8(), first, second, history=["base", "COPY one", "COPY two"]))
    assert {finding.origin for finding in report.findings} == {"layer 2: COPY one", "layer 3: COPY two"}


def test_program_off_path_fails_too() -> None:
    """People start programs by full path as well."""
    assert findings(judged(scanned(el8(), {"opt/x/bin/app": needing("GLIBC_2.34")})), Severity.ERROR)


def test_program_without_x_bit_is_no_program() -> None:
    """What nobody can start breaks nobody."""
    from tests.image_builder import File

    report = judged(scanned(el8(), {"opt/app": File(needing("GLIBC_2.34"), 0o644)}))
    assert report.verdict is Verdict.PASS


def test_a_leftover_library_is_only_information() -> None:
    """A library that nothing reaches is no reason to fail."""
    report = judged(scanned(el8(), {"opt/old/libx.so.1": library("libx.so.1", needs={"libc.so.6": ("GLIBC_2.34",)})}))
    assert report.verdict is Verdict.PASS
    assert findings(report, Severity.INFO) == [("glibc-too-new", "/opt/old/libx.so.1")]


def test_a_library_that_is_found_by_name_counts() -> None:
    """A library in a default folder may be opened by anything: an error."""
    new = library("libx.so.1", needs={"libc.so.6": ("GLIBC_2.34",)})
    assert only(judged(scanned(el8(), {"usr/lib64/libx.so.1": new}))).severity is Severity.ERROR


def test_need_of_a_library_is_told_for_the_library() -> None:
    """A program that is fine but whose library is not: the library is the subject."""
    layer: Files = {
        "usr/bin/app": program(needed=("libx.so.1", "libc.so.6")),
        "usr/lib64/libx.so.1": library("libx.so.1", needs={"libc.so.6": ("GLIBC_2.30",)}),
    }
    assert only(judged(scanned(el8(), layer))).subject == "/usr/lib64/libx.so.1"


def test_relr_alone_has_its_own_remedy() -> None:
    """GLIBC_ABI_DT_RELR is no version; on glibc 2.36 it is fine, before it is not."""
    layer: Files = {"usr/bin/app": needing("GLIBC_ABI_DT_RELR")}
    finding = only(judged(scanned(el8(), layer)))
    assert (finding.rule, finding.severity) == ("glibc-relr", Severity.ERROR)
    assert "pack-relative-relocs" in finding.remedy
    assert judged(scanned(debian("2.36"), layer)).verdict is Verdict.PASS


def test_relr_beside_a_version_is_one_cause() -> None:
    """A program of Debian 13 needs both; the version is the thing to say."""
    finding = only(judged(scanned(el8(), {"usr/bin/app": needing("GLIBC_2.38", "GLIBC_ABI_DT_RELR")})))
    assert finding.rule == "glibc-too-new"
    assert "GLIBC_2.38" in finding.message


@pytest.mark.parametrize(
    ("release", "severity"), [("2.28", Severity.ERROR), ("2.29", Severity.ERROR), ("2.30", Severity.WARNING)]
)
def test_weak_needs_are_fatal_before_2_30(release: str, severity: Severity) -> None:
    """glibc before 2.30 dies on a weak version it does not find; later ones only remark on it."""
    image = scanned(el8(release), {"usr/bin/app": needing("GLIBC_2.36?")})
    assert only(judged(image)).severity is severity


def test_libstdcxx_is_judged_by_the_one_that_is_loaded() -> None:
    """GLIBCXX of the system's libstdc++ is too old; a bundled one found by RUNPATH is not."""
    needs = {"libstdc++.so.6": ("GLIBCXX_3.4.29",), "libc.so.6": ("GLIBC_2.14",)}
    app = program(needed=("libstdc++.so.6", "libc.so.6"), needs=needs)
    finding = only(judged(scanned(el8(), {"opt/app/bin/app": app}, Entrypoint=["/opt/app/bin/app"])))
    assert (finding.rule, finding.subject) == ("libstdcxx-too-new", "/opt/app/bin/app")
    assert "GLIBCXX_3.4.25" in finding.message
    bundled: Files = {
        "opt/app/bin/app": program(needed=("libstdc++.so.6", "libc.so.6"), needs=needs, runpath="$ORIGIN/../lib"),
        "opt/app/lib/libstdc++.so.6": library("libstdc++.so.6", offers=["GLIBCXX_3.4", "GLIBCXX_3.4.29"]),
    }
    assert judged(scanned(el8(), bundled, Entrypoint=["/opt/app/bin/app"])).verdict is Verdict.PASS


def test_other_libraries_have_versions_too() -> None:
    """OpenSSL 3 wanted, OpenSSL of another build found."""
    layer: Files = {
        "usr/bin/app": program(needed=("libssl.so.3",), needs={"libssl.so.3": ("OPENSSL_3.2.0",)}),
        "usr/lib64/libssl.so.3": library("libssl.so.3", offers=["OPENSSL_3.0.0"]),
    }
    finding = only(judged(scanned(el8(), layer)))
    assert (finding.rule, finding.severity) == ("library-version", Severity.ERROR)


def test_library_that_defines_no_versions() -> None:
    """The loader remarks on one that has symbol versions of its own needs, and stops on one without any table."""
    app = program(needed=("libx.so.1",), needs={"libx.so.1": ("X_1.0",)})
    versioned = library("libx.so.1", symbols=[("abs", "GLIBC_2.2.5", False)])
    assert judged(scanned(el8(), {"usr/bin/app": app, "usr/lib64/libx.so.1": versioned})).verdict is Verdict.PASS
    bare = library("libx.so.1", needed=())
    finding = only(judged(scanned(el8(), {"usr/bin/app": app, "usr/lib64/libx.so.1": bare})))
    assert (finding.rule, finding.severity) == ("library-version", Severity.ERROR)
    assert "does not define" in finding.message


def test_whiteout_and_opaque_folder_hide_the_fault() -> None:
    """A broken file that a later layer removes is not in the image."""
    broken: Files = {"usr/local/bin/app": needing("GLIBC_2.34")}
    assert judged(scanned(el8(), broken, {"usr/local/bin/.wh.app": b""})).verdict is Verdict.PASS
    assert judged(scanned(el8(), broken, {"usr/local/.wh..wh..opq": b""})).verdict is Verdict.PASS


def test_second_name_of_a_broken_file_is_broken() -> None:
    """A hard link keeps the content although the first name is removed."""
    broken: Files = {"opt/app": needing("GLIBC_2.34"), "usr/bin/app": HardLink("opt/app")}
    report = judged(scanned(el8(), broken, {"opt/.wh.app": b""}))
    assert findings(report) == [("glibc-too-new", "/usr/bin/app")]


def test_program_behind_a_link_on_path_is_hot() -> None:
    """A link on PATH leads to a program elsewhere: its missing library is an error, not a warning."""
    layer: Files = {"opt/app/bin/app": program(needed=("libnone.so",)), "usr/bin/app": Link("../../opt/app/bin/app")}
    assert findings(judged(scanned(el8(), layer)), Severity.ERROR) == [("missing-library", "/opt/app/bin/app")]


def test_mixed_pieces_of_glibc() -> None:
    """libc.so.6 replaced without its loader: one finding about the pieces, not one per program."""
    from tests.elf_builder import glibc

    report = judged(scanned(el8(), {"usr/lib64/libc.so.6": glibc("2.36")["libc.so.6"]}, history=["base", "COPY libc"]))
    finding = only(report)
    assert (finding.rule, finding.subject) == ("glibc-mixed", "/usr/lib64/libc.so.6")
    assert finding.origin == "layer 2: COPY libc"


def test_mixed_pieces_without_a_new_version_name() -> None:
    """2.31's libc on 2.28's loader needs no version that is missing, but a private symbol that is."""
    from tests.elf_builder import glibc

    report = judged(scanned(el8(), {"usr/lib64/libc.so.6": glibc("2.31")["libc.so.6"]}))
    assert findings(report) == [("glibc-mixed", "/usr/lib64/libc.so.6")]


def test_versions_of_a_library_that_is_not_loaded() -> None:
    """A needed library renamed without its version table stops the loader."""
    app = program(needed=("libnew.so.1", "libc.so.6"), needs={"libold.so.1": ("X_1",), "libc.so.6": ("GLIBC_2.2.5",)})
    report = judged(scanned(el8(), {"usr/bin/app": app, "usr/lib64/libnew.so.1": library("libnew.so.1")}))
    assert findings(report) == [("version-unbound", "/usr/bin/app")]
