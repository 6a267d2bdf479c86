"""What a new project depends on: the answers that a person gave, and good guesses from the folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hpcbake.bakefile.lookup import DEFAULT_NAMES
from hpcbake.errors import UsageError
from hpcbake.model.late import dataclass

#: template → what it is for, as `hpcbake init` asks.
TEMPLATES: dict[str, str] = {
    "python": "a Python program and packages from PyPI",
    "mpi": "a compiled program with Open MPI",
    "gpu": "a CUDA program for NVIDIA GPUs",
    "conda": "an environment from conda-forge, solved by micromamba",
    "pixi": "an environment from conda-forge, locked by pixi",
    "existing": "a bake file that is there already: only what hpcbake needs beside it",
}

#: The registry of those who name none: nobody can push there.
PLACEHOLDER_REGISTRY = "registry.example.org/you"

#: Files that tell what a folder is, in the order in which they are looked for.
_SIGNS = (
    ("pixi.toml", "pixi"),
    ("environment.yml", "conda"),
    ("environment.yaml", "conda"),
    ("pyproject.toml", "python"),
    ("requirements.txt", "python"),
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9][a-z0-9._-]*)*")


@dataclass(frozen=True)
class Answers:
    """Everything that the files of a project depend on. Raises UsageError for what no image can be called."""

    template: str
    name: str
    registry: str = PLACEHOLDER_REGISTRY

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise UsageError(f"there is no template {self.template!r}", remedy=f"take one of {', '.join(TEMPLATES)}")
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} cannot be the name of an image",
                remedy="use lower-case letters, digits, - and _, such as my-solver: --name",
            )
        if not _REGISTRY.fullmatch(self.registry):
            raise UsageError(
                f"{self.registry!r} is no place to push to", remedy="write HOST[:PORT][/NAMESPACE], such as ghcr.io/you"
            )

    @property
    def registry_host(self) -> str:
        """The host alone, or nothing where none was named."""
        return "" if self.registry == PLACEHOLDER_REGISTRY else self.registry.partition("/")[0]


def guess_template(folder: Path) -> str:
    """What the files of this folder look like; `python` for an empty one."""
    if any((folder / name).exists() for name in DEFAULT_NAMES):
        return "existing"
    return next((template for sign, template in _SIGNS if (folder / sign).exists()), "python")


def guess_name(folder: Path) -> str:
    """The folder's name as an image may be called."""
    words = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")
    return words[:63] or "app"


def guess_registry(environment: Mapping[str, str]) -> str:
    """What REGISTRY names, which the bake file would take instead of its own default; else one that is nobody's."""
    named = environment.get("REGISTRY", "")
    return named if _REGISTRY.fullmatch(named) else PLACEHOLDER_REGISTRY
