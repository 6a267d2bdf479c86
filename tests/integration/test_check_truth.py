"""The check against reality: for each recipe, the verdict and what happens when the program is really started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hpcbake.model.verdict import Severity
from tests.elf_builder import AARCH64, library
from tests.image_builder import Files, HardLink, Link, scanned
from tests.integration.abi_workshop import (
    FOLDER,
    Recipe,
    Workshop,
    host_base,
    lay_out,
    rename_needed,
    starts,
    weaken,
    with_loader_cache,
)
from tests.unit.check.bases import judged

pytestmark = [
    pytest.mark.abi,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot"),
    pytest.mark.skipif(not Path("/lib/x86_64-linux-gnu/libc.so.6").exists(), reason="needs a Debian-like x86-64 host"),
]

HELLO = "int main(void) { return 0; }"
USES_FOO = "int foo(void); int main(void) { return foo() - 7; }"
FOO = "int foo(void) { return 7; }"
RPATH, RUNPATH = "-Wl,--disable-new-dtags,-rpath,", "-Wl,--enable-new-dtags,-rpath,"
#: A lone dollar would be taken by nobody: there is no shell in between.
ORIGIN_LIB = "$ORIGIN/../lib"

Make = Callable[[Workshop], Recipe]
RECIPES: dict[str, Make] = {}


def recipe(make: Make) -> Make:
    RECIPES[make.__name__.replace("_", "-")] = make
    return make


def foo(shop: Workshop, source: str = FOO, *args: str, soname: str = "libfoo.so.1") -> bytes:
    return shop.gcc(source, "-shared", "-fPIC", f"-Wl,-soname,{soname}", *args)


def app(shop: Workshop, *args: str, source: str = USES_FOO, **libraries: bytes) -> bytes:
    """A program linked against libfoo (and what else is given as NAME=content, for `-lNAME`)."""
    given = {f"lib{name}.so": content for name, content in ({"foo": foo(shop)} | libraries).items()}
    return shop.gcc(source, "-L.", *(f"-l{name[3:-3]}" for name in given), *args, inputs=given)


def versioned(shop: Workshop, soname: str, *versions: str, name: str = "foo") -> bytes:
    """A library that defines `foo` at the first version, and the others beside."""
    script = "".join(
        f"{version} {{ global: {name if not number else f'unused{number}'}; local: *; }};\n"
        for number, version in enumerate(versions)
    )
    source = f"int {name}(void) {{ return 7; }}" + "".join(
        f"int unused{n}(void) {{ return 0; }}" for n in range(1, len(versions))
    )
    return shop.gcc(
        source,
        "-shared",
        "-fPIC",
        f"-Wl,-soname,{soname}",
        "-Wl,--version-script=map",
        "-nostdlib",
        inputs={"map": script.encode()},
    )


@recipe
def plain(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": shop.gcc(HELLO)}, runs=True)


@recipe
def no_pie(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": shop.gcc(HELLO, "-no-pie")}, runs=True)


@recipe
def static(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": shop.gcc(HELLO, "-static")}, runs=True)


@recipe
def static_pie(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": shop.gcc(HELLO, "-static-pie")}, runs=True)


@recipe
def stripped(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": shop.gcc(HELLO, "-s")}, runs=True)


def _needing_glibc_2_99(shop: Workshop, declaration: str) -> Recipe:
    """A program whose library needs a version that no libc.so.6 has."""
    stub = versioned(shop, "libc.so.6", "GLIBC_2.99", name="bar")
    needing = shop.gcc(
        f"{declaration}; int foo(void) {{ return &bar ? 7 : 7; }} void *keep = bar;",
        *("-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libfoo.so.1", "-L.", "-Wl,--no-as-needed", "-l:libstub.so"),
        inputs={"libstub.so": stub},
    )
    program = app(shop, "-Wl,--unresolved-symbols=ignore-in-shared-libs", foo=needing)
    is_weak = "weak" in declaration
    found = weaken(needing, "GLIBC_2.99") if is_weak else needing
    return Recipe({"usr/bin/app": program, "usr/lib/libfoo.so.1": found}, runs=is_weak)


@recipe
def glibc_too_new(shop: Workshop) -> Recipe:
    return _needing_glibc_2_99(shop, "int bar(void)")


@recipe
def weak_glibc_too_new(shop: Workshop) -> Recipe:
    return _needing_glibc_2_99(shop, "__attribute__((weak)) int bar(void)")


@recipe
def library_version_missing(shop: Workshop) -> Recipe:
    built, found = versioned(shop, "libfoo.so.1", "FOO_2"), versioned(shop, "libfoo.so.1", "FOO_1")
    return Recipe({"usr/bin/app": app(shop, foo=built), f"{FOLDER}/libfoo.so.1": found}, runs=False)


@recipe
def library_without_any_version_table(shop: Workshop) -> Recipe:
    """The loader remarks on it, and then stops on an assertion when it looks the symbol up."""
    built, found = versioned(shop, "libfoo.so.1", "FOO_2"), foo(shop, FOO, "-nostdlib")
    return Recipe({"usr/bin/app": app(shop, foo=built), f"{FOLDER}/libfoo.so.1": found}, runs=False)


@recipe
def library_that_defines_no_versions(shop: Workshop) -> Recipe:
    """One that only needs versions itself has a table: the loader remarks on it and goes on."""
    built = versioned(shop, "libfoo.so.1", "FOO_2")
    found = foo(shop, "int abs(int); int (*keep)(int) = abs; int foo(void) { return 7; }", "-fno-builtin")
    return Recipe({"usr/bin/app": app(shop, foo=built), f"{FOLDER}/libfoo.so.1": found}, runs=True)


@recipe
def missing_library(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": app(shop)}, runs=False)


@recipe
def default_folder(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": app(shop), "usr/lib/libfoo.so.1": foo(shop)}, runs=True)


@recipe
def lib64_is_not_searched_on_debian(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": app(shop), "usr/lib64/libfoo.so.1": foo(shop)}, runs=False)


@recipe
def usr_local_lib(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": app(shop), "usr/local/lib/libfoo.so.1": foo(shop)}, runs=False)


def _configured(shop: Workshop) -> Files:
    return {"usr/bin/app": app(shop), "opt/lib/libfoo.so.1": foo(shop), "etc/ld.so.conf": "/opt/lib\n"}


@recipe
def conf_no_ldconfig(shop: Workshop) -> Recipe:
    return Recipe(_configured(shop), runs=False)


@recipe
def conf_ldconfig(shop: Workshop) -> Recipe:
    return Recipe(_configured(shop), runs=True, ldconfig=True)


@recipe
def runpath_origin(shop: Workshop) -> Recipe:
    files: Files = {
        "opt/bin/app": app(shop, RUNPATH + ORIGIN_LIB),
        "opt/lib/libfoo.so.1": foo(shop),
        "usr/bin/app": Link("/opt/bin/app"),
    }
    return Recipe(files, runs=True)


@recipe
def origin_of_a_hard_link(shop: Workshop) -> Recipe:
    files: Files = {
        "opt/bin/app": app(shop, RUNPATH + ORIGIN_LIB),
        "opt/lib/libfoo.so.1": foo(shop),
        "usr/bin/app": HardLink("opt/bin/app"),
    }
    return Recipe(files, runs=False)


def _chain(shop: Workshop, option: str) -> Recipe:
    bar = foo(shop, "int bar(void) { return 7; }", soname="libbar.so.1")
    inner = shop.gcc(
        "int bar(void); int foo(void) { return bar(); }",
        *("-shared", "-fPIC", "-Wl,-soname,libfoo.so.1", "-L.", "-lbar"),
        inputs={"libbar.so": bar},
    )
    program = shop.gcc(
        USES_FOO,
        "-L.",
        "-lfoo",
        option,
        "-Wl,--allow-shlib-undefined",
        "-Wl,--unresolved-symbols=ignore-in-shared-libs",
        inputs={"libfoo.so": inner},
    )
    return Recipe(
        {"usr/bin/app": program, "opt/lib/libfoo.so.1": inner, "opt/lib/libbar.so.1": bar},
        runs=option.startswith(RPATH),
    )


@recipe
def rpath_is_inherited(shop: Workshop) -> Recipe:
    return _chain(shop, RPATH + "/opt/lib")


@recipe
def runpath_is_not_inherited(shop: Workshop) -> Recipe:
    return _chain(shop, RUNPATH + "/opt/lib")


@recipe
def env_library_path(shop: Workshop) -> Recipe:
    files: Files = {"usr/bin/app": app(shop), "opt/lib/libfoo.so.1": foo(shop)}
    return Recipe(files, runs=True, env={"LD_LIBRARY_PATH": "/nowhere:/opt/lib"})


@recipe
def relative_library_path(shop: Workshop) -> Recipe:
    files: Files = {"usr/bin/app": app(shop), "opt/lib/libfoo.so.1": foo(shop)}
    return Recipe(files, runs=False, env={"LD_LIBRARY_PATH": "opt/lib"})


@recipe
def library_path_with_origin(shop: Workshop) -> Recipe:
    """$ORIGIN in the environment is the program's folder, also for what its libraries need."""
    bar = foo(shop, "int bar(void) { return 7; }", soname="libbar.so.1")
    inner = shop.gcc(
        "int bar(void); int foo(void) { return bar(); }",
        *("-shared", "-fPIC", "-Wl,-soname,libfoo.so.1", "-L.", "-lbar"),
        inputs={"libbar.so": bar},
    )
    program = shop.gcc(
        USES_FOO, "-L.", "-lfoo", "-Wl,--unresolved-symbols=ignore-in-shared-libs", inputs={"libfoo.so": inner}
    )
    files: Files = {"usr/bin/app": program, "usr/own/libfoo.so.1": inner, "usr/own/libbar.so.1": bar}
    return Recipe(files, runs=True, env={"LD_LIBRARY_PATH": "$ORIGIN/../own"})


@recipe
def interpreter_behind_links(shop: Workshop) -> Recipe:
    files: Files = {
        "usr/bin/app": app(shop, "-Wl,--dynamic-linker=/opt/links/ld.so"),
        "opt/links": Link("../usr/links"),
        "usr/links/ld.so": Link("/lib64/ld-linux-x86-64.so.2"),
        f"{FOLDER}/libfoo.so.1": foo(shop),
    }
    return Recipe(files, runs=True)


@recipe
def program_behind_links(shop: Workshop) -> Recipe:
    """What is started by a link has $ORIGIN where it really lies."""
    files: Files = {
        "usr/bin/app": Link("../../opt/v1/bin/app"),
        "opt/v1": Link("v1.0"),
        "opt/v1.0/bin/app": app(shop, RUNPATH + ORIGIN_LIB),
        "opt/v1.0/lib/libfoo.so.1": foo(shop),
    }
    return Recipe(files, runs=True)


@recipe
def library_in_a_subfolder_for_better_processors(shop: Workshop) -> Recipe:
    """glibc-hwcaps: a broken copy for processors that nobody has is not loaded."""
    broken = foo(shop, "int other(void) { return 0; }")
    files: Files = {
        "usr/bin/app": app(shop),
        f"{FOLDER}/libfoo.so.1": foo(shop),
        f"{FOLDER}/glibc-hwcaps/x86-64-v9/libfoo.so.1": broken,
    }
    return Recipe(files, runs=True)


@recipe
def library_path_comes_before_runpath(shop: Workshop) -> Recipe:
    good, bad = versioned(shop, "libfoo.so.1", "FOO_1"), versioned(shop, "libfoo.so.1", "FOO_0")
    files: Files = {
        "usr/bin/app": app(shop, RUNPATH + "/opt/good", foo=good),
        "opt/good/libfoo.so.1": good,
        "opt/bad/libfoo.so.1": bad,
    }
    return Recipe(files, runs=False, env={"LD_LIBRARY_PATH": "/opt/bad"})


@recipe
def rpath_comes_before_library_path(shop: Workshop) -> Recipe:
    good, bad = versioned(shop, "libfoo.so.1", "FOO_1"), versioned(shop, "libfoo.so.1", "FOO_0")
    files: Files = {
        "usr/bin/app": app(shop, RPATH + "/opt/good", foo=good),
        "opt/good/libfoo.so.1": good,
        "opt/bad/libfoo.so.1": bad,
    }
    return Recipe(files, runs=True, env={"LD_LIBRARY_PATH": "/opt/bad"})


@recipe
def dollar_lib_token(shop: Workshop) -> Recipe:
    files: Files = {
        "usr/bin/app": app(shop, RUNPATH + "/opt/$LIB"),
        "opt/lib/x86_64-linux-gnu/libfoo.so.1": foo(shop),
    }
    return Recipe(files, runs=True)


@recipe
def needed_with_a_path(shop: Workshop) -> Recipe:
    library_ = foo(shop, FOO, soname="/opt/lib/libfoo.so.1")
    return Recipe({"usr/bin/app": app(shop, foo=library_), "opt/lib/libfoo.so.1": library_}, runs=True)


@recipe
def foreign_library_is_passed_over(shop: Workshop) -> Recipe:
    files: Files = {
        "usr/bin/app": app(shop, RUNPATH + "/opt/arm"),
        "opt/arm/libfoo.so.1": library("libfoo.so.1", machine=AARCH64),
        "usr/lib/libfoo.so.1": foo(shop),
    }
    return Recipe(files, runs=True)


@recipe
def text_file_is_fatal(shop: Workshop) -> Recipe:
    files: Files = {
        "usr/bin/app": app(shop, RUNPATH + "/opt/text"),
        "opt/text/libfoo.so.1": "INPUT(-lfoo) and so on, long enough for a header of sixty-four bytes or more\n",
        "usr/lib/libfoo.so.1": foo(shop),
    }
    return Recipe(files, runs=False)


@recipe
def empty_file_is_fatal(shop: Workshop) -> Recipe:
    files: Files = {
        "usr/bin/app": app(shop, RUNPATH + "/opt/empty"),
        "opt/empty/libfoo.so.1": b"",
        "usr/lib/libfoo.so.1": foo(shop),
    }
    return Recipe(files, runs=False)


@recipe
def program_as_library(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": app(shop), "usr/lib/libfoo.so.1": shop.gcc(HELLO)}, runs=False)


@recipe
def folder_as_library(shop: Workshop) -> Recipe:
    files: Files = {
        "usr/bin/app": app(shop, RUNPATH + "/opt/x"),
        "opt/x/libfoo.so.1": None,
        "usr/lib/libfoo.so.1": foo(shop),
    }
    return Recipe(files, runs=False)


@recipe
def library_behind_links(shop: Workshop) -> Recipe:
    files: Files = {
        "usr/bin/app": app(shop),
        "usr/lib/libfoo.so.1": Link("../../opt/current/libfoo.so.1.2"),
        "opt/current": Link("v1"),
        "opt/v1/libfoo.so.1.2": foo(shop),
    }
    return Recipe(files, runs=True)


@recipe
def origin_of_a_linked_library(shop: Workshop) -> Recipe:
    """$ORIGIN of a library is the folder it was opened in, not the one it lies in."""
    bar = foo(shop, "int bar(void) { return 7; }", soname="libbar.so.1")
    inner = shop.gcc(
        "int bar(void); int foo(void) { return bar(); }",
        *("-shared", "-fPIC", "-Wl,-soname,libfoo.so.1", "-L.", "-lbar", RUNPATH + "$ORIGIN"),
        inputs={"libbar.so": bar},
    )
    program = shop.gcc(
        USES_FOO, "-L.", "-lfoo", "-Wl,--unresolved-symbols=ignore-in-shared-libs", inputs={"libfoo.so": inner}
    )
    files: Files = {
        "usr/bin/app": program,
        "usr/lib/libfoo.so.1": Link("/opt/real/libfoo.so.1"),
        "opt/real/libfoo.so.1": inner,
        "opt/real/libbar.so.1": bar,
    }
    return Recipe(files, runs=False)


@recipe
def first_holder_of_a_soname_serves_all(shop: Workshop) -> Recipe:
    old, new = versioned(shop, "libcxx.so.1", "CXX_1"), versioned(shop, "libcxx.so.1", "CXX_1", "CXX_2")
    user = shop.gcc(
        "int unused1(void); int bar(void) { return unused1(); }",
        *("-shared", "-fPIC", "-Wl,-soname,libuser.so.1", "-L.", "-lcxx"),
        inputs={"libcxx.so": new},
    )
    program = shop.gcc(
        "int foo(void); int bar(void); int main(void) { return foo() - 7 + bar(); }",
        *("-L.", "-lcxx", "-luser", RUNPATH + "/opt/old", "-Wl,--unresolved-symbols=ignore-in-shared-libs"),
        inputs={"libcxx.so": old, "libuser.so": user},
    )
    files: Files = {
        "usr/bin/app": program,
        "opt/old/libcxx.so.1": old,
        "usr/lib/libcxx.so.1": new,
        "usr/lib/libuser.so.1": user,
    }
    return Recipe(files, runs=False)


@recipe
def interpreter_missing(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": shop.gcc(HELLO, "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1")}, runs=False)


@recipe
def copied_loader_keeps_its_folders(shop: Workshop) -> Recipe:
    loader = host_base()[f"{FOLDER}/ld-linux-x86-64.so.2"]
    return Recipe(
        {
            "usr/bin/app": app(shop, "-Wl,--dynamic-linker=/opt/ld.so"),
            "opt/ld.so": loader,
            "usr/lib/libfoo.so.1": foo(shop),
        },
        runs=True,
    )


@recipe
def nodefaultlib(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": app(shop, "-Wl,-z,nodefaultlib"), "usr/lib/libfoo.so.1": foo(shop)}, runs=False)


@recipe
def preload_with_a_version_too_new(shop: Workshop) -> Recipe:
    stub = versioned(shop, "libc.so.6", "GLIBC_2.99", name="bar")
    bad = shop.gcc(
        "int bar(void); int x(void) { return bar(); }",
        "-shared",
        "-fPIC",
        "-L.",
        "-l:libstub.so",
        inputs={"libstub.so": stub},
    )
    return Recipe({"usr/bin/app": shop.gcc(HELLO), "opt/bad.so": bad}, runs=False, env={"LD_PRELOAD": "/opt/bad.so"})


@recipe
def preload_that_is_missing(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": shop.gcc(HELLO)}, runs=True, env={"LD_PRELOAD": "/opt/none.so"})


@recipe
def preload_file(shop: Workshop) -> Recipe:
    stub = versioned(shop, "libc.so.6", "GLIBC_2.99", name="bar")
    bad = shop.gcc(
        "int bar(void); int x(void) { return bar(); }",
        "-shared",
        "-fPIC",
        "-L.",
        "-l:libstub.so",
        inputs={"libstub.so": stub},
    )
    return Recipe({"usr/bin/app": shop.gcc(HELLO), "opt/bad.so": bad, "etc/ld.so.preload": "/opt/bad.so\n"}, runs=False)


@recipe
def versions_of_a_library_that_is_not_loaded(shop: Workshop) -> Recipe:
    old, new = versioned(shop, "libold.so.1", "OLD_1"), foo(shop, "int bar(void) { return 7; }", soname="libnew.so.1")
    program = shop.gcc(
        "int foo(void); int bar(void); int main(int count, char **words) { return count > 5 ? foo() : bar() - 7; }",
        *("-L.", "-lold", "-lnew", "-Wl,-z,lazy"),
        inputs={"libold.so": old, "libnew.so": new},
    )
    return Recipe(
        {"usr/bin/app": rename_needed(program, "libold.so.1", "libnew.so.1"), "usr/lib/libnew.so.1": new}, runs=False
    )


@recipe
def script_without_its_interpreter(shop: Workshop) -> Recipe:
    return Recipe({"usr/bin/app": "#!/usr/bin/perl\n"}, runs=False)


@pytest.fixture(scope="session")
def shop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(Path(request.config.cache.mkdir("abi")))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_verdict_agrees_with_reality(name: str, shop: Workshop, tmp_path: Path) -> None:
    """The program starts if, and only if, the check finds no error about it."""
    made = RECIPES[name](shop)
    files: Files = {**host_base(), **made.files}
    lay_out(files, tmp_path)
    (tmp_path / "usr/bin/app").chmod(0o755) if not (tmp_path / "usr/bin/app").is_symlink() else None
    if made.ldconfig:
        files = with_loader_cache(files, tmp_path)
    really, said = starts(tmp_path, made.env)
    assert really is made.runs, f"the recipe itself is wrong: {said}"
    env = [f"{key}={value}" for key, value in made.env.items()]
    report = judged(scanned(files, Env=env, Cmd=["/usr/bin/app"]))
    errors = [finding.message for finding in report.findings if finding.severity is Severity.ERROR]
    assert (not errors) is really, f"really: {really} ({said}); the check: {errors}"
