"""Whether a site is as its config says: one look over its connection, judged line by line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from enum import Enum

from hpcbake.errors import ExitCode
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.model.version import Version
from hpcbake.sites.facts import Partition, driver_of, parse_partitions, version_in
from hpcbake.sites.flaws import find_flaw
from hpcbake.sites.scripts import Answer, read_answer, render_site_script

_EXAMINE_S = 180.0
_ROOM_KB = 10 * 1024 * 1024
_ROOM_INODES = 1000
_SKEW_S = 300.0

_OLDEST_SINGULARITY = Version((3, 8))


class Level(Enum):
    """How one line of an examination reads. Only FAIL counts for the exit code."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Line:
    """One thing that was looked at, what was found, and what to do about it."""

    topic: str
    level: Level
    text: str
    fix: str = ""
    code: ExitCode = ExitCode.OK


def ok(topic: str, text: str) -> Line:
    return Line(topic, Level.OK, text)


def warn(topic: str, text: str, fix: str) -> Line:
    return Line(topic, Level.WARN, text, fix)


def fail(topic: str, text: str, fix: str, code: ExitCode = ExitCode.SITE_RESOURCE) -> Line:
    return Line(topic, Level.FAIL, text, fix, code)


def examine_site(site: Site, node: Node, *, time_limit_s: int, now_s: float) -> list[Line]:
    """Log in, try what a run will need, change nothing. Raises as `node.run_script` does.

    `time_limit_s` is the site's `slurm.time_limit`; `now_s` this machine's clock.
    """
    script = render_site_script(
        "examine",
        root=site.store.root,
        run="examine",
        prelude=site.runtime.prelude,
        program=site.runtime.program,
        tmpdir=site.runtime.tmpdir or "",
        group=site.store.group or "",
        slurm_prelude=site.slurm.prelude,
        sbatch_options=shlex.join(sbatch_options(site)),
    )
    outcome = node.run_script(script, timeout_s=_EXAMINE_S)
    answer = read_answer(outcome, site=site.name, step="examine", needs=("clock", "store", "userns"))
    late_s = outcome.duration_s
    return list(judge(site, answer, time_limit_s=time_limit_s, now_s=now_s + late_s))


def sbatch_options(site: Site) -> list[str]:
    """What every smoke job of the site asks for, as sbatch's options."""
    slurm = site.slurm
    options = {
        "time": slurm.time_limit,
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "gres": slurm.gres,
        "reservation": slurm.reservation,
    }
    return ["--ntasks=1", *(f"--{name}={value}" for name, value in options.items() if value)]


def judge(site: Site, answer: Answer, *, time_limit_s: int, now_s: float) -> Iterator[Line]:
    """Every line of the examination, in the order in which a run would need things."""
    yield from _clock(answer, now_s)
    yield from _store(site, answer)
    yield from _tmpdir(site, answer)
    yield from _prelude(answer)
    yield from _runtime(site, answer)
    yield from _slurm(site, answer, time_limit_s)
    yield from _profile(site, answer)


def _clock(answer: Answer, now_s: float) -> Iterator[Line]:
    said = answer.find("clock")
    if not said.isdigit():
        return
    text = f"the login node's clock differs from this machine's by {int(said) - now_s:+.0f} s"
    if abs(int(said) - now_s) > _SKEW_S:
        yield warn("clock", text, "nothing is decided by comparing the two; set the wrong one right all the same")
    else:
        yield ok("clock", text)


# ---- folders --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Folder:
    filesystem: str
    free_kb: int
    inodes: int | None
    is_mine: bool
    options: str
    nearest: str


def _folder(text: str) -> _Folder:
    filesystem, free_kb, inodes, mine, options, nearest = [*text.split("|", 5), *[""] * 6][:6]
    return _Folder(
        filesystem,
        int(free_kb) if free_kb.isdigit() else 0,
        int(inodes) if inodes.isdigit() else None,
        mine == "yes" and "ro" not in options.replace("noexec", ""),
        options,
        nearest,
    )


def _store(site: Site, answer: Answer) -> Iterator[Line]:
    root, folder = site.store.root, _folder(answer.find("store"))
    where = root if folder.nearest == root else f"{root} (not there yet; {folder.nearest} is)"
    if not folder.is_mine:
        text = f"{folder.nearest} cannot be written by {answer.find('user')}"
        yield fail("store", text, "choose a `store.root` of your own, or ask its owner for the right to write")
    elif folder.filesystem in ("tmpfs", "ramfs"):
        yield warn("store", f"{where} is {folder.filesystem}, gone after a reboot", "choose a lasting file system")
    else:
        yield ok("store", f"{where}, {folder.filesystem}, {folder.free_kb / 1048576:.1f} GiB free")
    yield from _room("store", folder, site.store.root)
    if "noexec" in folder.options and not site.runtime.tmpdir:
        text = f"{folder.nearest} is mounted noexec: pulls that unpack an image there fail"
        yield warn("store", text, "name a folder that allows execution as `runtime.tmpdir`")
    group = site.store.group
    if group and group not in answer.find("groups").split(" "):
        text = f"{answer.find('user')} is not in the group {group} there"
        yield fail("group", text, "correct `store.group`, or ask to be added to the group")


def _room(topic: str, folder: _Folder, path: str) -> Iterator[Line]:
    if folder.free_kb < _ROOM_KB:
        text = f"only {folder.free_kb / 1048576:.1f} GiB free at {path}"
        yield warn(topic, text, "make room there: a pull needs about 3.5 times the compressed size of an image")
    if folder.inodes is not None and folder.inodes < _ROOM_INODES:
        yield warn(topic, f"only {folder.inodes} inodes free at {path}", "remove files there, many of them")


def _tmpdir(site: Site, answer: Answer) -> Iterator[Line]:
    if not site.runtime.tmpdir:
        return
    folder = _folder(answer.find("tmpdir"))
    if not folder.is_mine:
        yield fail("tmpdir", f"{folder.nearest} cannot be written", "correct `runtime.tmpdir`")
    elif "noexec" in folder.options:
        yield warn("tmpdir", f"{folder.nearest} is mounted noexec", "choose another `runtime.tmpdir`")
    else:
        yield ok("tmpdir", f"{site.runtime.tmpdir}, {folder.filesystem}, {folder.free_kb / 1048576:.1f} GiB free")
    yield from _room("tmpdir", folder, site.runtime.tmpdir)


# ---- runtime --------------------------------------------------------------------------------------------------------


def _prelude(answer: Answer) -> Iterator[Line]:
    if answer.find("slurm_prelude_broken"):
        yield fail("prelude", f"`slurm.prelude`: {answer.find('slurm_prelude_broken')}", "correct it: it is shell code")
    if answer.find("prelude_broken"):
        yield fail("prelude", f"`runtime.prelude`: {answer.find('prelude_broken')}", "correct it: it is shell code")
    elif answer.find("prelude_rc") != "0":
        text = f"`runtime.prelude` ended with {answer.find('prelude_rc')}: {answer.find('prelude_said') or 'silence'}"
        yield warn("prelude", text, "try its lines on the login node, in `sh`")


def judge_runtime(path: str, said: str, *, is_setuid: bool) -> Line:
    """A container runtime by what it says of its version: the site's, or the build host's."""
    version = version_in(said)
    if version is None:
        text = f"{path} does not tell its version: {said or 'nothing'}"
        return warn("runtime", text, f"run {path} --version there")
    if "singularity" in said and version < _OLDEST_SINGULARITY:
        return fail("runtime", f"{path} is {said}", f"ask for apptainer, or singularity {_OLDEST_SINGULARITY} or newer")
    flaw = find_flaw(version, is_setuid=is_setuid) if "apptainer" in said else None
    if flaw is not None:
        return warn(
            "runtime", f"{path} is {version}, which {flaw.does} ({flaw.source})", "ask the site for a newer one"
        )
    return ok("runtime", f"{path}, {said}")


def _runtime(site: Site, answer: Answer) -> Iterator[Line]:
    program, path, said = site.runtime.program, answer.find("program"), answer.find("version")
    if not path:
        text = f"no {program} on PATH after the prelude, which said: {answer.find('prelude_said') or 'nothing'}"
        yield fail("runtime", text, "correct `runtime.program` and `runtime.prelude`; hpcbake sites probe looks for it")
        return
    yield judge_runtime(path, said, is_setuid=answer.find("setuid") == "yes")
    if answer.find("setuid") == "yes":
        yield ok("mounts", "by a setuid installation")
    elif answer.find("userns") == "yes":
        yield ok("mounts", "by user namespaces")
    else:
        text = "images cannot be mounted there: no setuid installation, and user namespaces are off"
        yield warn("mounts", text, "ask the site: sysctl user.max_user_namespaces; compute nodes may differ")


# ---- Slurm ----------------------------------------------------------------------------------------------------------


def _slurm(site: Site, answer: Answer, time_limit_s: int) -> Iterator[Line]:
    if site.slurm.scheduler == "local":
        yield ok("slurm", "not used: smoke jobs run on the login node itself (`slurm.scheduler: local`)")
        return
    if not answer.find("sbatch"):
        yield fail("slurm", "no sbatch on PATH after the prelude", "set PATH or load a module in `runtime.prelude`")
        return
    said = " ".join(answer.find_text("test_said").split())
    asked = shlex.join(sbatch_options(site))
    if answer.find("test_rc") == "0":
        yield ok("slurm", f"{answer.find('slurm')} takes {asked}")
    elif re.search(r"Unable to contact|Munge|timed out|Protocol authentication", said):
        yield fail("slurm", f"Slurm does not answer: {said}", "try again when it does", ExitCode.SMOKE_UNKNOWN)
    else:
        yield fail("slurm", f"Slurm refuses {asked}: {said}", "correct the `slurm` section")
    if (site.slurm.account or site.slurm.qos) and "slurmdbd" not in answer.find_text("slurm_config"):
        text = "Slurm has no accounting here: account and QOS are taken and ignored, right or wrong"
        yield warn("slurm", text, "leave `slurm.account` and `slurm.qos` away")
    yield from _partitions(site, parse_partitions(answer.find_text("partitions"), ""), time_limit_s)


def _partitions(site: Site, partitions: tuple[Partition, ...], time_limit_s: int) -> Iterator[Line]:
    """sbatch takes jobs for a partition that is down, or for longer than it allows, and never starts them."""
    wanted = site.slurm.partition.split(",") if site.slurm.partition else []
    chosen = [item for item in partitions if item.name in wanted or (not wanted and item.is_default)]
    if partitions and not chosen and not wanted:
        yield warn("partition", "Slurm has no default partition", "name one as `slurm.partition`")
    for partition in chosen:
        limit_s = seconds_of(partition.max_time)
        if not partition.is_up:
            text = f"{partition.name} is not up: its jobs wait for ever"
            yield warn("partition", text, "name another one as `slurm.partition`, or wait until it is")
        elif limit_s is not None and time_limit_s > limit_s:
            asked = site.slurm.time_limit
            text = f"{partition.name} allows {partition.max_time} and jobs ask for {asked}: they never start"
            yield fail("partition", text, "lower `slurm.time_limit`")
        else:
            yield ok("partition", f"{partition.name} is up, up to {partition.max_time}")


def seconds_of(max_time: str) -> int | None:
    """A partition's MaxTime as scontrol prints it; None for UNLIMITED and whatever else is no time."""
    match = re.fullmatch(r"(?:([0-9]+)-)?([0-9]+):([0-9]{2}):([0-9]{2})", max_time)
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


# ---- profile --------------------------------------------------------------------------------------------------------


def _profile(site: Site, answer: Answer) -> Iterator[Line]:
    """What the profile says and the login node contradicts. Compute nodes may be of another kind: only warnings."""
    profile = site.profile
    seen = {
        "arch": (profile.arch, answer.find("arch")),
        "glibc": (profile.glibc, version_in(answer.find("glibc"))),
        "apptainer": (profile.apptainer, version_in(answer.find("version"))),
        "gpu.driver": (profile.gpu.driver, driver_of(answer.find("nvidia_kernel"))),
    }
    wrong = False
    for key, (declared, found) in seen.items():
        if declared is not None and found and str(declared) != str(found):
            wrong = True
            text = f"`profile.{key}` says {declared}, the login node has {found}"
            yield warn("profile", text, f"correct it, unless compute nodes have {declared}")
    if not wrong:
        yield ok("profile", "nothing that the login node contradicts")
