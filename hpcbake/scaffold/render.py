"""The files of a new project, as text by path. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hpcbake.model.late import dataclass
from hpcbake.scaffold.answers import Answers
from hpcbake.ship.project_keys import render_project_schema
from hpcbake.sites import render_site_schema

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_SUFFIX = ".tmpl"
PLACEHOLDER_SITE = "site-configs/mycluster.yaml"
_IGNORE = ".dockerignore"
_MODELINE = "# yaml-language-server: $schema=site-configs/project.schema.json\n"


@dataclass(frozen=True)
class ExistingTarget:
    """A target of the bake file that is there: its name, and whether its context is the project's folder."""

    name: str
    uses_folder: bool


def render_project(answers: Answers, sites: Mapping[str, str]) -> dict[str, str]:
    """Every file of a new project. `sites` are site configs by path; none means one to fill in."""
    own = dict(_read_templates(answers.template, answers))
    return {**own, **_around(answers, sites)}


def render_existing(answers: Answers, targets: Sequence[ExistingTarget], sites: Mapping[str, str]) -> dict[str, str]:
    """What a project with a bake file lacks: everything but the bake file and what it builds from."""
    files = {"hpcbake.yaml": _project_file(targets)}
    if any(target.uses_folder for target in targets):
        files[_IGNORE] = _COPIED_FOLDER_IGNORE
    return {**files, **_around(answers, sites)}


def _around(answers: Answers, sites: Mapping[str, str]) -> dict[str, str]:
    """Site configs, the schemas that editors read, CI."""
    common = dict(_read_templates("common", answers))
    if sites:
        del common[PLACEHOLDER_SITE]
    schemas = {
        "site-configs/site.schema.json": render_site_schema(),
        "site-configs/project.schema.json": render_project_schema(),
    }
    return {**common, **sites, **schemas}


def _read_templates(name: str, answers: Answers) -> Iterator[tuple[str, str]]:
    """The files of one template. In their paths `dot-` is a dot and NAME the project's name."""
    folder = _TEMPLATES / name
    for path in sorted(folder.rglob(f"*{_SUFFIX}")):
        parts = str(path.relative_to(folder).as_posix()).removesuffix(_SUFFIX).split("/")
        named = "/".join(part.replace("dot-", ".", 1) if part.startswith("dot-") else part for part in parts)
        text = path.read_text(encoding="utf-8")
        yield (
            named.replace("NAME", answers.name),
            text.replace("@NAME@", answers.name).replace("@REGISTRY@", answers.registry),
        )


def _project_file(targets: Sequence[ExistingTarget]) -> str:
    names = ", ".join(target.name for target in targets)
    return (
        f"{_MODELINE}"
        "# Smoke tests: jobs on a compute node of every site, from the delivered SIF, before users get it.\n"
        "# More of them, and what else this file may say: docs/how-to/smoke-tests.md of hpcbake.\n"
        "smoke:\n"
        "  - name: cpu  # the container starts and sees the node it runs on\n"
        f"    targets: [{names}]\n"
    )


#: For contexts that are copied as they are: what an image must not hold, and what changes without a reason to build.
_COPIED_FOLDER_IGNORE = """\
# What no image is built from, and must not hold.
.git
.env
.env.*
.netrc
.ssh
*.key
*.pem
*.sif
__pycache__
.venv
.github
.gitlab-ci.yml
site-configs
hpcbake*.yaml
"""
