"""A shell on a machine of the lab."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hpcbake.errors import PrereqError, UsageError
from hpcbake.lab.compose import NODES, Compose
from hpcbake.lab.environment import LabRecord
from hpcbake.lab.machine import Machine


def shell_argv(
    machine: Machine, state: Path, record: LabRecord, node: str, words: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The command that opens a shell on `node` or runs `words` there, and the variables it needs.

    Raises UsageError for a name that the lab does not have, PrereqError for a machine that is not running.
    """
    if node not in NODES:
        raise UsageError(f"the lab has no machine {node!r}", remedy=f"use one of: {', '.join(NODES)}")
    if NODES[node]:
        command = [shlex.join(words)] if words else []
        return ["ssh", "-F", str(state / "ssh_config"), node, *command], {}
    compose = Compose(machine, record.engine, record.variables)
    container = compose.containers().get(node)
    if container is None or container.state != "running":
        raise PrereqError(f"{node} is not running", remedy="run `hpcbake lab up`", kind="config.prerequisite.lab")
    terminal = ["--tty"] if sys.stdin.isatty() and not words else []
    argv = [record.engine.docker, "exec", "--interactive", *terminal, container.name, *(words or ["bash"])]
    return argv, record.engine.environ()
