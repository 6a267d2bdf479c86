"""`hpcbake sites check`: whether every site is as its config says, before anything depends on it."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from hpcbake.cli.looked_at import print_looked_at
from hpcbake.cli.options import configs_option
from hpcbake.errors import ConfigError, ExitCode, HpcbakeError, overall_exit_code
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.sites import find_sites
from hpcbake.sites.examine import Level, Line, examine_site, fail, ok
from hpcbake.sites.scripts import render_site_script


@dataclass(frozen=True)
class Examined:
    """One site, or one file that is no site, with everything that was looked at."""

    name: str
    lines: tuple[Line, ...]

    @property
    def code(self) -> ExitCode:
        """The class of the first thing that fails: what comes after it may only follow from it."""
        return next((line.code for line in self.lines if line.level is Level.FAIL), ExitCode.OK)


@click.command("check")
@click.argument("names", nargs=-1)
@configs_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(names: tuple[str, ...], site_configs: Path, as_json: bool) -> int:
    """Log in at the named sites, or all, and try what a run will need. Changes nothing.

    Looks at the config, the login and its host keys, the store, the container runtime, what Slurm says to the
    job that would be submitted, and the profile. Exit code 0 when nothing fails; a warning is no failure.
    """
    wrong: list[ConfigError] = []
    try:
        sites = find_sites(site_configs, names, environment=os.environ, left_out=wrong)
    except ConfigError as error:  # not one of them can be read
        if not as_json:
            raise
        click.echo(json.dumps(_document([_wrong_file(error)]), indent=2))
        return int(error.exit_code)
    with ThreadPoolExecutor(max_workers=16) as pool:
        examined = [*pool.map(examine, sites), *map(_wrong_file, wrong)]
    if as_json:
        click.echo(json.dumps(_document(examined), indent=2))
    else:
        for item in examined:
            print_looked_at(item.name, item.lines)
    return int(overall_exit_code([item.code for item in examined]))


def _wrong_file(failure: ConfigError) -> Examined:
    text = str(failure.evidence.get("output") or failure.message)
    return Examined(Path(failure.message.split(":")[0]).stem, (fail("config", text, failure.remedy, ExitCode.CONFIG),))


def examine(site: Site) -> Examined:
    from hpcbake.cli.world import connect
    from hpcbake.smoke.job import parse_slurm_time

    lines = [ok("config", site.path)]
    node = connect(site)
    began = time.monotonic()
    try:
        node.run_script(
            render_site_script("hello", root=site.store.root, run="hello"), timeout_s=site.login.connect_timeout_s + 30
        )
        key = f", host key {node.host_key}" if node.host_key else ""
        lines.append(ok("login", f"{site.login.host} by {site.login.transport}, {time.monotonic() - began:.1f} s{key}"))
        limit_s = parse_slurm_time(site.slurm.time_limit)
        lines += examine_site(site, node, time_limit_s=limit_s, now_s=time.time())
    except HpcbakeError as error:
        detail = error.evidence.get("output")
        message = error.message.removeprefix(f"{site.name}: ")
        lines.append(fail("login", f"{message}\n{detail}" if detail else message, error.remedy, error.exit_code))
    finally:
        node.close()
    return Examined(site.name, tuple(lines))


def _document(examined: list[Examined]) -> dict[str, Any]:
    return {
        "kind": "hpcbake.sites-check",
        "version": 1,
        "exit": int(overall_exit_code([item.code for item in examined])),
        "sites": [
            {
                "name": item.name,
                "exit": int(item.code),
                "lines": [
                    {"topic": line.topic, "level": line.level.value, "text": line.text, "fix": line.fix}
                    for line in item.lines
                ],
            }
            for item in examined
        ],
    }
