"""Facts about the machine that hpcbake runs on: Python, disks, ssh, proxies, the build host's apptainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpcbake.doctor.bounded import Question
from hpcbake.doctor.builder import judge_docker
from hpcbake.doctor.ports import PROGRAM_S, Machine, try_program
from hpcbake.errors import ExitCode, PrereqError
from hpcbake.model.late import dataclass
from hpcbake.sites.examine import Line, fail, judge_runtime, ok, warn

_GIB = 1 << 30
#: Room that a run of some size needs: journals and SIFs; images that are unpacked to be converted.
_STATE_BYTES = _GIB
_UNPACK_BYTES = 10 * _GIB


@dataclass(frozen=True)
class Folders:
    """Where hpcbake keeps things on this machine."""

    state: str
    cache: str
    tmp: str


def machine_questions(machine: Machine, folders: Folders, *, apptainer: str, builder: str = "") -> list[Question]:
    """Everything to ask about this machine. `apptainer` is the program that converts images to SIFs here,
    `builder` the buildx builder that the project names.
    """
    return [
        Question("python", lambda: _python(machine)),
        Question("docker", lambda: judge_docker(machine, builder), limit_s=4 * PROGRAM_S + 10, fix="restart docker"),
        Question("state", lambda: _folder(machine, "state", folders.state, _STATE_BYTES, "HPCBAKE_STATE")),
        Question("cache", lambda: _folder(machine, "cache", folders.cache, _UNPACK_BYTES, "HPCBAKE_CACHE_DIR")),
        Question("tmp", lambda: _folder(machine, "tmp", folders.tmp, _UNPACK_BYTES, "TMPDIR")),
        Question("apptainer", lambda: _apptainer(machine, apptainer), limit_s=3 * PROGRAM_S),
        Question("ssh", lambda: _ssh(machine)),
        Question("agent", lambda: _agent(machine)),
        Question("proxy", lambda: _proxy(machine.environment)),
    ]


def _python(machine: Machine) -> Iterator[Line]:
    yield ok("python", machine.python)
    if machine.encoding.lower().replace("-", "") in ("utf8", "utf8mb4"):
        yield ok("locale", machine.encoding)
    else:
        yield warn(
            "locale", f"texts are {machine.encoding}, not UTF-8: names may be shown wrong", "export LC_ALL=C.UTF-8"
        )


def _folder(machine: Machine, topic: str, path: str, needed: int, variable: str) -> Iterator[Line]:
    room = machine.room(path)
    where = path if room.path == path else f"{path} (not there yet; {room.path} is)"
    text = f"{where}, {room.filesystem}, {room.free_bytes / _GIB:.1f} GiB free"
    if not room.is_writable:
        yield fail(topic, f"{text}, not writable for you", f"set {variable} to a folder of yours", ExitCode.PREREQ)
    elif room.free_bytes < needed:
        yield warn(
            topic, f"{text}, {needed / _GIB:.0f} GiB are better", f"make room, or set {variable} to another folder"
        )
    elif topic == "tmp" and room.filesystem == "tmpfs":
        yield warn(topic, f"{text}: images are unpacked in memory there", f"set {variable} to a folder on disk")
    elif topic == "tmp" and "noexec" in room.options.split(","):
        yield warn(topic, f"{text}, mounted noexec", f"set {variable} to a folder that allows execution")
    else:
        yield ok(topic, text)


def _apptainer(machine: Machine, program: str) -> Iterator[Line]:
    said = try_program(machine, "apptainer", [program, "--version"])
    if isinstance(said, Line):
        text = f"{said.text}: sites convert images themselves, each for itself (way `docker`)"
        yield warn("apptainer", text, "install apptainer here: one conversion then serves every site")
        return
    judged = judge_runtime(program, said.stdout.strip(), is_setuid=False)
    yield Line("apptainer", judged.level, judged.text, judged.fix and f"install a newer {program}", judged.code)
    try:
        unshared = machine.run(["unshare", "-Ur", "true"], timeout_s=PROGRAM_S)
    except PrereqError:
        return
    if unshared.ok:
        yield ok("userns", "user namespaces can be made")
    else:
        text = f"no user namespaces: {unshared.tail(1) or 'unshare failed'}"
        yield warn(
            "userns", text, "sysctl kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=10000"
        )


def _ssh(machine: Machine) -> Iterator[Line]:
    said = try_program(machine, "ssh", ["ssh", "-V"])
    yield said if isinstance(said, Line) else ok("ssh", said.tail(1))


def _agent(machine: Machine) -> Iterator[Line]:
    if not machine.environment.get("SSH_AUTH_SOCK"):
        yield ok("agent", "none: keys are read from their files, and must have no passphrase")
        return
    said = try_program(machine, "agent", ["ssh-add", "-l"])
    if isinstance(said, Line):
        yield said
    elif said.ok:
        keys = len(said.stdout.splitlines())
        yield ok("agent", f"holds {keys} key{'' if keys == 1 else 's'}")
    elif said.exit_code == 1:
        yield warn("agent", "holds no key", "add yours: ssh-add")
    else:
        text = f"SSH_AUTH_SOCK names an agent that does not answer: {said.tail(1)}"
        yield warn("agent", text, "start one: eval $(ssh-agent) && ssh-add; or unset SSH_AUTH_SOCK")


def _proxy(environment: Mapping[str, str]) -> Iterator[Line]:
    names = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")
    found = {name: environment.get(name) or environment.get(name.upper()) for name in names}
    shown = ", ".join(f"{name}={_without_login(value)}" for name, value in found.items() if value)
    if not found["https_proxy"] and not found["http_proxy"] and not found["all_proxy"]:
        yield ok("proxy", "none set")
    elif "localhost" not in (found["no_proxy"] or ""):
        yield warn("proxy", f"{shown}: also for localhost", "export no_proxy=localhost,127.0.0.1, and hosts inside")
    else:
        yield ok("proxy", shown)


def _without_login(url: str) -> str:
    scheme, slashes, rest = url.rpartition("//")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"
