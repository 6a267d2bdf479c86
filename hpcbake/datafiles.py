"""Where the files that travel with hpcbake lie: site configs, job templates, the lab."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """The folder `site-configs`, `slurm` or `lab`: inside an installed wheel, or beside the package in a clone."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def built_from() -> str:
    """The commit that an installed wheel was made from; empty in a clone."""
    written = _PACKAGE / "_data" / "commit"
    return written.read_text(encoding="ascii").strip() if written.is_file() else ""
