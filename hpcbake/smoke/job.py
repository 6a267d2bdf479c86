"""The text of a smoke job: a pure function of test, site and SIF, held by golden files."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from hpcbake.datafiles import data_folder
from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import Deployment, SmokeTest
from hpcbake.model.ports import RuntimeCommands
from hpcbake.model.site import Site


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
) -> Job:
    """Render one job. Raises ConfigError for a test whose template does not exist or does not render."""
    body = _render(test, deployment, site, comment="", commands=commands, template_folders=template_folders)
    key = hashlib.sha256(body.encode()).hexdigest()[:16]
    script = _render(test, deployment, site, comment=comment, commands=commands, template_folders=template_folders)
    return Job(test, key, script)


@cache
def _environment(template_folders: tuple[str, ...]) -> jinja2.Environment:
    """Where templates are looked for: the project's folders first, then ours. Compiled ones are kept."""
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
) -> str:
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

    environment = _environment(tuple(map(str, template_folders)))
    try:
        return environment.get_template(f"{test.template}.sbatch.j2").render(
            test=test,
            directives=sbatch_directives(site, test, comment),
            sif=deployment.path,
            digest=str(deployment.image.digest),
            sif_sha256=deployment.sif_sha256,
            prelude="\n".join(part.strip() for part in (site.runtime.prelude, site.slurm.prelude) if part.strip()),
            arch=site.profile.arch,
            time_limit_s=parse_slurm_time(site.slurm.time_limit),
            exec_argv=exec_argv,
        )
    except jinja2.TemplateNotFound as error:
        raise ConfigError(
            f"smoke test {test.name!r}: no template {error.name}",
            remedy="use cpu or command, or put your own <name>.sbatch.j2 into the project's slurm/ folder",
            kind="config.smoke",
        ) from error
    except jinja2.TemplateError as error:
        raise ConfigError(
            f"smoke test {test.name!r}: template {test.template}.sbatch.j2 does not render: {error}",
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


def sbatch_directives(site: Site, test: SmokeTest, comment: str) -> list[str]:
    """The `#SBATCH` options in a fixed order. The site config's rules keep white space and quotes out of the values."""
    slurm = site.slurm
    options = [
        ("job-name", "@NAME@"),
        ("output", "@ATTEMPT@/out"),
        ("error", "@ATTEMPT@/err"),
        ("time", slurm.time_limit),
        ("ntasks", str(test.tasks)),
        ("comment", comment or None),
        ("partition", slurm.partition),
        ("account", slurm.account),
        ("qos", slurm.qos),
        ("constraint", slurm.constraint),
        ("reservation", slurm.reservation),
    ]
    # --no-requeue: a job that Slurm starts a second time would overwrite the first one's evidence.
    return [f"--{name}={value}" for name, value in options if value] + ["--no-requeue"]
