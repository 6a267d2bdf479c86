"""What a compose file may see of the world: the folder it is read in, the environment, and `--var`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ComposeWorld:
    """`folder` is where relative paths and `.env` are looked up; `variables` beat `environment`, which beats `.env`."""

    folder: Path
    environment: Mapping[str, str]
    variables: Mapping[str, str]
