"""Modulefiles and wrappers: what researchers meet, the same bytes for the same release, quoted for its language."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.deliver.modulefile import environment_name, is_command_name, render_module, render_wrapper
from hpcbake.errors import BugError
from tests.golden.chain_texts import PLAIN, RICH, SITES, deployment

COMMANDS = SpythonCommands()


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("hpc-app", "HPC_APP_SIF"),
        ("App", "APP_SIF"),
        ("9lives", "_9LIVES_SIF"),
        ("a--b__c", "A_B_C_SIF"),
        ("-", "_SIF"),
    ],
)
def test_the_variable_is_named_after_the_image(image: str, name: str) -> None:
    """A name that every shell takes."""
    assert environment_name(image) == name
    assert subprocess.run(["/bin/sh", "-c", f"{name}=1; export {name}"], check=False).returncode == 0


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_the_same_release_gives_the_same_bytes(site: object) -> None:
    """A second promotion must change nothing."""
    where = PLAIN if site is PLAIN else RICH
    assert render_module(deployment(where), where, COMMANDS, ("a",)) == render_module(
        deployment(where), where, COMMANDS, ("a",)
    )


def test_wrappers_are_whole_files() -> None:
    """One line per command for the script that writes them; what is exposed is on PATH, and else nothing."""
    module = render_module(deployment(RICH), RICH, COMMANDS, ("solve", "g++"))
    sent = dict(line.split(" ") for line in module.wrappers.splitlines())
    assert list(sent) == ["solve", "g++"]
    assert b64decode(sent["g++"]).decode() == render_wrapper("g++", deployment(RICH), RICH, COMMANDS)
    assert "PATH" in module.lua
    without = render_module(deployment(RICH), RICH, COMMANDS)
    assert ("PATH" in without.lua, "PATH" in without.tcl, without.wrappers) == (False, False, "")


@pytest.mark.parametrize(
    "prelude",
    [
        "",
        "   \n\n",
        "# only a comment",
        "if true; then\n  :\nfi\n",
        "cat <<EOF\nit's\nEOF",
        "echo noise; echo more >&2; read -r stolen",
        "case x in x) ;; esac # done",
    ],
)
def test_a_wrapper_takes_any_prelude(tmp_path: Path, prelude: str) -> None:
    """As it stands; standard input and output are the program's alone."""
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nread -r line\necho "$* got $line"\n')
    program.chmod(0o755)
    lines = f"{prelude}\nPATH={program.parent}:$PATH\n"
    site = replace(PLAIN, runtime=replace(PLAIN.runtime, prelude=lines))
    wrapper = tmp_path / "solve"
    wrapper.write_text(render_wrapper("solve", deployment(site), site, COMMANDS))
    argv = ["/bin/sh", str(wrapper), "a  b"]
    done = subprocess.run(
        argv, input="input\n", capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, check=True
    )
    assert done.stdout == f"exec {deployment(site).path} solve a  b got input\n"


def test_a_runtime_that_is_there_needs_no_prelude(tmp_path: Path) -> None:
    """`module load` takes its time, and every call of a command would pay it."""
    program = tmp_path / "apptainer"
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o755)
    site = replace(PLAIN, runtime=replace(PLAIN.runtime, prelude="exit 9"))
    wrapper = tmp_path / "solve"
    wrapper.write_text(render_wrapper("solve", deployment(site), site, COMMANDS))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["/bin/sh", str(wrapper)], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "here\n")


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="there is no tclsh here")
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_tcl_reads_what_was_written(site: object) -> None:
    """Nothing in it is substituted."""
    where = PLAIN if site is PLAIN else RICH
    head = 'proc setenv {n v} {puts "$n=$v"}\nforeach n {module-whatis prepend-path conflict} {proc $n args {}}\n'
    text = head + render_module(deployment(where), where, COMMANDS, ("a",)).tcl + "\nModulesHelp\n"
    done = subprocess.run(["tclsh"], input=text, capture_output=True, text=True, check=False)
    assert done.stdout == f"HPC_APP_SIF={deployment(where).path}\n"
    assert "$HPC_APP_SIF" in done.stderr


HOSTILE = (
    "a b",
    "it's",
    'say "hi"',
    "$HOME $(id) `id` [exec id] ${x}",
    "]==] ]] --[[ back\\slash \\n",
    "tab\tand newline\nend",
    "päckchen \u2028",
    "{ unbalanced",
)


@pytest.mark.skipif(shutil.which("lua") is None, reason="there is no lua here")
@pytest.mark.parametrize("text", HOSTILE)
def test_lua_reads_any_text_as_it_is(text: str) -> None:
    """Whatever a site's owner calls the runtime or the store."""
    site = replace(PLAIN, runtime=replace(PLAIN.runtime, program=text))
    module = render_module(deployment(site), site, COMMANDS, ("a",))
    head = "function help(t) io.write(t) end whatis=print conflict=print setenv=print prepend_path=print "
    head = head.replace("print", "function() end")
    done = subprocess.run(["lua", "-"], input=(head + "\n" + module.lua).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"run     {text} exec".encode("utf-8", "surrogateescape") in done.stdout


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="there is no tclsh here")
@pytest.mark.parametrize("text", [text for text in HOSTILE if text.isprintable() or "\n" in text])
def test_tcl_reads_any_text_as_it_is(text: str) -> None:
    """Nothing in it is substituted, and no brace ends the procedure that it stands in."""
    site = replace(PLAIN, runtime=replace(PLAIN.runtime, program=text))
    head = (
        "foreach n {setenv module-whatis prepend-path conflict} {proc $n args {}}\nfconfigure stderr -encoding utf-8\n"
    )
    script = head + render_module(deployment(site), site, COMMANDS, ("a",)).tcl + "\nModulesHelp\n"
    done = subprocess.run(
        ["tclsh", "-encoding", "utf-8", "/dev/stdin"], input=script.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"run     {text} exec".encode() in done.stderr


@pytest.mark.parametrize("name", ["", "-x", ".", "..", "a/b", "a b", "a\nb", "$(id)", "a;b", "é"])
def test_a_wrapper_has_a_plain_name(name: str) -> None:
    """Whatever a provenance file says that somebody edited: no path, no option, no shell."""
    assert not is_command_name(name)
    with pytest.raises(BugError):
        render_module(deployment(PLAIN), PLAIN, COMMANDS, (name,))


def test_options_of_the_site_stand_before_the_sif() -> None:
    """What a site's MPI asks for, one word each, quoted as such."""
    site = replace(PLAIN, runtime=replace(PLAIN.runtime, exec_options=("--env", "A=b c", "--pwd", "/scratch")))
    last = render_wrapper("solve", deployment(site), site, COMMANDS).splitlines()[-1]
    assert last.startswith("exec apptainer exec --env 'A=b c' --pwd /scratch ")
    assert last.endswith('.sif solve "$@"')
