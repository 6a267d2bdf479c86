"""hpcbake: from a bake file to a tested, promoted SIF on every HPC cluster, with one command."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hpcbake")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
