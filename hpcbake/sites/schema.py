"""What a site config may say, as one table: the reader and the JSON Schema are both made from it."""

from __future__ import annotations

import json
from typing import Any

from hpcbake.sites.document import Field, Section, boolean, choice, integer, listing, seconds, shell_text, text, version

_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PATH = r"/[^\x00-\x1f]*"
#: The root is a part of job scripts, `#SBATCH` lines, modulefiles and bind options, each with quoting of its own.
_ROOT = r"/[A-Za-z0-9._/+=@-]*"
_SLURM_TIME = r"[0-9]+(?::[0-9]{2}){0,2}|[0-9]+-[0-9]{1,2}(?::[0-9]{2}){0,2}"


def _word(doc: str) -> Field:
    """A name as Slurm and Unix give them: no white space, no quotes."""
    return text(doc, pattern=_WORD, expected="a word of letters, digits, dot, _ and -")


LOGIN = Section(
    {
        "host": text(
            "ssh alias or address of the login node",
            pattern=r"[A-Za-z0-9_\[][A-Za-z0-9._:%\]-]*",
            expected="a host name, alias or address",
            required=True,
        ),
        "transport": choice("fabric", "openssh", "local", doc="how to get there; `openssh` runs your own ssh program"),
        "user": text(
            "login name; default: what ssh_config says", pattern=r"[A-Za-z_][A-Za-z0-9._@\\-]*", expected="a login name"
        ),
        "port": integer("TCP port; default: what ssh_config says", low=1, high=65535),
        "ssh_config": text("ssh_config file to use instead of ~/.ssh/config; ${NAME:-default} is replaced"),
        "connect_timeout": seconds("how long one attempt to connect may take", high=600),
        "ask": boolean("ask on the terminal for passwords and one-time codes, once per host; needs `openssh`"),
        "persist": seconds(
            "with `openssh`: how long the connection stays open after a run, for the next one; default: not at all",
            high=86400,
        ),
        "gate": boolean("the key there runs hpcbake's own scripts only: `hpcbake sites restrict`"),
    },
    "how to reach the login node",
)

STORE = Section(
    {
        "root": text(
            "absolute folder of the store, on a file system that compute nodes see",
            pattern=_ROOT,
            expected="an absolute path of letters, digits and . _ - + = @",
            required=True,
        ),
        "group": _word("group that everything in the store belongs to"),
        "mode": text("mode of a SIF, octal", pattern=r"0[0-7]{3}", expected="an octal mode such as '0644'"),
        "folder_mode": text(
            "mode of folders, octal; default: 2775 with a group, whose members can then deliver, too, else 0755",
            pattern=r"[0-7]?[0-7]{3}",
            expected="an octal mode such as '2775'",
        ),
    },
    "where SIFs lie on the site",
)

RUNTIME = Section(
    {
        "program": text(
            "apptainer or singularity, by name or absolute path",
            pattern=r"[A-Za-z0-9_./+-]+",
            expected="a program's name or path",
        ),
        "prelude": shell_text("shell lines that make the program available, such as `module load apptainer`"),
        "pull_timeout": seconds("how long one pull may take"),
        "plain_http": listing(
            text(pattern=r"[A-Za-z0-9._:\[\]-]+", expected="a registry host"),
            "registries that are reached by plain HTTP",
        ),
        "way": choice(
            "auto",
            "oras",
            "docker",
            "job",
            "stream",
            doc="how SIFs come here: converted on the build host and pulled (`oras`) or sent (`stream`), or converted "
            "here, on the login node (`docker`) or in a job (`job`); `auto` takes the first that works",
        ),
        "signed_by": text(
            "fingerprint of the key that must have signed a SIF; its public part is in apptainer's keyring there",
            pattern=r"[0-9A-Fa-f]{40}",
            expected="the 40 hex digits of a fingerprint",
        ),
        "pull_cpus": integer("CPUs of a job that pulls", low=1, high=256),
        "pull_memory": text(
            "memory of a job that pulls, as sbatch takes it", pattern=r"[0-9]+[KMGT]?", expected="a size such as 4G"
        ),
        "tmpdir": text(
            "folder where pulls unpack, if the store's file system is too small or mounted noexec",
            pattern=r"(?:/[A-Za-z0-9._+@,=-]+)+",
            expected="an absolute path of letters, digits and . _ + @ , = - only",
        ),
        "exec_options": listing(
            text(pattern=r"[^\x00-\x1f]+", expected="one word of a command line"),
            "options of every `exec` by wrappers and smoke jobs, one word each: what the site's MPI asks for",
        ),
    },
    "the container runtime of the site",
)

_PARTITION = text(
    "partition for smoke jobs, or several with commas",
    pattern=rf"{_WORD}(?:,{_WORD})*",
    expected="a word of letters, digits, dot, _ and -, or several with commas",
)
_CONSTRAINT = text("node features", pattern=r"[A-Za-z0-9_.,&|*()\[\]-]+", expected="node features as sbatch takes them")
_GRES = text(
    "generic resources, such as gpu:1 or gpu:a100:2",
    pattern=r"[A-Za-z0-9][A-Za-z0-9_.:,=/-]*",
    expected="resources as sbatch takes them, such as gpu:1",
)

GPU_JOBS = Section(
    {
        "partition": _PARTITION,
        "account": _word("account to charge"),
        "qos": _word("quality of service"),
        "constraint": _CONSTRAINT,
        "gres": _GRES,
    },
    "what jobs of the template `gpu` ask for instead",
)

SLURM = Section(
    {
        "scheduler": choice(
            "slurm",
            "local",
            doc="who runs smoke jobs; `local`: no Slurm, they run in the background of the login node itself",
        ),
        "partition": _PARTITION,
        "account": _word("account to charge"),
        "qos": _word("quality of service"),
        "constraint": _CONSTRAINT,
        "reservation": _word("reservation to use"),
        "gres": _GRES,
        "gpu": GPU_JOBS.as_field(),
        "mpi": text(
            "how srun starts the ranks of the template `mpi`: pmix, pmi2, none; default: what the site's Slurm does",
            pattern=r"none|pmi2|pmix(?:_v[0-9]+)?|cray_shasta|openmpi",
            expected="a word of `srun --mpi=list`, such as pmix or pmi2",
        ),
        "tests": listing(
            text(pattern=r"[a-z0-9*?\[\]!-]+", expected="a test's name or pattern"),
            "smoke tests that run here, by name or pattern; default: all",
        ),
        "time_limit": text(
            "time limit of a smoke job, as sbatch takes it", pattern=_SLURM_TIME, expected="a time such as 00:05:00"
        ),
        "prelude": shell_text("shell lines at the start of every job"),
        "queue_deadline": seconds("how long a job may wait in the queue"),
        "run_deadline": seconds("how long a job may run before hpcbake gives up on it"),
        "poll_interval": seconds("shortest time between two questions to the scheduler", high=3600),
    },
    "what smoke jobs ask for",
)

GPU = Section(
    {
        "mode": choice("none", "nv", "rocm", "nvccli", doc="how GPUs reach the container"),
        "driver": version("driver version"),
        "cuda": version("newest CUDA that the driver supports"),
    },
    "GPUs of the site",
)

INJECTION = Section(
    {
        "name": text("what is injected: mpi, pmix, slurm, a library", required=True),
        "needs": listing(
            text(pattern=r"[A-Za-z0-9_.]+", expected="a symbol version such as GLIBC_2.34"), "symbol versions it needs"
        ),
        "execstack": boolean("does it ask for an executable stack"),
    },
    "host libraries put into every container",
)

PARTITION = Section(
    {
        "name": text("name of the partition", required=True),
        "cpu_level": integer("x86-64 level of its oldest node (2 for v2)", low=1, high=4, required=True),
    },
    "processors of one partition",
)

PROFILE = Section(
    {
        "arch": choice("x86_64", "aarch64", doc="architecture of the compute nodes"),
        "glibc": version("glibc of the host"),
        "glibcxx": version("newest GLIBCXX of the host's libstdc++"),
        "kernel": version("kernel release"),
        "cpu_level": integer("x86-64 level of the oldest node in use (2 for v2)", low=1, high=4),
        "partitions": listing(PARTITION.as_field(), "processors by partition, where they differ"),
        "apptainer": version("version of apptainer"),
        "gpu": GPU.as_field(),
        "inject": listing(INJECTION.as_field(), "host libraries put into every container"),
        "binds": listing(text(pattern=_PATH, expected="an absolute path"), "host paths bound into every container"),
        "exports": listing(
            text(pattern=_PATH, expected="an absolute path"), "image paths whose programs run on the host"
        ),
        "offers": listing(
            text(pattern=r"[A-Za-z0-9_.]+", expected="a symbol version such as GLIBC_2.34"),
            "symbol versions that the host's libraries define, where their numbers do not tell (backports)",
        ),
    },
    "what the check judges against",
)

SITE = Section(
    {
        "name": text(
            "name of the site; must be the file's name",
            pattern=r"[a-z0-9][a-z0-9-]{0,62}",
            expected="lower-case letters, digits and -",
            required=True,
        ),
        "description": text("one line for people"),
        "login": LOGIN.as_field(required=True),
        "store": STORE.as_field(required=True),
        "runtime": RUNTIME.as_field(),
        "slurm": SLURM.as_field(),
        "profile": PROFILE.as_field(),
    },
    "one cluster",
)

#: Every section's fields, for the reference page.
SECTIONS: dict[str, dict[str, Field]] = {
    "": dict(SITE.fields),
    "login": dict(LOGIN.fields),
    "store": dict(STORE.fields),
    "runtime": dict(RUNTIME.fields),
    "slurm": dict(SLURM.fields),
    "slurm.gpu": dict(GPU_JOBS.fields),
    "profile": dict(PROFILE.fields),
    "profile.gpu": dict(GPU.fields),
    "profile.inject": dict(INJECTION.fields),
    "profile.partitions": dict(PARTITION.fields),
}


def render_site_schema() -> str:
    """The JSON Schema of a site config, as `site-configs/site.schema.json` holds it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpcbake site config",
        "description": SITE.doc,
        **_with_null(SITE.schema()),
    }
    return json.dumps(schema, indent=2) + "\n"


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Every key that may be left away may also be `null`, which says the same."""
    required = schema.get("required", ())
    properties = {name: _with_null(entry) for name, entry in schema.get("properties", {}).items()}
    for name, entry in properties.items():
        if name in required:
            continue
        if "type" in entry:
            kinds = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
            properties[name] = {**entry, "type": [*kinds, "null"]}
        if "enum" in entry:
            properties[name] = {**properties[name], "enum": [*entry["enum"], None]}
    return {**schema, "properties": properties} if properties else schema
