"""Modulefiles and wrappers: how researchers reach a SIF without ever having heard of hpcbake. Pure text."""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from hpcbake.model.artefacts import Deployment
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
    folder = f"{site.store.root}/sif/{image.name}/{image.digest.hex}.bin"
    variable = environment_name(image.name)
    about = f"{image.name} {image.version}"
    help_lines = [
        about,
        f"image   {image.reference}",
        f"sha256  {deployment.sif_sha256}",
        f"run     {site.runtime.program} exec ${variable} COMMAND",
        *([f"on PATH {' '.join(expose)}"] if expose else []),
        f"cite    {image.reference}",
    ]
    return ModuleText(
        lua=_lua(about, help_lines, variable, deployment.path, folder if expose else ""),
        tcl=_tcl(about, help_lines, variable, deployment.path, folder if expose else ""),
        wrappers="\n".join(
            f"{name} {b64encode(render_wrapper(name, deployment, site, commands).encode()).decode()}" for name in expose
        ),
    )


def render_wrapper(name: str, deployment: Deployment, site: Site, commands: RuntimeCommands) -> str:
    """The file that a command's name is on PATH: a file, because srun cannot run shell functions."""
    argv = commands.exec_argv(
        site.runtime.program, deployment.path, [name], binds=site.profile.binds, gpu=site.profile.gpu.mode
    )
    lines = ["#!/bin/sh", f"# {name} of {deployment.image.reference}; written by hpcbake"]
    if site.runtime.prelude.strip():
        lines += [
            f"command -v {shlex.quote(site.runtime.program)} >/dev/null 2>&1 || {{",
            ":",  # a prelude may be nothing but a comment
            site.runtime.prelude.rstrip("\n"),
            "} </dev/null >&2",  # input and output are the program's
        ]
    return "\n".join([*lines, f'exec {shlex.join(argv)} "$@"', ""])


def _lua(about: str, help_lines: Sequence[str], variable: str, sif: str, folder: str) -> str:
    lines = [
        "-- Written by hpcbake; changes are lost with the next promotion.",
        f"help([==[{chr(10)}{chr(10).join(help_lines)}{chr(10)}]==])",
        f"whatis({json.dumps(about)})",
        f"setenv({json.dumps(variable)}, {json.dumps(sif)})",
    ]
    if folder:
        lines.append(f'prepend_path("PATH", {json.dumps(folder)})')
    return "\n".join(lines)


def _tcl(about: str, help_lines: Sequence[str], variable: str, sif: str, folder: str) -> str:
    puts = [f"    puts stderr {_tcl_word(line)}" for line in help_lines]
    lines = [
        "#%Module1.0",
        "# Written by hpcbake; changes are lost with the next promotion.",
        "proc ModulesHelp { } {",
        *puts,
        "}",
        f"module-whatis {_tcl_word(about)}",
        f"setenv {variable} {_tcl_word(sif)}",
    ]
    if folder:
        lines.append(f"prepend-path PATH {_tcl_word(folder)}")
    return "\n".join(lines)


def _tcl_word(text: str) -> str:
    """A double-quoted Tcl word in which nothing is substituted."""
    return '"' + re.sub(r'([\\"\[\]$])', r"\\\1", text) + '"'
