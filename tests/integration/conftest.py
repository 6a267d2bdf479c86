"""The running lab, as integration tests see it: plain OpenSSH and plain docker, nothing of hpcbake in between."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from hpcbake import lab as lab_package
from hpcbake.errors import HpcbakeError


@dataclass(frozen=True)
class RunningLab:
    """A lab that is up.

    `state` is its folder (ssh_config, known_hosts, keys, ca.crt, registry-password), `env` a whole environment for
    docker and hpcbake, `registry` the plain registry's `localhost:PORT`, `registry_tls` the one with a password.
    """

    state: Path
    env: dict[str, str]
    registry: str
    registry_tls: str

    def ssh(
        self, node: str, command: str, input: str | None = None, *, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as the lab's user on alder, bastion or birch, by OpenSSH's own client."""
        argv = ["ssh", "-F", str(self.state / "ssh_config"), "-o", "BatchMode=yes", node, command]
        return self._run(argv, input, timeout_s)

    def exec(
        self, node: str, argv: Sequence[str], input: str | None = None, *, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` as root on any machine of the lab, also on those without sshd: for faults and for looking."""
        interactive = ["--interactive"] if input is not None else []
        return self.docker("exec", *interactive, self.container(node), *argv, input=input, timeout_s=timeout_s)

    def docker(self, *words: str, input: str | None = None, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the docker client against the lab's engine."""
        return self._run(["docker", *words], input, timeout_s)

    def container(self, node: str) -> str:
        """The container that plays `node`, for `docker pause`, `stop` and the like."""
        return f"{self.env['HPCBAKE_LAB_NAME']}-{node}-1"

    def scratch(self, word: str = "test") -> str:
        """The name of a folder below /scratch that nobody else uses; the caller makes it."""
        return f"/scratch/{word}-{uuid.uuid4().hex[:8]}"

    def _run(self, argv: list[str], input: str | None, timeout_s: float) -> subprocess.CompletedProcess[str]:
        # Without input, standard input is empty: a command that reads it must not eat the terminal's.
        return subprocess.run(
            argv, env=self.env, input=input or "", capture_output=True, text=True, timeout=timeout_s, check=False
        )


@pytest.fixture(scope="session")
def lab() -> Iterator[RunningLab]:
    """The lab, brought up if it was not, mended if need be; taken down only if it was not there before."""
    run = lab_package.new_run(
        lab_package.read_settings(os.environ, uid=os.getuid(), gid=os.getgid()),
        lab_package.Progress(lambda line: print(line, file=sys.__stderr__)),
    )
    # A lab with a fault in it (another session's test may be at work) is somebody's all the same.
    was_there = lab_package.read_lab_record(run.settings.state) is not None
    if not lab_package.status(run).is_up:
        _bring_up_or_skip(run)
    record = lab_package.read_lab_record(run.settings.state)
    assert record is not None
    # What hpcbake and its bake files make of CI is for each test to say.
    own = {name: value for name, value in os.environ.items() if name != "CI"}
    environ = {**own, **lab_package.lab_environment(run.settings.state)}
    yield RunningLab(run.settings.state, environ, record.registry, record.registry_tls)
    if not was_there and os.environ.get("HPCBAKE_LAB_KEEP") != "1":
        lab_package.down(run)


def _bring_up_or_skip(run: lab_package.LabRun) -> None:
    """A machine that cannot have the lab skips, with the reason; on CI that is a failure: nothing was tested."""
    try:
        lab_package.up(run)
    except HpcbakeError as failure:
        reason = f"the lab cannot run here: {failure.message} ({failure.remedy})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
