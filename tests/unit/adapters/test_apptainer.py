"""apptainer's commands: every word where it belongs, whatever it holds; nothing is run here."""

from __future__ import annotations

import threading

import pytest

from hpcbake.adapters.apptainer import SpythonCommands

COMMANDS = SpythonCommands()
URI = "docker://registry.example.org/team/app@sha256:" + "0" * 64
HOSTILE = ["", " ", "a b", "$(id)", "`id`", "'\"", "-rf", "--nv", "a\nb", "é", "*"]


def test_a_pull_names_its_destination() -> None:
    """The digest in the URI, the partial name in --name, and no other word."""
    argv = COMMANDS.pull_argv("apptainer", URI, "/store/part.sif", plain_http=False)
    assert argv == ["apptainer", "pull", "--name", "/store/part.sif", URI]


def test_plain_http_is_asked_for() -> None:
    """Only for a registry that the site declares so."""
    argv = COMMANDS.pull_argv("/opt/bin/singularity", URI, "/store/part.sif", plain_http=True)
    assert argv == ["/opt/bin/singularity", "pull", "--no-https", "--name", "/store/part.sif", URI]


def test_a_command_reaches_the_container_as_it_is() -> None:
    """Every word of the command, in order, after the SIF."""
    argv = COMMANDS.exec_argv("apptainer", "/store/x.sif", HOSTILE)
    assert argv == ["apptainer", "exec", "/store/x.sif", *HOSTILE]


@pytest.mark.parametrize(
    ("gpu", "flags"), [("none", []), ("nv", ["--nv"]), ("rocm", ["--rocm"]), ("nvccli", ["--nvccli"])]
)
def test_gpus_are_asked_for_by_their_flag(gpu: str, flags: list[str]) -> None:
    """Before the SIF, where the runtime reads flags."""
    argv = COMMANDS.exec_argv("apptainer", "/x.sif", ["true"], gpu=gpu)
    assert argv == ["apptainer", "exec", *flags, "/x.sif", "true"]


def test_binds_are_the_sites() -> None:
    """Whether a path exists on this machine does not matter: the bind is made elsewhere."""
    argv = COMMANDS.exec_argv("apptainer", "/x.sif", ["true"], binds=("/nowhere here", "/a:/b:ro"), gpu="nv")
    assert argv[argv.index("exec") + 1 : argv.index("/x.sif")] == [
        "--nv",
        "--bind",
        "/nowhere here",
        "--bind",
        "/a:/b:ro",
    ]


def test_threads_do_not_mix_their_words() -> None:
    """spython keeps state on classes; each command here has a class of its own."""
    seen: list[bool] = []

    def build(number: int) -> None:
        expected = ["apptainer", "exec", f"/{number}.sif", str(number)]
        seen.append(
            all(COMMANDS.exec_argv("apptainer", f"/{number}.sif", [str(number)]) == expected for _ in range(20))
        )

    threads = [threading.Thread(target=build, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8
