"""apptainer's commands as spython builds them, recorded instead of run.

spython knows how a pull or an exec is spelled; its own running of processes reports success on failure, so nothing
here lets it start one. The argv travels to the site inside a script of ours, which looks at the artefact itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpcbake.errors import BugError


class SpythonCommands:
    """RuntimeCommands over spython 0.3's client."""

    def pull_argv(self, program: str, uri: str, destination: str, *, plain_http: bool) -> list[str]:
        """`apptainer pull [--no-https] --name DESTINATION URI`."""
        flags = ["--no-https"] if plain_http else []
        client = _recorder(program, flags)
        return _recorded(client, lambda: client.pull(image=uri, name=destination, quiet=True))

    def build_argv(
        self, program: str, uri: str, destination: str, *, plain_http: bool, squashfs: str = ""
    ) -> list[str]:
        """`apptainer build [--no-https] [--mksquashfs-args ARGS] DESTINATION URI`."""
        flags = [*(["--no-https"] if plain_http else []), *(["--mksquashfs-args", squashfs] if squashfs else [])]
        client = _recorder(program, [])
        return _recorded(
            client, lambda: client.build(recipe=uri, image=destination, sudo=False, options=flags, quiet=True)
        )

    def exec_argv(
        self, program: str, sif: str, command: list[str], *, binds: tuple[str, ...] = (), gpu: str = "none"
    ) -> list[str]:
        """`apptainer exec [--nv|--rocm|--nvccli] [--bind B]… SIF COMMAND…`."""
        client = _recorder(program, [])
        options = {"rocm": ["--rocm"], "nvccli": ["--nvccli"]}.get(gpu, [])
        return _recorded(
            client,
            lambda: client.execute(
                image=sif, command=command, bind=list(binds) or None, nv=gpu == "nv", options=options, quiet=True
            ),
        )


def _recorded(client: Any, call: Callable[[], object]) -> list[str]:
    call()
    if client.recorded is None:
        raise BugError("spython built no command")
    argv: list[str] = client.recorded
    return argv


def _recorder(program: str, action_flags: list[str]) -> Any:
    """A spython client of its own class (spython keeps state on classes) that records the command it would run."""
    import spython.main  # noqa: F401  (it puts the verbs onto the base client; imported late: it is slow)
    from spython.main.base import Client

    class Recorder(Client):  # type: ignore[misc]  # spython is untyped
        quiet = False
        debug = False
        recorded: list[str] | None = None

        def _init_command(self, action: str | list[str], flags: list[str] | None = None) -> list[str]:
            words = action if isinstance(action, list) else [action]
            return [program, *(flags or []), *words, *action_flags]

        def _run_command(self, cmd: list[str], **_: object) -> list[str]:
            self.recorded = list(cmd)
            return []

        def _generate_bind_list(self, bindlist: list[str] | None = None) -> list[str]:
            # spython's own looks whether the path exists on *this* machine.
            return [word for bind in bindlist or [] for word in ("--bind", bind)]

    return Recorder()
