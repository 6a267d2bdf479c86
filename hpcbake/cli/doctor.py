"""`hpcbake doctor`: the facts a support desk would ask for, each ok, warn or FAIL, with what to do."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpcbake.cli.options import configs_option
from hpcbake.errors import ConfigError, ExitCode, HpcbakeError

if TYPE_CHECKING:
    from hpcbake.doctor import Diagnosis, Folders, Question
    from hpcbake.model.reference import ImageReference
    from hpcbake.model.site import Site
    from hpcbake.sites.examine import Line


@click.command("doctor", short_help="Look for what will go wrong, here and at every site.")
@click.option("--site", "site_names", multiple=True, help="A site; default: every site of the folder.")
@click.option("--here", is_flag=True, help="Look at this machine alone.")
@configs_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(site_names: tuple[str, ...], here: bool, site_configs: Path, as_json: bool) -> int:
    """Look at what a run will need on this machine and at the sites: some forty facts, each with what to do.

    Here: Python, docker and the builder, disks, the apptainer that converts, ssh, proxies, the config files, and the
    registries of the bake file. At each site, over one connection: host keys of every hop, keys, login, shell,
    file systems, quota, container runtime, what Slurm says to the job that would be submitted, registries, clock.
    Changes nothing. A thing that does not answer is a FAIL after some seconds. Exits with 11 when anything fails.

    \b
    Examples:
      hpcbake doctor
      hpcbake doctor --site alder
      hpcbake doctor --json >doctor.json
    """
    from hpcbake.doctor import Diagnosis, ask_all, diagnosis_as_json
    from hpcbake.doctor.document import HERE

    sites, wrong = ([], []) if here else _read_sites(site_configs, site_names)
    references = _references()
    diagnoses = [Diagnosis(HERE, tuple(ask_all(_questions_here(references, site_configs))))]
    if not as_json:
        _print(diagnoses[0])
    for diagnosis in _diagnose_sites(sites, wrong, sorted({reference.registry for reference in references})):
        diagnoses.append(diagnosis)
        if not as_json:
            _print(diagnosis)
    code = ExitCode.PREREQ if any(diagnosis.has_failed for diagnosis in diagnoses) else ExitCode.OK
    if as_json:
        click.echo(json.dumps(diagnosis_as_json(diagnoses, int(code)), indent=2))
    else:
        click.echo(_summary(diagnoses))
    return int(code)


# ---- this machine ---------------------------------------------------------------------------------------------------


def _references() -> list[ImageReference]:
    """What the bake files of this folder push, as far as they can be read: their mistakes are another fact."""
    from hpcbake.bakefile import BakeRequest, resolve
    from hpcbake.cli.configuration import configuration
    from hpcbake.cli.printing import local_platform
    from hpcbake.model.reference import parse_image_reference

    try:
        bake = configuration().project().bake
        request = BakeRequest(files=tuple(bake.files), targets=tuple(bake.targets))
        plan = resolve(request, folder=Path(), environment=os.environ, local_platform=local_platform())
        tags = [tag for target in plan.targets.values() for tag in target.tags]
        return [parse_image_reference(tag) for tag in tags]
    except HpcbakeError:
        return []


def _questions_here(references: Sequence[ImageReference], site_configs: Path) -> list[Question]:
    from hpcbake import __version__
    from hpcbake.adapters.credentials import DockerCredentials
    from hpcbake.adapters.machine import ThisMachine
    from hpcbake.adapters.registry import RegistryClient
    from hpcbake.doctor import Question, machine_questions, registry_questions

    logins = DockerCredentials.from_environment(os.environ)

    def login_of(host: str) -> str:
        found = logins.find(host)
        return "" if found is None else (found.username or "a token's owner")

    machine = ThisMachine(os.environ, version=__version__)
    program, builder = _settings()
    return [
        Question("config", lambda: _configs(site_configs)),
        *machine_questions(machine, _folders(), apptainer=program, builder=builder),
        *registry_questions(references, RegistryClient.from_environment(os.environ), login_of),
    ]


def _folders() -> Folders:
    import platformdirs

    from hpcbake.adapters.keptfiles import user_cache_folder
    from hpcbake.cli.configuration import state_folder
    from hpcbake.doctor import Folders

    try:
        state = str(state_folder(os.environ))
    except ConfigError:  # a wrong config file is a fact of its own
        state = platformdirs.user_state_dir("hpcbake")
    return Folders(state, str(user_cache_folder(os.environ)), tempfile.gettempdir())


def _settings() -> tuple[str, str]:
    """The program that converts, and the builder, as the config files say; a wrong one is a fact of its own."""
    from hpcbake.cli.configuration import configuration

    try:
        found = configuration()
        program, builder = found.project().convert.program, found.value("builder") or ""
    except HpcbakeError:
        program, builder = "apptainer", ""
    return os.environ.get("HPCBAKE_APPTAINER") or program, str(builder)


def _configs(site_configs: Path) -> Iterator[Line]:
    """All config files at once; validate shows the mistakes themselves."""
    from hpcbake.cli.configuration import config_files
    from hpcbake.cli.printing import local_platform
    from hpcbake.sites.examine import fail, ok, warn
    from hpcbake.validation import validate
    from hpcbake.validation.problem import counted

    try:
        found = validate(
            [],
            folder=Path(),
            site_configs=site_configs,
            environment=os.environ,
            local_platform=local_platform(),
            settings=[path for _, path in config_files(os.environ)],
        )
    except ConfigError as error:
        yield warn("config", error.message, error.remedy)
        return
    errors = [problem for problem in found.problems if problem.is_error]
    if errors:
        first = f"{errors[0].path}:{errors[0].line}:{errors[0].column}: {errors[0].message}"
        more = f" and {counted(len(errors) - 1, 'other error')}" if len(errors) > 1 else ""
        yield fail("config", f"{first}{more}", "see all of them: hpcbake validate", ExitCode.CONFIG)
    else:
        yield ok("config", f"{counted(len(found.files), 'file')} without an error")


# ---- sites ----------------------------------------------------------------------------------------------------------


def _read_sites(folder: Path, names: Sequence[str]) -> tuple[list[Site], list[ConfigError]]:
    """The sites that can be read, and what is wrong with the others. Raises UsageError for a name that none has."""
    from hpcbake.sites import find_sites

    if not names and not folder.is_dir():
        return [], []
    wrong: list[ConfigError] = []
    try:
        return find_sites(folder, names, environment=os.environ, left_out=wrong), wrong
    except ConfigError as error:
        return [], [error]


def _diagnose_sites(
    sites: Sequence[Site], wrong: Sequence[ConfigError], registries: Sequence[str]
) -> Iterator[Diagnosis]:
    from hpcbake.doctor import Diagnosis
    from hpcbake.sites.examine import fail

    with ThreadPoolExecutor(max_workers=16) as pool:
        yield from pool.map(lambda site: _diagnose(site, registries), sites)
    for failure in wrong:
        text = str(failure.evidence.get("output") or failure.message)
        line = fail("config", text, "hpcbake validate", ExitCode.CONFIG)
        yield Diagnosis(Path(failure.message.split(":")[0]).stem, (line,))


def _diagnose(site: Site, registries: Sequence[str]) -> Diagnosis:
    from hpcbake.cli.world import connect
    from hpcbake.doctor import Diagnosis, Question, ask_all, diagnose_site
    from hpcbake.sites.examine import Level, fail, ok
    from hpcbake.smoke.job import parse_slurm_time

    def account() -> Iterator[Line]:
        node = connect(site)
        try:
            began = time.monotonic()
            node.run_script(":", timeout_s=site.login.connect_timeout_s + 30)
            yield ok("login", f"{site.login.host} by {site.login.transport}, {time.monotonic() - began:.1f} s")
            yield from diagnose_site(
                site,
                node,
                registries=registries,
                time_limit_s=parse_slurm_time(site.slurm.time_limit),
                now_s=time.time,
            )
        finally:
            node.close()

    if re.search(r"(^|\.)example\.(org|com|net)$", site.login.host):
        fix = f"hpcbake sites probe USER@HOST -o {site.path} --force"
        text = f"{site.path}: {site.login.host} stands in examples: no cluster of yours is named yet"
        return Diagnosis(site.name, (fail("config", text, fix, ExitCode.CONFIG),))
    lines = ask_all([Question("host-key", lambda: _hops(site), limit_s=3 * site.login.connect_timeout_s + 60)])
    if not any(line.level is Level.FAIL for line in lines):
        lines += ask_all([Question("login", account, limit_s=600.0, fix="look whether the login node hangs")])
    bare = [replace(line, text=line.text.removeprefix(f"{site.name}: ")) for line in lines]
    return Diagnosis(site.name, (ok("config", site.path), *bare))


def _hops(site: Site) -> Iterator[Line]:
    """The keys that are offered to each hop, and the keys that each hop offers."""
    from hpcbake.adapters.host_key_scan import HostKeyScanner
    from hpcbake.adapters.known_hosts import Standing
    from hpcbake.sites.examine import fail, ok, warn

    if site.login.transport == "local":
        return
    try:
        scanner = HostKeyScanner(site)
    except ConfigError as error:
        if site.login.transport != "openssh":
            raise
        yield warn("host-key", error.message.removeprefix(f"{site.name}: "), error.remedy)
        return
    try:
        for index, hop in enumerate(scanner.hops):
            yield from _keys(hop.alias, hop.identity_files)
            key, judgement = scanner.scan(index).worst
            text = f"{hop.alias} ({hop.address}): {key.kind} {key.fingerprint}"
            if judgement.standing is Standing.ACCEPTED:
                yield ok("host-key", f"{text}, known")
            elif judgement.standing is Standing.UNKNOWN:
                fix = f"compare it with what the site publishes, then: hpcbake sites trust {site.name}"
                yield fail("host-key", f"{text} is not known", fix, ExitCode.SITE_TRUST)
                return
            else:
                where = ", ".join(line.place for line in judgement.lines)
                fix = f"ask the site whether its key changed; do not connect before that. Listed: {where}"
                yield fail("host-key", f"{text} is {judgement.standing.value}", fix, ExitCode.SITE_TRUST)
                return
    finally:
        scanner.close()


def _keys(alias: str, files: Sequence[str]) -> Iterator[Line]:
    from hpcbake.sites.examine import fail, ok, warn

    if not files:
        if not os.environ.get("SSH_AUTH_SOCK"):
            text = f"no key file for {alias}, and no agent"
            yield warn("keys", text, "make one: ssh-keygen -t ed25519, and give the site its .pub")
        return
    for file in files:
        open_to = Path(file).stat().st_mode & 0o077
        if open_to:
            text = f"{file} can be read by others (mode {Path(file).stat().st_mode & 0o777:o}): ssh does not use it"
            yield fail("keys", text, f"chmod 600 {file}", ExitCode.PREREQ)
    yield ok("keys", f"for {alias}: {', '.join(files)}")


# ---- face -----------------------------------------------------------------------------------------------------------


def _print(diagnosis: Diagnosis) -> None:
    from hpcbake.cli.looked_at import print_looked_at

    print_looked_at(diagnosis.place, diagnosis.lines)
    click.echo()


def _summary(diagnoses: Sequence[Diagnosis]) -> str:
    from hpcbake.doctor.document import count
    from hpcbake.sites.examine import Level

    return ", ".join(f"{count(diagnoses, level)} {level.value}" for level in Level)
