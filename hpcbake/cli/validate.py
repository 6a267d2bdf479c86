"""`hpcbake validate`: every config file of a project at once, and whether they agree."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from hpcbake.cli.options import configs_option
from hpcbake.errors import ConfigError, ExitCode, UsageError


@click.command("validate", short_help="Look for mistakes in every config file at once.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@configs_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--schema",
    type=click.Choice(["project", "site", "policy", "validation"]),
    help="Print the JSON Schema of such a file instead; `validation`: of what --json prints.",
)
def command(paths: tuple[Path, ...], site_configs: Path, as_json: bool, schema: str | None) -> int:
    """Look at every config file of the project at once, and tell all that is wrong with file, line and column.

    Reads the bake files, hpcbake.yaml, the site configs, hpcbake-check.yaml and the project's own job templates,
    and compares them: a target, site, template or test that one of them names must exist. With PATH: these files,
    or the projects in these folders. Asks nobody and changes nothing. Exits with 10 when there are errors.

    \b
    Examples:
      hpcbake validate
      hpcbake validate site-configs/mine.yaml
      hpcbake validate --schema site >site-configs/site.schema.json
    """
    if schema is not None:
        if paths or as_json:
            raise UsageError("--schema prints a schema and looks at nothing", remedy="leave PATH and --json away")
        click.echo(_schema(schema), nl=False)
        return 0
    from hpcbake.cli.configuration import config_files
    from hpcbake.cli.printing import local_platform
    from hpcbake.validation import Problem, Validation, render_validation, validate, validation_as_json

    try:
        found = validate(
            paths,
            folder=Path(),
            site_configs=site_configs,
            environment=os.environ,
            local_platform=local_platform(),
            settings=[path for _, path in config_files(os.environ)],
        )
    except ConfigError as error:  # nothing to look at, or a folder that cannot be listed
        if not as_json:
            raise
        found = Validation(problems=(Problem(".", 1, 1, error.message, error.remedy),))
    code = ExitCode.CONFIG if found.has_errors else ExitCode.OK
    if as_json:
        click.echo(json.dumps(validation_as_json(found, int(code)), indent=2))
    else:
        click.echo(render_validation(found))
    return int(code)


def _schema(name: str) -> str:
    from hpcbake.ship.project_keys import render_project_schema
    from hpcbake.sites import render_site_schema
    from hpcbake.validation.schema import render_policy_schema, render_validation_schema

    render = {
        "project": render_project_schema,
        "site": render_site_schema,
        "policy": render_policy_schema,
        "validation": render_validation_schema,
    }
    return render[name]()
