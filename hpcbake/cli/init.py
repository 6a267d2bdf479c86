"""`hpcbake init`: begins a project, or gives one with a bake file what it lacks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpcbake.cli.site_target import target_options
from hpcbake.errors import ConfigError, HpcbakeError
from hpcbake.model.late import dataclass

if TYPE_CHECKING:
    from hpcbake.scaffold import Answers, ExistingTarget, Placed

_TEMPLATES = ("python", "mpi", "gpu", "conda", "pixi", "existing")


@click.command("init", short_help="Begin a project: bake file, Dockerfile, tests, site config, CI.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), metavar="[DIR]")
@click.option("--template", type=click.Choice(_TEMPLATES), help="What it holds; default: by what lies in DIR.")
@click.option("--name", help="Name of the image; default: the folder's.")
@click.option(
    "--registry",
    metavar="HOST[/NAMESPACE]",
    help="Where images are pushed to, such as ghcr.io/you; default: $REGISTRY.",
)
@click.option("--site", "login", metavar="USER@HOST", help="Look at this cluster's login node and write its config.")
@target_options
@click.option("--yes", is_flag=True, help="Ask nothing: what is not given is guessed.")
@click.option("--force", "replace", multiple=True, metavar="FILE", help="Replace this file; the old one is kept.")
def command(
    folder: Path,
    template: str | None,
    name: str | None,
    registry: str | None,
    login: str | None,
    ssh_config: str | None,
    transport: str | None,
    yes: bool,
    replace: tuple[str, ...],
) -> None:
    """Begin a project in DIR (default: here), ready for validate, lint and ship.

    Writes a bake file, a Dockerfile with a small program, .dockerignore, smoke tests (hpcbake.yaml), a site config
    and CI files for GitHub and GitLab. In a folder with a bake file: only what is missing beside it. On a terminal
    it asks what is not given; elsewhere, and with --yes, it guesses. A file that is there is never overwritten:
    all files are written, or none.

    \b
    Examples:
      hpcbake init my-solver --template mpi
      hpcbake init --yes --registry ghcr.io/you
      hpcbake init --template existing --site you@login.example.org
    """
    from hpcbake.scaffold import Answers, place_files, render_existing, render_project

    asked = _ask(folder, _Given(template, name, registry, login), ask=not yes and sys.stdin.isatty())
    answers = Answers(asked.template or "", asked.name or "", asked.registry or "")
    targets = _existing_targets(folder) if answers.template == "existing" else []
    sites = _probed(asked.login, answers, ssh_config, transport) if asked.login else {}
    if answers.template == "existing":
        files = render_existing(answers, targets, _sites_there(folder) or sites)
        kept = [file for file in files if os.path.lexists(folder / file) and file not in replace]
        files = {file: text for file, text in files.items() if file not in kept}
    else:
        files, kept = render_project(answers, sites), []
    _tell(folder, place_files(folder, files, replace=replace), kept, sites)


@dataclass(frozen=True)
class _Given:
    template: str | None
    name: str | None
    registry: str | None
    login: str | None


def _ask(folder: Path, given: _Given, *, ask: bool) -> _Given:
    """What was given, and for the rest what a person says or else the guess."""
    from hpcbake.scaffold import TEMPLATES, guess_name, guess_registry, guess_template

    template = given.template or guess_template(folder)
    name, registry = given.name or guess_name(folder), given.registry or guess_registry(os.environ)
    if not ask:
        return _Given(template, name, registry, given.login)
    if not given.template:
        for word, about in TEMPLATES.items():
            click.echo(f"  {word:<9} {about}")
        template = click.prompt("Template", default=template, type=click.Choice(list(TEMPLATES)), show_choices=False)
    if template != "existing":
        name = given.name or click.prompt("Name of the image", default=name, value_proc=_name)
        registry = given.registry or click.prompt("Registry to push to", default=registry, value_proc=_registry)
    login = given.login
    if login is None:
        question = "Your login on a cluster, as USER@HOST (empty: later)"
        login = click.prompt(question, default="", show_default=False, value_proc=_login)
    return _Given(template, name, registry, login or None)


def _name(text: str) -> str:
    """A name that can be one, or the question again."""
    from hpcbake.scaffold import Answers

    return _checked(lambda: Answers("python", text.strip()).name)


def _registry(text: str) -> str:
    """The same for a registry; what people copy from the address bar is understood."""
    from hpcbake.scaffold import Answers

    bare = text.strip().removeprefix("https://").rstrip("/")
    return _checked(lambda: Answers("python", "app", bare).registry)


def _login(text: str) -> str:
    from hpcbake.cli.site_target import find_target

    if text.strip():
        _checked(lambda: find_target(text.strip(), Path(os.devnull), None, None).name)
    return text.strip()


def _checked(make: Callable[[], str]) -> str:
    try:
        return make()
    except HpcbakeError as error:
        raise click.UsageError(f"{error.message}: {error.remedy}") from error


def _existing_targets(folder: Path) -> list[ExistingTarget]:
    """The targets of the bake files that are there: those of the default group, or all. Raises as the reader does."""
    from hpcbake.bakefile import BakeRequest
    from hpcbake.bakefile.resolve import plan_of, read_request
    from hpcbake.cli.printing import local_platform
    from hpcbake.scaffold import ExistingTarget

    request = BakeRequest()
    read = read_request(request, folder=folder, environment=os.environ, local_platform=local_platform())
    names = sorted(read.model.targets)
    if not names:
        raise ConfigError("the bake file has no target", remedy="write one: docs/reference/bake-language.md")
    if not {"default"} & {*read.model.targets, *read.model.groups}:
        request = BakeRequest(targets=tuple(names))
    plan = plan_of(read, request, folder=folder, environment=os.environ)
    return [
        ExistingTarget(name, str(target.attributes.get("context", ".")) in (".", "./"))
        for name, target in plan.targets.items()
    ]


def _sites_there(folder: Path) -> dict[str, str]:
    """The site configs of a project that has some: none is added to them unasked."""
    found = sorted((folder / "site-configs").glob("*.yaml")) if (folder / "site-configs").is_dir() else []
    return {f"site-configs/{path.name}": "" for path in found}


def _probed(login: str, answers: Answers, ssh_config: str | None, transport: str | None) -> dict[str, str]:
    """The site config that the probe of this login drafts, by its path. Raises as the probe does."""
    from hpcbake.cli.site_target import find_target
    from hpcbake.cli.world import connect
    from hpcbake.sites import parse_site
    from hpcbake.sites.draft import render_draft, site_name
    from hpcbake.sites.probe import probe_site

    site = find_target(login, Path(os.devnull), ssh_config, transport)
    name = site_name(site.login.host)
    registries = [answers.registry_host] if answers.registry_host else []
    click.echo(f"looking at {login} ...", err=True)
    node = connect(site)
    try:
        probed = probe_site(site, node, registries=registries)
    except HpcbakeError as error:
        error.message += "; nothing was written"
        if error.kind.startswith("ssh.host-key"):
            error.remedy = f"compare the fingerprint with what the site publishes: hpcbake sites trust {login}"
        raise
    finally:
        node.close()
    draft = render_draft(probed, site, name=name, day=time.strftime("%Y-%m-%d", time.gmtime()))
    parse_site(draft, f"{name}.yaml", environment=os.environ)  # what does not read well is not handed out
    return {f"site-configs/{name}.yaml": draft}


def _tell(folder: Path, placed: Placed, kept: Sequence[str], sites: Mapping[str, str]) -> None:
    """What was written, what was left alone, and three lines of what to do next."""
    where = "here" if folder == Path() else f"in {folder}"
    if placed.written:
        click.echo(f"wrote {len(placed.written)} file{'' if len(placed.written) == 1 else 's'} {where}:")
    else:
        click.echo(f"nothing to write {where}: every file is there")
    for name in placed.written:
        click.echo(f"  {name}")
    for backup in placed.backups:
        click.echo(f"  {backup}  (the old one)")
    for name in kept:
        click.echo(f"  {name}  (was there, left as it is)")
    go = "" if folder == Path() else f"cd {folder} && "
    config = next(iter(sites), "") or next((n for n in placed.written if n == "site-configs/mycluster.yaml"), "")
    site = Path(config).stem
    if sites:
        second = f"read {config}, then try it: hpcbake doctor --site {site}"
    elif config:
        second = f"tell it your cluster: hpcbake sites probe USER@HOST -o {config} --force"
    else:
        second = "try your clusters: hpcbake doctor"
    click.echo(f"next:\n  1. {go}hpcbake validate && hpcbake lint\n  2. {second}\n  3. hpcbake ship")
