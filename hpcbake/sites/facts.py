"""Site facts: what the probe of a login node said, as values. What was not seen is None or empty, never guessed."""

from __future__ import annotations

import re
from dataclasses import field

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.version import Version, find_leading_version, parse_version
from hpcbake.sites.scripts import Answer

#: CPU flags that each x86-64 level adds, as the psABI lists them and /proc/cpuinfo spells them.
_LEVELS: tuple[tuple[int, frozenset[str]], ...] = (
    (2, frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})),
    (3, frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})),
    (4, frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})),
)

#: Node features by which sites name their processors, and the level of those processors.
_FEATURES: tuple[tuple[int, str], ...] = (
    (4, r"x86[-_]64[-_]v4|avx512\w*|skylake\w*|skx|cascade\w*|clx|cooperlake|ice ?lake\w*|icx|sapphire\w*|spr"
        r"|emerald\w*|emr|granite\w*|gnr|zen[45]|genoa\w*|bergamo|turin\w*|siena"),
    (3, r"x86[-_]64[-_]v3|avx2|haswell\w*|hsw|broadwell\w*|bdw|zen[123]?|naples|rome|milan\w*|epyc\w*"),
    (2, r"x86[-_]64[-_]v2|nehalem|westmere|sandy ?bridge|snb|ivy ?bridge|ivb|avx"),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One folder: the variable that names it (or empty), its file system, and whether the user can write there."""

    path: str
    variable: str
    filesystem: str
    free_kb: int
    is_writable: bool
    options: str = ""

    @property
    def is_noexec(self) -> bool:
        return "noexec" in self.options


@dataclass(frozen=True)
class Partition:
    """One partition of Slurm, with the features and generic resources of its nodes. `cpu_level` None: not told."""

    name: str
    is_default: bool
    is_up: bool
    max_time: str
    nodes: str
    accounts: str = "ALL"
    features: tuple[str, ...] = ()
    gres: tuple[str, ...] = ()
    cpu_level: int | None = None


@dataclass(frozen=True)
class Registry:
    """A registry as the login node sees it: `scheme` is https or http; empty when it cannot be reached, and why."""

    host: str
    scheme: str
    detail: str


@dataclass(frozen=True)
class Library:
    """A host library, by the path under which the loader finds it and the file behind that."""

    path: str
    real_path: str
    size: int


@dataclass(frozen=True)
class RuntimeFacts:
    """The container runtime: where it is, how it was found (`prelude`, `module FILE`, `login shell`), how it works."""

    name: str = ""
    path: str = ""
    found_by: str = ""
    version: Version | None = None
    is_setuid: bool = False
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlurmFacts:
    """Slurm as the login node sees it. `answer` is scontrol's own word on the controller."""

    version: str = ""
    folder: str = ""
    answer: str = ""
    cluster: str = ""
    has_accounting: bool = False
    default_account: str = ""
    accounts: tuple[str, ...] = ()
    partitions: tuple[Partition, ...] = ()


@dataclass(frozen=True)
class SiteFacts:
    """Everything that one probe saw, at one login node."""

    os: str = ""
    arch: str = ""
    kernel: str = ""
    host: str = ""
    user: str = ""
    glibc: Version | None = None
    cpu_model: str = ""
    cpu_level: int | None = None
    gpus: tuple[str, ...] = ()
    driver: Version | None = None
    cuda: Version | None = None
    rocm: str = ""
    python: str = ""
    modules: str = ""
    user_namespaces: str = ""
    runtime: RuntimeFacts = field(default_factory=RuntimeFacts)
    slurm: SlurmFacts = field(default_factory=SlurmFacts)
    places: tuple[Place, ...] = ()
    registries: tuple[Registry, ...] = ()
    libraries: tuple[Library, ...] = ()
    nv_names: tuple[str, ...] = ()


def parse_facts(answer: Answer) -> SiteFacts:
    """The probe's answer as facts. Anything may be missing or strange: then it was not seen."""
    gpus, driver = _gpus(answer)
    flags = answer.find("cpu_flags").split()
    return SiteFacts(
        os=_os_name(answer.find_text("os_release")),
        arch=answer.find("arch"),
        kernel=answer.find("kernel"),
        host=answer.find("host"),
        user=answer.find("user"),
        glibc=version_in(answer.find("glibc")),
        cpu_model=answer.find("cpu_model"),
        cpu_level=level_of_flags(flags) if flags else None,
        gpus=gpus,
        driver=driver,
        cuda=version_in(answer.find("cuda")),
        rocm=answer.find("rocm"),
        python=answer.find("python").removeprefix("Python "),
        modules=_modules(answer.find("modules")),
        user_namespaces=answer.find("userns"),
        runtime=_runtime(answer),
        slurm=_slurm(answer),
        places=tuple(filter(None, map(_place, answer.all("place")))),
        registries=tuple(map(_registry, answer.all("registry"))),
        libraries=tuple(filter(None, map(_library, answer.all("library")))),
        nv_names=tuple(answer.find_text("nvliblist").split()),
    )


def level_of_flags(flags: list[str]) -> int:
    """The x86-64 level of a processor with these flags of /proc/cpuinfo."""
    level = 1
    for number, wanted in _LEVELS:
        if not wanted <= set(flags):
            break
        level = number
    return level


def level_of_features(features: tuple[str, ...]) -> int | None:
    """The level that node features tell, if they name a processor or an instruction set."""
    for level, pattern in _FEATURES:
        if any(re.fullmatch(pattern, feature, re.IGNORECASE) for feature in features):
            return level
    return None


def _os_name(os_release: str) -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', os_release, re.MULTILINE)
    return match[1] if match else ""


def version_in(text: str) -> Version | None:
    """The last dotted number of what a program says of itself; None for none, and for musl, which is no glibc."""
    words = re.findall(r"[0-9]+(?:\.[0-9]+)+", text)
    return _version(words[-1]) if words and "musl" not in text else None


def _version(text: str) -> Version | None:
    try:
        return parse_version(text)
    except ConfigError:
        return find_leading_version(text)


def _gpus(answer: Answer) -> tuple[tuple[str, ...], Version | None]:
    """Names and driver: nvidia-smi's, or the kernel module's where there is no nvidia-smi."""
    rows = [line.rpartition(",") for line in answer.find_text("nvidia_smi").splitlines() if "," in line]
    driver = _version(rows[0][2].strip()) if rows else driver_of(answer.find("nvidia_kernel"))
    return tuple(name.strip() for name, _, _ in rows), driver


def driver_of(text: str) -> Version | None:
    """The NVIDIA driver, by the first line of /proc/driver/nvidia/version."""
    match = re.search(r"(?:Kernel Module|Module for \S+) +([0-9]+(?:\.[0-9]+)+)", text)
    return _version(match[1]) if match else None


def _modules(text: str) -> str:
    """`Lmod 8.7.60` or `Environment Modules 4.6.1`, from what `module --version` says of itself."""
    _, _, said = text.partition("|")
    version = _last_word_version(said)
    if not said.strip():
        return ""
    return f"{'Lmod' if 'lmod' in said.lower() or 'Lua' in said else 'Environment Modules'} {version}".strip()


def _last_word_version(text: str) -> str:
    match = re.search(r"[0-9]+\.[0-9]+(?:\.[0-9]+)*", text)
    return match[0] if match else ""


def _runtime(answer: Answer) -> RuntimeFacts:
    name, _, rest = answer.find("runtime").partition("|")
    path, _, found_by = rest.partition("|")
    settings = tuple(line.strip() for line in answer.find_text("runtime_conf").splitlines() if line.strip())
    version = version_in(answer.find("runtime_version"))
    return RuntimeFacts(name, path, found_by, version, answer.find("setuid") == "yes", settings)


def _slurm(answer: Answer) -> SlurmFacts:
    config = dict(re.findall(r"^ *(\w+) *= *(.*)$", answer.find_text("slurm_config"), re.MULTILINE))
    associations = [line.split("|")[0] for line in answer.find_text("associations").splitlines()]
    shares = answer.find_text("shares").split()
    return SlurmFacts(
        version=answer.find("slurm").split(" ")[-1],
        folder=answer.find("slurm_path"),
        answer=answer.find("slurm_answers").strip(),
        cluster=config.get("ClusterName", ""),
        has_accounting=config.get("AccountingStorageType", "").endswith("slurmdbd"),
        default_account=answer.find("default_account"),
        accounts=tuple(dict.fromkeys(filter(None, [*associations, *shares]))),
        partitions=parse_partitions(answer.find_text("partitions"), answer.find_text("nodes")),
    )


def parse_partitions(partitions: str, nodes: str) -> tuple[Partition, ...]:
    """`scontrol show partition -o` and `sinfo -h -o '%R|%D|%f|%G|%c|%m|%N'` as values."""
    groups: dict[str, list[list[str]]] = {}
    for line in nodes.splitlines():
        cells = line.split("|")
        if len(cells) >= 4:
            groups.setdefault(cells[0], []).append(cells)
    found = []
    for line in partitions.splitlines():
        values = dict(re.findall(r"(\w+)=(\S*)", line))
        name = values.get("PartitionName", "")
        if not name:
            continue
        kinds = [_words(cells[2]) for cells in groups.get(name, [])]
        levels = [level_of_features(kind) for kind in kinds]
        found.append(
            Partition(
                name=name,
                is_default=values.get("Default") == "YES",
                is_up=values.get("State") == "UP",
                max_time=values.get("MaxTime", ""),
                nodes=values.get("Nodes", ""),
                accounts=values.get("AllowAccounts", "ALL"),
                features=tuple(sorted({word for kind in kinds for word in kind})),
                gres=tuple(sorted({word for cells in groups.get(name, []) for word in _words(cells[3])})),
                # Only where every kind of node says what it is: the oldest counts.
                cpu_level=min(filter(None, levels)) if levels and None not in levels else None,
            )
        )
    return tuple(found)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r",(?![^()]*\))", text) if word and word not in ("(null)", "N/A"))


def _place(text: str) -> Place | None:
    cells = text.split("|", 6)
    if len(cells) < 7 or not cells[2].isdigit():
        return None
    variable, filesystem, free_kb, _, mine, options, path = cells
    return Place(path, variable, filesystem, int(free_kb), mine == "yes" and "ro" not in options, options)


def _registry(text: str) -> Registry:
    host, _, rest = text.partition(" ")
    scheme, _, detail = rest.partition(" ")
    return Registry(host, "" if scheme == "none" else scheme, detail)


def _library(text: str) -> Library | None:
    cells = text.split("|", 2)
    if len(cells) < 3 or not cells[0].isdigit():
        return None
    return Library(cells[1], cells[2], int(cells[0]))
