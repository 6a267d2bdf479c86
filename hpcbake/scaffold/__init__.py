"""Begins a project: renders its files from a template and puts all of them into a folder, or none."""

from hpcbake.scaffold.answers import TEMPLATES, Answers, guess_name, guess_registry, guess_template
from hpcbake.scaffold.placing import Placed, place_files
from hpcbake.scaffold.render import ExistingTarget, render_existing, render_project

__all__ = [
    "TEMPLATES",
    "Answers",
    "ExistingTarget",
    "Placed",
    "guess_name",
    "guess_registry",
    "guess_template",
    "place_files",
    "render_existing",
    "render_project",
]
