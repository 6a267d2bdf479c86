"""A site as its owner declares it in `site-configs/<site>.yaml`."""

from __future__ import annotations

from dataclasses import field

from hpcbake.model.late import dataclass
from hpcbake.model.version import Version


@dataclass(frozen=True)
class Injection:
    """Host libraries that the runtime puts into a container (`--nv`, MPI, PMIx), and what they need from it."""

    name: str
    needs: tuple[str, ...] = ()
    execstack: bool = False


@dataclass(frozen=True)
class Gpu:
    """The GPUs of a site: how they reach the container and what the driver can do."""

    mode: str = "none"  # nv | rocm | nvccli | none
    driver: Version | None = None
    cuda: Version | None = None


@dataclass(frozen=True)
class Partition:
    """A partition of the site, and the x86-64 level of its oldest node (1..4)."""

    name: str
    cpu_level: int


@dataclass(frozen=True)
class Profile:
    """The part of a site that the check judges against. None means "not declared", never "anything goes".

    `glibc` is the host's; it matters only for injected libraries and exported files, not for the image's own.
    """

    arch: str = "x86_64"
    glibc: Version | None = None
    glibcxx: Version | None = None
    kernel: Version | None = None
    cpu_level: int | None = None  # 1..4: x86-64-v1 .. v4, the lowest of the partitions in use
    #: Where partitions differ: the image may fit some of them.
    partitions: tuple[Partition, ...] = ()
    apptainer: Version | None = None
    gpu: Gpu = field(default_factory=Gpu)
    inject: tuple[Injection, ...] = ()
    binds: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    #: Version names that the host's libraries define, where they are known: numbers do not tell backports.
    offers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Login:
    """How to reach the login node. `host` is an ssh alias or address; all else may come from ssh_config."""

    host: str
    transport: str = "fabric"
    user: str | None = None
    port: int | None = None
    ssh_config: str | None = None
    connect_timeout_s: float = 15.0
    #: Ask on the terminal for what hosts on the way want to know (passwords, codes), once per host.
    ask: bool = False
    #: With `openssh`: how long the connection stays open after a run, for the next one; None: it ends with the run.
    persist_s: float | None = None
    #: The key opens no shell there: it runs hpcbake's own scripts only (`hpcbake sites restrict`).
    gate: bool = False


@dataclass(frozen=True)
class Runtime:
    """apptainer at a site: `prelude` is shell that makes it available (`module load apptainer`)."""

    program: str = "apptainer"
    prelude: str = ""
    pull_timeout_s: float = 1800.0
    #: Registries that the site reaches by plain HTTP (a lab, an air-gapped mirror).
    plain_http: tuple[str, ...] = ()
    #: How SIFs come here: oras, docker, job, stream, or auto.
    way: str = "auto"
    #: Fingerprint of the key that must have signed a SIF; None: nobody need have.
    signed_by: str | None = None
    #: What a job that pulls asks Slurm for.
    pull_cpus: int | None = None
    pull_memory: str | None = None
    #: Where pulls unpack, if not beside the store: a folder with room on a file system that allows execution.
    tmpdir: str | None = None
    #: Options of every `exec` that users and smoke jobs run, such as `--env` and `--pwd` for a site's MPI.
    exec_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """Where SIFs live on the site, and with which group and mode.

    `folder_mode` of None is 2775 where there is a group, so that its members can deliver, too, and 0755 otherwise.
    """

    root: str
    group: str | None = None
    mode: str = "0644"
    folder_mode: str | None = None


@dataclass(frozen=True)
class GpuJobs:
    """What smoke jobs of the template `gpu` ask for in place of what every other one does; None: the same."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None


@dataclass(frozen=True)
class Slurm:
    """What every smoke job of this site asks for, and how long hpcbake waits for it.

    `scheduler` of `local` stands for a machine without Slurm: the same jobs run in the background of the node itself.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    time_limit: str = "00:05:00"
    prelude: str = ""
    queue_deadline_s: float = 900.0
    run_deadline_s: float = 600.0
    poll_interval_s: float = 10.0
    scheduler: str = "slurm"
    gres: str | None = None
    gpu: GpuJobs = field(default_factory=GpuJobs)
    #: srun's --mpi: pmix, pmi2, none; None: what the site's Slurm takes by itself.
    mpi: str | None = None
    #: Patterns of the names of smoke tests that run here; none: all.
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Site:
    """One cluster: its profile, its login node, its store, its scheduler. `path` is the file it was read from."""

    name: str
    login: Login
    store: Store
    profile: Profile = field(default_factory=Profile)
    runtime: Runtime = field(default_factory=Runtime)
    slurm: Slurm = field(default_factory=Slurm)
    description: str = ""
    path: str = ""
