"""hpcbake: from a bake file to a tested, promoted SIF on every HPC cluster, with one command."""

__all__ = ["__version__"]

#: Packaging reads it here. Asking importlib.metadata for it would take as long as loading click does.
__version__ = "0.1.0"
