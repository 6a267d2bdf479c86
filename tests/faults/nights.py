"""Nights on the lab: a small project that changes now and then, a seeded fault in each, and an eye from outside."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpcbake.errors import ExitCode
from tests.integration.chain import REPOSITORY, SITES, Chain, kill_hard, write_site
from tests.integration.conftest import RunningLab
from tests.registry_proxy import Act, Fault, RegistryProxy

#: What a site keeps, and what this machine does.
KEPT_RELEASES = 2
KEPT_RUNS = 6
#: alder's own memory file system: 64 MB that nobody else uses.
_SMALL_DISK = "/dev/shm"

PROJECT = f"""\
retention:
  releases: {KEPT_RELEASES}
  days: 0
  runs: {KEPT_RUNS}
"""


@dataclass
class Twist:
    """What a fault does to the run of its night."""

    words: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    #: Sent so many seconds after the beginning.
    signal: int = 0
    after_s: float = 0.0
    #: A second controller at the same time, with a state folder of its own.
    twin: bool = False


@dataclass(frozen=True)
class NightResult:
    """One night as it was: what changed, what went wrong, how hpcbake ended, what users of each site had then."""

    number: int
    changed: bool
    fault: str
    code: int
    seconds: float
    currents: dict[str, str]
    said: str


class Nights:
    """The project, its two sites, and the nights."""

    def __init__(self, chain: Chain, seed: int) -> None:
        self.chain = chain
        self.random = random.Random(seed)  # reproducible faults
        self.content = "night-0"
        self.newest = ""
        self.roots = {"alder": f"{_SMALL_DISK}/{chain.namespace}", "birch": chain.root}
        (chain.folder / "hpcbake.yaml").write_text(PROJECT)
        (chain.folder / ".dockerignore").write_text("*\n!content\n")
        dockerfile = (chain.folder / "Dockerfile").read_text()
        for line in ("ARG CONTENT=first\n", "RUN printf '%s\\n' \"$CONTENT\" > /r/etc/content\n"):
            dockerfile = dockerfile.replace(line, "")
        (chain.folder / "Dockerfile").write_text(
            dockerfile.replace("FROM scratch\nCOPY", "FROM scratch\nCOPY content /etc/content\nCOPY")
        )
        (chain.folder / "content").write_text(self.content)
        self.write_sites()

    def write_sites(self, site: str = "", **changes: dict[str, Any]) -> None:
        """Both site configs as they shall be, with `changes` at one of them."""
        for name in SITES:
            sections: dict[str, dict[str, Any]] = {"store": {"root": self.roots[name]}, "runtime": {"tmpdir": "/tmp"}}
            for section, values in (changes if name == site else {}).items():
                sections[section] = {**sections.get(section, {}), **values}
            write_site(self.chain, name, **sections)

    # ---- one night ----

    def spend(self, number: int, fault: str, *, changes: bool) -> NightResult:
        """One night: perhaps a change, the fault, the run; afterwards the world is as before, users' view is noted."""
        if changes:
            self.content = f"night-{number}"
            (self.chain.folder / "content").write_text(self.content)
        began = time.monotonic()
        with FAULTS[fault](self) as twist:
            code, said = self.run(twist)
        return NightResult(number, changes, fault, code, time.monotonic() - began, self.currents(), said)

    def run(self, twist: Twist) -> tuple[int, str]:
        """`hpcbake nightly` as cron would start it: no terminal, hardly an environment."""
        process = self.start(twist)
        twin = self.start(Twist(environment={"HPCBAKE_STATE": str(self.chain.folder / "twin")})) if twist.twin else None
        if twist.signal:
            try:
                process.wait(twist.after_s)
            except subprocess.TimeoutExpired:
                if twist.signal == signal.SIGKILL:
                    kill_hard(process)
                else:
                    process.send_signal(twist.signal)
        said = _said(process)
        if twin is not None:
            said += _said(twin)
        code = process.returncode
        # A signal that comes before hpcbake listens ends it as the kernel does; a shell tells both alike.
        return (128 - code if code < 0 else code), said

    def start(self, twist: Twist) -> subprocess.Popen[str]:
        environment = {
            name: value
            for name, value in self.chain.environ().items()
            if name.startswith(("HPCBAKE", "DOCKER", "BUILDX", "XDG", "BASE", "REGISTRY", "PATH"))
        }
        environment.pop("HPCBAKE_APPTAINER", None)
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.another_world", "nightly", "--lock-wait", "5", *twist.words],
            cwd=self.chain.folder,
            env={**environment, "PYTHONPATH": str(REPOSITORY), **twist.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    # ---- looking from outside ----

    def currents(self) -> dict[str, str]:
        """The digest that users of each site get; empty where there is none."""
        shown = {site: self.on(site, f"readlink {self.place(site)}/current").strip() for site in SITES}
        return {site: link.rpartition("/")[2].removesuffix(".sif") for site, link in shown.items()}

    def place(self, site: str) -> str:
        return f"{self.roots[site]}/{self.chain.image}"

    def on(self, site: str, command: str) -> str:
        return self.chain.lab.ssh(site, command).stdout

    def is_tested(self, site: str, digest: str) -> bool:
        """Does the provenance of this digest name smoke tests that passed, and has the SIF the recorded bytes?"""
        stem = f"{self.roots[site]}/sif/{self.chain.image}/{digest}"
        papers = json.loads(self.on(site, f"cat {stem}.json") or "{}")
        tests = papers.get("smoke") or []
        summed = self.on(site, f"sha256sum {stem}.sif").split()
        passed = bool(tests) and all(test.get("status") == "passed" for test in tests)
        return passed and bool(summed) and summed[0] in json.dumps(papers)

    def content_at(self, site: str) -> str:
        """What is in the image that users of a site get."""
        program = "module load apptainer >/dev/null 2>&1; " if site == "birch" else ""
        command = f"{program}apptainer exec {self.place(site)}/current cat /etc/content"
        return self.chain.lab.ssh(site, f"bash -lc {command!r}").stdout.strip()

    def measure(self) -> dict[str, int]:
        """What must not grow: SIFs and files of both stores, this machine's state, tags in the registry."""
        lab, found = self.chain.lab, {}
        for site in SITES:
            found[f"{site} SIFs"] = len(self.on(site, f"ls {self.roots[site]}/sif/{self.chain.image}/*.sif").split())
            found[f"{site} files"] = len(self.on(site, f"find {self.roots[site]} -type f").splitlines())
            found[f"{site} kB"] = int((self.on(site, f"du -sk {self.roots[site]}").split() or ["0"])[0])
        state = self.chain.folder / "state"
        found["runs"] = len(list((state / "runs").iterdir()))
        found["state kB"] = sum(path.stat().st_size for path in state.rglob("*") if path.is_file()) // 1024
        cache = self.chain.folder / "cache"
        found["cache kB"] = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) // 1024
        tags = f"http://{lab.registry}/v2/{self.chain.namespace}/{self.chain.image}/tags/list"
        listed = subprocess.run(["curl", "-sf", tags], capture_output=True, text=True, check=False).stdout
        found["tags"] = len(json.loads(listed or "{}").get("tags") or [])
        return found

    def wipe(self) -> None:
        for site in SITES:
            self.on(site, f"rm -rf {self.roots[site]}")


def make_nights(lab: RunningLab, folder: Path, seed: int) -> Nights:
    """A project of its own, with hardly any patience: a simulated night is short."""
    from tests.integration.chain import make_chain

    return Nights(make_chain(lab, folder), seed)


def _said(process: subprocess.Popen[str]) -> str:
    try:
        return process.communicate(timeout=300)[0]
    except ValueError:  # killed, and its output read
        return ""


# ---- faults: each makes its trouble, gives the run its twist, and leaves the world as it was ----


@contextmanager
def _nothing(_nights: Nights) -> Iterator[Twist]:
    yield Twist()


def _signalled(number: int) -> Callable[[Nights], AbstractContextManager[Twist]]:
    @contextmanager
    def fault(nights: Nights) -> Iterator[Twist]:
        yield Twist(signal=number, after_s=nights.random.uniform(0.3, 9.0))

    return fault


@contextmanager
def _dead_site(nights: Nights) -> Iterator[Twist]:
    """A login node at which nobody listens."""
    site = nights.random.choice(SITES)
    dead = nights.chain.folder / "dead_ssh_config"
    dead.write_text(f"Host {site}\n  HostName 127.0.0.1\n  Port 9\n  HostKeyAlias {site}\n")
    nights.write_sites(site, login={"ssh_config": str(dead), "connect_timeout": "3s"})
    yield Twist()
    nights.write_sites()


def _registry(act: Act, path: str = "", *, times: int | None = None, code: int = 500) -> Any:
    @contextmanager
    def fault(nights: Nights) -> Iterator[Twist]:
        with RegistryProxy(nights.chain.lab.registry) as proxy:
            proxy.faults[:] = [Fault(act, path, method, times, code) for method in ("GET", "HEAD", "PUT")]
            port = nights.chain.lab.registry.rpartition(":")[2]
            yield Twist(environment={"WORLD_REGISTRY": f"{port}={proxy.port}"})

    return fault


@contextmanager
def _full_site(nights: Nights) -> Iterator[Twist]:
    ballast = f"{_SMALL_DISK}/ballast-{nights.chain.namespace}"
    nights.on("alder", f"cat /dev/zero > {ballast} 2>/dev/null")
    try:
        yield Twist()
    finally:
        nights.on("alder", f"rm -f {ballast}")


@contextmanager
def _full_state(nights: Nights) -> Iterator[Twist]:
    """The state folder's own small file system is full."""
    state = nights.chain.folder / "state"
    ballast = state / "ballast"
    if not os.path.ismount(state):
        yield Twist(words=["--report", "/dev/full"])
        return
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    yield Twist()
    ballast.unlink()


@contextmanager
def _report_nowhere(_nights: Nights) -> Iterator[Twist]:
    yield Twist(words=["--report", "/dev/full"])


@contextmanager
def _slurm_down(nights: Nights) -> Iterator[Twist]:
    """Slurm's own commands, pointed at a controller that is not there."""
    site = nights.random.choice(SITES)
    conf = f"/tmp/{nights.chain.namespace}.conf"
    nights.on(site, f"sed 's/^SlurmctldPort.*//; $ a SlurmctldPort=9' /etc/slurm/slurm.conf > {conf}")
    nights.write_sites(
        site,
        slurm={"prelude": f"export SLURM_CONF={conf}", "queue_deadline": "5s"},
        runtime={"prelude": _prelude(site) + f"export SLURM_CONF={conf}\n"},
    )
    yield Twist()
    nights.write_sites()
    nights.on(site, f"rm -f {conf}")


def _prelude(site: str) -> str:
    return ". /etc/profile.d/modules.sh\nmodule load apptainer\n" if site == "birch" else ""


@contextmanager
def _poisoned_cache(nights: Nights) -> Iterator[Twist]:
    """Every file that the build host keeps for later is rubbish in its second half."""
    for path in [path for path in (nights.chain.folder / "cache").rglob("*") if path.is_file()]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"rubbish")
    yield Twist()


@contextmanager
def _forgotten_builds(nights: Nights) -> Iterator[Twist]:
    for path in (nights.chain.folder / "state" / "nightly").glob("*/builds.json"):
        path.write_text('{"kind": "hpcbake.builds", "version": 1, "builds": {"x')
    yield Twist()


@contextmanager
def _dead_lease(nights: Nights) -> Iterator[Twist]:
    """Leases of a process that is gone, on everything that a run may want."""
    site = nights.random.choice(SITES)
    leases = f"{nights.roots[site]}/.hpcbake/leases"
    image = nights.chain.image
    lost = (
        f'mkdir -p {leases} && for name in promote {image} "deliver-{image}"; do mkdir -p {leases}/$name; '
        f'echo "$(hostname) $(cat /proc/sys/kernel/random/boot_id) 999999 1 $(id -u) 01DEAD" > {leases}/$name/holder; '
        "done"
    )
    nights.on(site, lost)
    yield Twist()


def _stale_lock(kind: str) -> Callable[[Nights], AbstractContextManager[Twist]]:
    @contextmanager
    def fault(nights: Nights) -> Iterator[Twist]:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        process: dict[str, Any] = {"host": os.uname().nodename, "pid": os.getpid(), "began": 1, "boot_id": boot}
        if kind == "reboot":
            process["boot_id"] = "00000000-0000-0000-0000-000000000000"
        holder = {"process": process, "since": "2026-01-01T00:00:00Z", "uptime_s": 1.0, "doing": "hpcbake nightly"}
        for folder in (nights.chain.folder / "state" / "nightly").glob("*"):
            (folder / "lock").write_text(json.dumps(holder) + "\n")
        yield Twist()

    return fault


def _clock_off(days: float) -> Callable[[Nights], AbstractContextManager[Twist]]:
    @contextmanager
    def fault(_nights: Nights) -> Iterator[Twist]:
        yield Twist(environment={"WORLD_CLOCK_OFFSET_S": str(days * 86400)})

    return fault


@contextmanager
def _two_controllers(_nights: Nights) -> Iterator[Twist]:
    yield Twist(twin=True)


@contextmanager
def _lost_sif(nights: Nights) -> Iterator[Twist]:
    """Somebody has removed what users run."""
    site = nights.random.choice(SITES)
    nights.on(site, f"rm -f $(readlink -f {nights.place(site)}/current)")
    yield Twist()


@contextmanager
def _damaged_sif(nights: Nights) -> Iterator[Twist]:
    site = nights.random.choice(SITES)
    path = f"$(readlink -f {nights.place(site)}/current)"
    nights.on(
        site, f"f={path}; [ -f $f ] && chmod u+w $f && head -c 64 /dev/zero | dd of=$f bs=1 seek=70000 conv=notrunc"
    )
    yield Twist()


FAULTS: dict[str, Callable[[Nights], AbstractContextManager[Twist]]] = {
    "nothing": _nothing,
    "killed": _signalled(signal.SIGKILL),
    "terminated": _signalled(signal.SIGTERM),
    "hung up": _signalled(signal.SIGHUP),
    "interrupted": _signalled(signal.SIGINT),
    "dead site": _dead_site,
    "registry answers 500": _registry("status"),
    "registry cuts answers": _registry("cut", times=4),
    "registry refuses a while": _registry("status", times=3, code=503),
    "registry flips bits": _registry("flip", r"/blobs/"),
    "full disk at a site": _full_site,
    "full disk here": _full_state,
    "report to a full device": _report_nowhere,
    "Slurm down": _slurm_down,
    "poisoned cache": _poisoned_cache,
    "damaged memory of builds": _forgotten_builds,
    "leases of the dead": _dead_lease,
    "lock of a pid given again": _stale_lock("pid"),
    "lock from before a reboot": _stale_lock("reboot"),
    "clock three days ahead": _clock_off(3),
    "clock three days behind": _clock_off(-3),
    "two controllers": _two_controllers,
    "lost SIF": _lost_sif,
    "damaged SIF": _damaged_sif,
}


def choose_faults(count: int, chooser: random.Random) -> list[str]:
    """So many faults: all kinds as often as each other, in random order."""
    names: Sequence[str] = [name for name in FAULTS if name != "nothing"]
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += chooser.sample(names, len(names))
    return chosen[:count]


# ---- many nights, and what must hold after each ----


@contextmanager
def own_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A small file system at `folder` where root may mount one; else the folder itself."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    is_mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def spend_nights(nights: Nights, faults: Sequence[str], tell: Callable[[str], None]) -> list[NightResult]:
    """One night per fault, most of them with a change. After each, users have what was tested, or what they had."""
    results: list[NightResult] = []
    for number, fault in enumerate(faults, start=1):
        result = nights.spend(number, fault, changes=number == 1 or nights.random.random() < 0.7)
        results.append(result)
        tell(
            f"{number:>3}  {'changed' if result.changed else '       '}  {fault:<26} exit {result.code:>4}"
            f"  {result.seconds:>6.1f} s  " + "  ".join(f"{s} {d[:8] or '-'}" for s, d in result.currents.items())
        )
        check_night(nights, result)
    return results


def check_night(nights: Nights, result: NightResult) -> None:
    """What holds whatever went wrong."""
    assert "Traceback" not in result.said, result.said
    assert "stumbled over itself" not in result.said, result.said
    assert result.code in {128 + signal.SIGKILL, *map(int, ExitCode)}, result.said
    for site, digest in result.currents.items():
        # A SIF that was damaged or lost, on a night when it could not be mended, is mended the night after.
        if digest and result.code == 0:
            assert nights.is_tested(site, digest), f"{site} has {digest}, which nobody has tested: {result.said}"


def check_end(nights: Nights) -> dict[str, int]:
    """After a calm night: every site has the newest content, tested, and nothing has grown. What there is, in figures.

    Nobody did anything by hand.
    """
    calm = nights.spend(999, "nothing", changes=False)
    assert calm.code == 0, calm.said
    for site, digest in calm.currents.items():
        assert nights.is_tested(site, digest)
        assert nights.content_at(site) == nights.content
    found = nights.measure()
    for site in SITES:
        assert found[f"{site} SIFs"] <= KEPT_RELEASES + 1, found
        assert found[f"{site} files"] <= 80, found
        assert found[f"{site} kB"] <= 8 * 1024, found
    assert found["runs"] <= KEPT_RUNS + 2, found
    assert found["state kB"] <= 1024, found
    assert found["cache kB"] <= 1024, found
    assert found["tags"] <= 4, found
    again = nights.spend(999, "nothing", changes=False)
    assert again.code == 0
    assert again.said.count("unchanged") >= len(SITES), again.said
    return found
