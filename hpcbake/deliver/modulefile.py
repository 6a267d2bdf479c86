"""Modulefiles and wrappers: how researchers reach a SIF without ever having heard of hpcbake. Pure text."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections.abc import Sequence

from hpcbake.errors import BugError
from hpcbake.model.artefacts import Deployment
from hpcbake.model.late import dataclass
from hpcbake.model.ports import RuntimeCommands
from hpcbake.model.site import Site


@dataclass(frozen=True)
class ModuleText:
    """The same module for Lmod (Lua) and for Environment Modules (Tcl), and the wrapper scripts it puts on PATH.

    `wrappers` holds one line per command: its name and the base64 of its file, as the promote script takes them.
    """

    lua: str
    tcl: str
    wrappers: str


def environment_name(image: str) -> str:
    """The variable that holds the SIF's path: `hpc-app` → `HPC_APP_SIF`."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", image).strip("_").upper()
    return f"{'_' if name[:1].isdigit() else ''}{name}_SIF"


def render_module(
    deployment: Deployment, site: Site, commands: RuntimeCommands, expose: Sequence[str] = ()
) -> ModuleText:
    """Modulefile texts for one release. Deterministic: the same release gives the same bytes."""
    image = deployment.image
    for name in expose:
        if not is_command_name(name):
            raise BugError(f"{name!r} cannot be the name of a wrapper")
    folder = f"{site.store.root}/sif/{image.name}/{image.digest.hex}.bin"
    variable = environment_name(image.name)
    about = f"{image.name} {image.version}"
    lines = [
        about,
        f"image   {image.reference}",
        f"sha256  {deployment.sif_sha256}",
        f"run     {site.runtime.program} exec ${variable} COMMAND",
        *([f"on PATH {' '.join(expose)}"] if expose else []),
        f"cite    {image.reference}",
    ]
    text = _Text(image.name, about, tuple(lines), variable, deployment.path, folder if expose else "")
    return ModuleText(
        lua=_lua(text),
        tcl=_tcl(text),
        wrappers="\n".join(
            f"{name} {b64encode(render_wrapper(name, deployment, site, commands).encode()).decode()}" for name in expose
        ),
    )


@dataclass(frozen=True)
class _Text:
    """What a module says in either language. `folder` is that of the wrappers, empty where there are none."""

    image: str
    about: str
    help_lines: tuple[str, ...]
    variable: str
    sif: str
    folder: str


def is_command_name(name: str) -> bool:
    """A name that a wrapper file may have: no path, no option, nothing that a shell or a log would read as more."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", name) is not None


def render_wrapper(name: str, deployment: Deployment, site: Site, commands: RuntimeCommands) -> str:
    """The file that a command's name is on PATH: a file, because srun cannot run shell functions."""
    argv = commands.exec_argv(
        site.runtime.program, deployment.path, [name], binds=site.profile.binds, gpu=site.profile.gpu.mode
    )
    at = argv.index("exec") + 1
    argv = [*argv[:at], *site.runtime.exec_options, *argv[at:]]
    lines = ["#!/bin/sh", f"# {name} of {deployment.image.reference}; written by hpcbake"]
    if site.runtime.prelude.strip():
        lines += [
            f"command -v {shlex.quote(site.runtime.program)} >/dev/null 2>&1 || {{",
            ":",  # a prelude may be nothing but a comment
            site.runtime.prelude.rstrip("\n"),
            "} </dev/null >&2",  # input and output are the program's
        ]
    return "\n".join([*lines, f'exec {shlex.join(argv)} "$@"', ""])


def _lua(text: _Text) -> str:
    lines = [
        "-- Written by hpcbake; changes are lost with the next promotion.",
        f"help({_lua_word(chr(10).join(text.help_lines))})",
        f"whatis({_lua_word(text.about)})",
        f"conflict({_lua_word(text.image)})",
        f"setenv({_lua_word(text.variable)}, {_lua_word(text.sif)})",
    ]
    if text.folder:
        lines.append(f'prepend_path("PATH", {_lua_word(text.folder)})')
    return "\n".join(lines)


def _tcl(text: _Text) -> str:
    lines = [
        "#%Module1.0",
        "# Written by hpcbake; changes are lost with the next promotion.",
        "proc ModulesHelp { } {",
        *(f"    puts stderr {_tcl_word(line)}" for line in text.help_lines),
        "}",
        f"module-whatis {_tcl_word(text.about)}",
        f"conflict {_tcl_word(text.image)}",
        f"setenv {text.variable} {_tcl_word(text.sif)}",
    ]
    if text.folder:
        lines.append(f"prepend-path PATH {_tcl_word(text.folder)}")
    return "\n".join(lines)


def _lua_word(text: str) -> str:
    """A quoted Lua string, the same in Lua 5.1 and later: bytes that are not plain ASCII as decimal escapes."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '\\"' else f"\\{byte:03d}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return f'"{plain}"'


def _tcl_word(text: str) -> str:
    """A double-quoted Tcl word in which nothing is substituted."""
    escaped = re.sub(r'([\\"\[\]${}])', r"\\\1", text)
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'
