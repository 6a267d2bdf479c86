"""The text of a smoke job: a pure function of test, site and SIF, held by golden files."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hpcbake.datafiles import data_folder
from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import Deployment, SmokeTest
from hpcbake.model.late import dataclass
from hpcbake.model.ports import RuntimeCommands
from hpcbake.model.site import GpuJobs, Site

if TYPE_CHECKING:  # takes long to load, and a run that ends with the delivery renders nothing
    import jinja2

#: The templates under `slurm/`.
TEMPLATES = ("cpu", "command", "python", "gpu", "mpi", "io")


_SUFFIX = ".sbatch.j2"


def template_names(folders: Sequence[Path]) -> frozenset[str]:
    """Every template that a test can name: those in the project's folders, and ours."""
    places = [*folders, data_folder("slurm")]
    return frozenset(path.name.removesuffix(_SUFFIX) for place in places for path in place.glob(f"*{_SUFFIX}"))


@dataclass(frozen=True)
class Job:
    """A job ready to submit. `key` names its content: the same test of the same SIF has the same key in every run.

    `script` still holds the placeholders @ATTEMPT@ (its folder) and @NAME@ (its unique name), which the site fills in.
    """

    test: SmokeTest
    key: str
    script: str


def render_job(
    test: SmokeTest,
    deployment: Deployment,
    site: Site,
    *,
    comment: str,
    commands: RuntimeCommands,
    template_folders: Sequence[Path] = (),
    programs: Sequence[str] = (),
) -> Job:
    """Render one job. `programs` are the commands that users see.

    Raises ConfigError for a test whose template does not exist or does not render, and for a value that a `#SBATCH`
    line could not carry as it is.
    """

    def render(comment: str) -> str:
        return _render(
            *(test, deployment, site),
            comment=comment,
            commands=commands,
            template_folders=template_folders,
            programs=programs,
        )

    key = hashlib.sha256(render("").encode()).hexdigest()[:16]
    return Job(test, key, render(comment))


#: What a template is rendered with, by name.
VALUES = (
    *("test", "directives", "sif", "digest", "sif_sha256", "prelude", "arch", "cpu_level", "gpu_mode", "mpi"),
    *("programs", "rank_script", "bind_modes", "bind_probes", "time_limit_s", "exec_argv"),
)


@cache
def template_environment(template_folders: tuple[str, ...]) -> jinja2.Environment:
    """Where templates are looked for: the project's folders first, then ours. Compiled ones are kept."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*template_folders, str(data_folder("slurm"))]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (shell, not HTML: every value goes through the `sh` filters)
    )
    environment.filters["sh"] = shlex.quote
    environment.filters["sh_join"] = shlex.join
    return environment


def _render(
    test: SmokeTest,
    deployment: Deployment,
    site: Site,
    *,
    comment: str,
    commands: RuntimeCommands,
    template_folders: Sequence[Path],
    programs: Sequence[str],
) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", test.name):
        raise ConfigError(
            f"{test.name!r} cannot be the name of a smoke test",
            remedy="use letters, digits and -",
            kind="config.smoke",
        )

    def exec_argv(command: Sequence[str]) -> list[str]:
        argv = commands.exec_argv(
            site.runtime.program,
            deployment.path,
            list(command),
            binds=site.profile.binds,
            gpu=site.profile.gpu.mode,
        )
        # What users of the wrappers get is what is tested.
        at = argv.index("exec") + 1
        return [*argv[:at], *site.runtime.exec_options, *argv[at:]]

    import jinja2

    environment = template_environment(tuple(map(str, template_folders)))
    try:
        return environment.get_template(f"{test.template}{_SUFFIX}").render(
            test=test,
            directives=sbatch_directives(site, test, comment),
            sif=deployment.path,
            digest=str(deployment.image.digest),
            sif_sha256=deployment.sif_sha256,
            prelude="\n".join(part.strip() for part in (site.runtime.prelude, site.slurm.prelude) if part.strip()),
            arch=site.profile.arch,
            cpu_level=site.profile.cpu_level,
            gpu_mode=site.profile.gpu.mode,
            mpi=site.slurm.mpi or "",
            programs=list(programs),
            rank_script=_RANK_SCRIPT,
            bind_modes=[f"{bind.mode}:{bind.inside}" for bind in map(parse_bind, site.profile.binds)],
            bind_probes=[bind.source for bind in map(parse_bind, site.profile.binds) if bind.mode != "-"],
            time_limit_s=parse_slurm_time(site.slurm.time_limit),
            exec_argv=exec_argv,
        )
    except jinja2.TemplateNotFound as error:
        raise ConfigError(
            f"smoke test {test.name!r}: no template {error.name}",
            remedy=f"use {', '.join(TEMPLATES)}, or put your own <name>.sbatch.j2 into the project's slurm/ folder",
            kind="config.smoke",
        ) from error
    except jinja2.TemplateError as error:
        raise ConfigError(
            f"smoke test {test.name!r}: template {test.template}.sbatch.j2 does not render: {error}",
            remedy="mend the template in the project's slurm/ folder",
            kind="config.smoke",
        ) from error
    except Exception as error:
        raise ConfigError(
            f"smoke test {test.name!r}: template {test.template}.sbatch.j2 fails: {type(error).__name__}: {error}",
            remedy="mend the template in the project's slurm/ folder",
            kind="config.smoke",
        ) from error


#: No time limit: longer than any machine runs.
_UNLIMITED_S = 10**9


def parse_slurm_time(text: str) -> int:
    """Seconds of a time limit as sbatch takes it: `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M` or `D-H:M:S`; 0 is no limit."""
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    else:
        hours, minutes, seconds = parts if len(parts) == 3 else [0, *parts, 0][:3]
    return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds or _UNLIMITED_S


#: What a rank says that no command of the project speaks for.
_RANK_SCRIPT = (
    "by=slurm rank=${SLURM_PROCID:-} size=${SLURM_NTASKS:-}; "
    'if [ -n "${PMIX_RANK:-}" ]; then by=pmix rank=$PMIX_RANK; '
    'elif [ -n "${PMI_RANK:-}" ]; then by=pmi2 rank=$PMI_RANK size=${PMI_SIZE:-$size}; fi; '
    'echo "rank $rank of $size on ${SLURMD_NODENAME:-nowhere} by $by"'
)


@dataclass(frozen=True)
class Bind:
    """A host path in the container. `mode` is rw or ro where the site says so, else `-`."""

    source: str
    inside: str
    mode: str


def parse_bind(text: str) -> Bind:
    """Read `SOURCE[:INSIDE[:OPTIONS]]`, as apptainer's --bind takes it."""
    source, _, rest = text.partition(":")
    inside, _, options = rest.partition(":")
    modes = [word for word in options.split(",") if word in ("ro", "rw")]
    return Bind(source, inside or source, modes[-1] if modes else "-")


def skip_reason(test: SmokeTest, site: Site) -> str:
    """Why a test cannot run at a site at all, so that no job is made; empty when it can."""
    if test.template == "gpu" and site.profile.gpu.mode == "none":
        return "the site's profile has no GPU (profile.gpu.mode)"
    if test.template == "mpi" and site.slurm.scheduler == "local":
        return "the site has no Slurm, so no srun"
    return ""


def choose_tests(site: Site, tests: Sequence[SmokeTest]) -> tuple[SmokeTest, ...]:
    """The tests that are for this site: by the test's own patterns of sites, and by the site's of tests."""

    def fits(name: str, patterns: Sequence[str]) -> bool:
        return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)

    return tuple(test for test in tests if fits(site.name, test.sites) and fits(test.name, site.slurm.tests))


#: What `#SBATCH` lines carry as it stands: sbatch reads white space, quotes, backslashes and # in a way of its own.
_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_&|*()\[\]-]+")


def sbatch_directives(site: Site, test: SmokeTest, comment: str) -> list[str]:
    """The `#SBATCH` options in a fixed order. Raises ConfigError for a value that is not plain."""
    slurm = site.slurm
    own = slurm.gpu if test.template == "gpu" else GpuJobs()
    options = [
        ("job-name", "@NAME@"),
        ("output", "@ATTEMPT@/out"),
        ("error", "@ATTEMPT@/err"),
        ("time", slurm.time_limit),
        ("ntasks", str(test.tasks)),
        ("comment", comment or None),
        ("partition", own.partition or slurm.partition),
        ("account", own.account or slurm.account),
        ("qos", own.qos or slurm.qos),
        ("constraint", own.constraint or slurm.constraint),
        ("gres", own.gres or slurm.gres),
        ("reservation", slurm.reservation),
    ]
    for name, value in options:
        if value and not _PLAIN.fullmatch(value):
            raise ConfigError(
                f"{site.name}: {value!r} cannot stand on an #SBATCH line (--{name})",
                remedy="use letters, digits and plain punctuation; no blanks, no quotes",
                kind="config.smoke",
            )
    # --no-requeue: a job that Slurm starts a second time would overwrite the first one's evidence.
    return [f"--{name}={value}" for name, value in options if value] + ["--no-requeue"]
