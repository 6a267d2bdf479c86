"""The bake language: files and overrides in, a resolved Plan out."""

from hpcbake.bakefile.render import portable_plan, render_plan
from hpcbake.bakefile.request import BakeRequest
from hpcbake.bakefile.resolve import resolve

__all__ = ["BakeRequest", "portable_plan", "render_plan", "resolve"]
