"""Looks at every config file of a project at once: each by itself, and whether they agree with each other."""

from hpcbake.validation.problem import Problem, Validation, render_validation, validation_as_json
from hpcbake.validation.run import validate

__all__ = ["Problem", "Validation", "render_validation", "validate", "validation_as_json"]
