"""What a compose file may see of the world: the folder it is read in, the environment, and `--var`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hpcbake.model.record import Record


class ComposeWorld(Record):
    """`folder` is where relative paths and `.env` are looked up; `variables` beat `environment`, which beats `.env`."""

    folder: Path
    environment: Mapping[str, str]
    variables: Mapping[str, str]
