"""Facts about an account at a site: two scripts over one connection, and what they say judged line by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from hpcbake.doctor.bounded import no_answer
from hpcbake.errors import ExitCode, HpcbakeError
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.examine import Line, examine_site, fail, ok, warn
from hpcbake.sites.scripts import Answer, read_answer, render_site_script

#: What one question to the login node may take, and all of them together.
LIMIT_S = 15
_SCRIPT_S = 240.0
_GIB_KB = 1 << 20
#: File systems that belong to one machine; what compute nodes see of them is another folder of the same name.
_LOCAL = re.compile(r"ext[234]|ext2/ext3|xfs|btrfs|zfs|overlay(fs)?|tmpfs|ramfs|ufs|f2fs")


def diagnose_site(
    site: Site, node: Node, *, registries: Sequence[str], time_limit_s: int, now_s: Callable[[], float]
) -> Iterator[Line]:
    """Everything about the account at `site`. Changes nothing. Raises as `node.run_script` does."""
    script = render_site_script(
        "doctor",
        root=site.store.root,
        run="doctor",
        prelude=site.runtime.prelude,
        program=site.runtime.program,
        registries=" ".join(registries),
        limit=LIMIT_S,
    )
    answer = read_answer(node.run_script(script, timeout_s=_SCRIPT_S), site=site.name, step="doctor", needs=("user",))
    yield from judge_account(site, answer, asked=registries)
    hung = set(answer.all("late")) & {"store", "prelude"}
    if hung:  # what comes now would only hang on the same thing
        text = f"not looked at: {' and '.join(sorted(hung))} did not answer"
        yield warn("examine", text, "mend that first, then run hpcbake doctor again")
        return
    try:
        yield from examine_site(site, node, time_limit_s=time_limit_s, now_s=now_s())
    except HpcbakeError as error:
        yield fail("examine", error.message.removeprefix(f"{site.name}: "), error.remedy, error.exit_code)


def judge_account(site: Site, answer: Answer, *, asked: Sequence[str]) -> Iterator[Line]:
    """What the script `doctor` said, in the order in which it was asked."""
    late = {word: no_answer(topic, LIMIT_S, fix) for word, (topic, fix) in _LATE.items() if word in answer.all("late")}
    for word, judge in _JUDGES.items():
        if word in late:
            yield late[word]
        elif f"{word}_rc" in dict(answer.lines):
            yield from judge(site, answer, answer.find_text(word).strip())
    yield from _variables(answer)
    yield from _proxy(answer)
    yield from _registries(site, answer, asked)


#: word of the script → topic, and what to do when there is no answer.
_LATE: dict[str, tuple[str, str]] = {
    "shell": ("shell", "the user directory (LDAP, NIS) of the login node does not answer: tell the site"),
    "charmap": ("locale", "try `locale charmap` on the login node"),
    "home": ("home", "the home file system hangs: tell the site"),
    "tmp": ("tmp", "the file system of TMPDIR hangs: tell the site, or set TMPDIR in `runtime.prelude`"),
    "store": ("filesystem", "the file system of `store.root` hangs: tell the site, or choose another one"),
    "quota": ("quota", "a quota server does not answer; pulls may be slow, too: tell the site"),
    "lustre_quota": ("quota", "Lustre's quota does not answer: tell the site"),
    "prelude": ("prelude", "try the lines of `runtime.prelude` on the login node; one of them waits for something"),
    "squeue": ("squeue", "slurmctld does not answer: tell the site"),
    "sacct": ("sacct", "slurmdbd does not answer: tell the site"),
}


def _shell(_site: Site, _answer: Answer, said: str) -> Iterator[Line]:
    shell = said.rpartition(":")[2]
    if not shell:
        yield ok("shell", "not told by the user directory")
    elif re.search(r"nologin|/false$|rssh|rbash|git-shell", shell):
        yield warn("shell", f"{shell} does not run commands as it should", "ask the site for an ordinary login shell")
    else:
        yield ok("shell", shell)


def _locale(_site: Site, _answer: Answer, said: str) -> Iterator[Line]:
    if said == "UTF-8":
        yield ok("locale", said)
    else:
        yield ok("locale", f"{said.splitlines()[-1] if said else 'not told'} (hpcbake sends and reads bytes)")


def _place(said: str) -> tuple[str, int, int, int | None, bool, str] | None:
    """File system, kilobytes in all and free, inodes free, mine?, mount options."""
    lines = [*said.splitlines(), *[""] * 4]
    room, inodes = lines[0].split(), lines[1].split()
    if len(room) < 3 or not room[1].isdigit() or not room[2].isdigit():
        return None
    free_inodes = int(inodes[1]) if len(inodes) == 2 and inodes[1].isdigit() and inodes[0] != "0" else None
    return room[0], int(room[1]), int(room[2]), free_inodes, lines[2] == "mine", lines[3]


def _home(_site: Site, _answer: Answer, said: str) -> Iterator[Line]:
    place = _place(said)
    if place is None:
        yield fail("home", f"cannot be looked at: {said.splitlines()[-1] if said else 'no answer'}", "tell the site")
        return
    filesystem, _, free_kb, inodes, is_mine, _ = place
    text = f"{filesystem}, {free_kb / _GIB_KB:.1f} GiB free"
    if not is_mine:
        yield fail("home", f"{text}, not writable for you", "apptainer keeps its cache and keys there: tell the site")
    elif free_kb < 100 * 1024 or (inodes is not None and inodes < 1000):
        yield warn("home", f"{text}, {'?' if inodes is None else inodes} inodes free", "make room in your home folder")
    else:
        yield ok("home", text)


def _tmp(_site: Site, answer: Answer, said: str) -> Iterator[Line]:
    path, place = answer.find("tmpdir"), _place(said)
    if place is None:
        yield fail("tmp", f"{path} is not there", "set TMPDIR to a folder that is, in `runtime.prelude`")
        return
    filesystem, size_kb, free_kb, _, is_mine, options = place
    text = f"{path}, {filesystem}, {free_kb / _GIB_KB:.1f} of {size_kb / _GIB_KB:.1f} GiB free"
    if not is_mine:
        yield fail("tmp", f"{text}, not writable for you", "set TMPDIR to a folder of yours, in `runtime.prelude`")
    elif filesystem in ("tmpfs", "ramfs"):
        yield ok("tmp", f"{text}, in memory (hpcbake unpacks below the store or in `runtime.tmpdir`)")
    elif "noexec" in options.split(","):
        yield ok("tmp", f"{text}, noexec (hpcbake unpacks below the store or in `runtime.tmpdir`)")
    else:
        yield ok("tmp", text)


def _filesystem(site: Site, _answer: Answer, said: str) -> Iterator[Line]:
    lines = [*said.splitlines(), "", "", ""]
    path, filesystem, leases = lines[0], lines[2], [line for line in said.splitlines()[3:] if line]
    if _LOCAL.fullmatch(filesystem) and site.slurm.scheduler != "local":
        text = f"{path} is {filesystem}: a file system of one machine, as far as its type tells"
        yield warn("filesystem", text, "make sure that compute nodes see the same folder: srun ls -la " + path)
    else:
        yield ok("filesystem", f"{path} is {filesystem or 'of a type that is not told'}")
    if leases:
        yield ok("leases", f"a run is at work there: {', '.join(leases)}")


def _quota(_site: Site, _answer: Answer, said: str) -> Iterator[Line]:
    over = [line.strip() for line in said.splitlines() if "quota" in line.lower() or "*" in line]
    if over:
        yield fail("quota", "; ".join(over[:3]), "remove files there, or ask the site for more")
    else:
        yield ok("quota", "not exceeded")


def _lustre_quota(_site: Site, _answer: Answer, said: str) -> Iterator[Line]:
    if "*" in said:
        yield fail("quota", " ".join(said.split()), "remove files there (hpcbake gc), or ask the site for more")
    else:
        yield ok("quota", f"Lustre: {' '.join(said.split())[:120] or 'none'}")


def _prelude(site: Site, answer: Answer, said: str) -> Iterator[Line]:
    """What it returns is judged by the examination."""
    if site.runtime.prelude.strip() and answer.find("prelude_rc") == "0":
        yield ok("prelude", f"runs{', and prints: ' + said.splitlines()[-1] if said else ' without a word'}")


def _squeue(_site: Site, answer: Answer, said: str) -> Iterator[Line]:
    if answer.find("squeue_rc") == "0":
        jobs = len(said.split())
        yield ok("squeue", f"answers; {jobs} job{'' if jobs == 1 else 's'} of yours")
    else:
        text = said.splitlines()[-1] if said else "no word"
        yield fail("squeue", f"Slurm does not answer: {text}", "try again when it does, or tell the site")


def _sacct(_site: Site, answer: Answer, said: str) -> Iterator[Line]:
    if answer.find("sacct_rc") == "0":
        yield ok("sacct", "answers")
    elif re.search(r"accounting storage is disabled", said, re.IGNORECASE):
        yield ok("sacct", "no accounting here: a job that is lost is known by its files alone")
    else:
        text = said.splitlines()[-1] if said else "no word"
        yield warn("sacct", text, "none of yours: jobs are judged by their files, and lost ones may stay unknown")


_JUDGES: dict[str, Callable[[Site, Answer, str], Iterator[Line]]] = {
    "shell": _shell,
    "charmap": _locale,
    "home": _home,
    "quota": _quota,
    "lustre_quota": _lustre_quota,
    "tmp": _tmp,
    "store": _filesystem,
    "prelude": _prelude,
    "squeue": _squeue,
    "sacct": _sacct,
}

#: Variables that a user sets for good reasons and that do a run no harm.
_HARMLESS = re.compile(r"(APPTAINER|SINGULARITY)_(CACHEDIR|TMPDIR|LOCALCACHEDIR)")


def _variables(answer: Answer) -> Iterator[Line]:
    names = [name for name in answer.find("variables").split() if not _HARMLESS.fullmatch(name)]
    if names:
        text = f"your start-up files set {', '.join(names)}: smoke jobs and users see another container than you"
        yield warn("variables", text, "unset them in `runtime.prelude`, or take them out of your start-up files")
    else:
        yield ok("variables", "none that change how containers run")


def _proxy(answer: Answer) -> Iterator[Line]:
    yield ok("proxy", ", ".join(answer.all("proxy")) or "none set")


def _registries(site: Site, answer: Answer, asked: Sequence[str]) -> Iterator[Line]:
    """Pulls need the registry; a SIF that is sent does not."""
    reached = {line.partition(" ")[0]: line.partition(" ")[2] for line in answer.all("registry")}
    for host in asked:
        scheme, _, detail = reached.get(host, "none not asked").partition(" ")
        if scheme != "none":
            plain = scheme == "http" and host not in site.runtime.plain_http
            fix = f"write `plain_http: [{host}]` under `runtime`"
            text = f"{host} answers by {scheme} ({detail})"
            yield warn("registry", f"{text}, and the site config says https", fix) if plain else ok("registry", text)
        elif site.runtime.way in ("oras", "docker", "job"):
            fix = "open the way there, set a proxy in `runtime.prelude`, or write `way: stream` under `runtime`"
            yield fail("registry", f"{host} is not reached from there: {detail}", fix, ExitCode.SITE_RESOURCE)
        else:
            text = f"{host} is not reached from there: {detail}; SIFs are sent by ssh instead"
            yield warn("registry", text, "nothing, or `way: stream` under `runtime`, which does not try")
