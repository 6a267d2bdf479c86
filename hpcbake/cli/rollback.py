"""`hpcbake rollback`: give the users of an image an earlier release again."""

from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any

import click

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.cli.console import make_console
from hpcbake.cli.fleet import (
    SiteAnswer,
    ask_sites,
    dry_run_option,
    error_members,
    fleet_code,
    json_option,
    lock_wait_option,
    new_run,
    print_failures,
)
from hpcbake.cli.options import read_sites, site_options
from hpcbake.deliver.mark import refuse_broken_ledger, release_hold
from hpcbake.deliver.rollback import RollbackPlan, RollbackRequest, plan_rollback, rollback
from hpcbake.deliver.status import look_at_store
from hpcbake.errors import ExitCode, UsageError
from hpcbake.model.artefacts import Promotion
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.ship.ports import SiteNode


@dataclass(frozen=True)
class _Done:
    """What happened at one site: a plan alone for a dry run, `released` where only a hold was lifted."""

    plan: RollbackPlan | None = None
    promotion: Promotion | None = None
    released: bool | None = None


@click.command("rollback")
@click.argument("image")
@site_options
@click.option(
    "--to", default="", metavar="RELEASE", help="A digest, a tag, or #N of `hpcbake history`; default: one back."
)
@click.option("--no-hold", is_flag=True, help="Let the next ship promote again.")
@click.option("--release-hold", "only_release", is_flag=True, help="Go nowhere; only let ship promote IMAGE again.")
@lock_wait_option
@dry_run_option
@json_option
def command(
    image: str,
    site_names: tuple[str, ...],
    site_configs: Path,
    to: str,
    no_hold: bool,
    only_release: bool,
    lock_wait: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make an earlier release of IMAGE the current one again, at every site or those named.

    \b
    hpcbake rollback app --site alder              one release back
    hpcbake rollback app --site alder --to 1.0     the release of a tag
    hpcbake rollback app --release-hold            let ship promote again

    Needs SSH and nothing else. The old SIF is read first, every byte, and must have passed its smoke tests
    at that site. The image is then held: `hpcbake ship` delivers and tests new builds but does not promote
    them, until `hpcbake promote` or --release-hold.
    """
    if only_release and (to or no_hold):
        raise UsageError("--release-hold goes nowhere: it takes no --to and no --no-hold", remedy="give one of them")
    sites = read_sites(site_configs, site_names)
    run, created = new_run()
    request = RollbackRequest(image, run, who(), created, to, hold=not no_hold, lock_wait_s=lock_wait)

    def act(site: Site, node: SiteNode) -> _Done:
        look = look_at_store(site, node=node)
        if only_release:
            refuse_broken_ledger(site, look)
            stored = look.find(image)
            if dry_run and stored is not None:
                return _Done(released=bool(stored.hold))
            lifted = release_hold(site, look, image, run=run, by=request.by, node=node, lock_wait_s=lock_wait)
            return _Done(released=lifted)
        plan = plan_rollback(request, site, look)
        if dry_run:
            return _Done(plan)
        return _Done(plan, rollback(plan, request, site, node=node, commands=SpythonCommands()))

    answers = ask_sites(sites, act)
    code = fleet_code(answers)
    if as_json:
        click.echo(json.dumps(_document(request, answers, code, dry_run), indent=2))
    else:
        _print(request, answers, dry_run)
    return int(code)


def who() -> str:
    """The user and machine that ask, as ledgers note them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's uid without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _print(request: RollbackRequest, answers: list[SiteAnswer[_Done]], dry_run: bool) -> None:
    console = make_console()
    for answer in answers:
        if answer.result is not None:
            for line in _lines(request, answer.result, dry_run):
                console.print(f"{answer.site.name}: {line}", markup=False)
    print_failures(console, answers)


def _lines(request: RollbackRequest, done: _Done, dry_run: bool) -> list[str]:
    if done.plan is None:
        word = "would be lifted" if dry_run else "lifted"
        return [f"the hold on {request.image} is {word}" if done.released else f"{request.image} is not held"]
    plan = done.plan
    verb = "would go back" if dry_run else "is back"
    lines = [f"{plan.image} {verb} at {plan.deployment.image.version}, {plan.release.digest}, instead of {plan.before}"]
    lines += [f"note: {note}" for note in (done.promotion.notes if done.promotion else ())]
    if request.hold:
        held = "would then be" if dry_run else "is"
        lines.append(
            f"it {held} held there: hpcbake promote, or hpcbake rollback {plan.image} --release-hold, lifts that"
        )
    return lines


def _document(
    request: RollbackRequest, answers: list[SiteAnswer[_Done]], code: ExitCode, dry_run: bool
) -> dict[str, Any]:
    return {
        "kind": "hpcbake.rollback",
        "version": 1,
        "run": request.run,
        "image": request.image,
        "dry_run": dry_run,
        "exit": int(code),
        "sites": [
            {"name": answer.site.name, **error_members(answer.error)}
            if answer.error
            else {"name": answer.site.name, **_members(request, answer.result or _Done(), dry_run)}
            for answer in answers
        ],
    }


def _members(request: RollbackRequest, done: _Done, dry_run: bool) -> dict[str, Any]:
    if done.plan is None:
        return {"released": done.released}
    return {
        "before": done.plan.before,
        "after": done.plan.before if dry_run else done.plan.release.digest,
        "to": done.plan.release.digest,
        "tag": done.plan.deployment.image.version,
        "sif_sha256": done.plan.deployment.sif_sha256,
        "changed": bool(done.promotion and done.promotion.changed),
        "held": request.hold and not dry_run,
        "notes": list(done.promotion.notes) if done.promotion else [],
    }
