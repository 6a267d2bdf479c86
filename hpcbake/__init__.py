"""hpcbake: from a bake file to a tested, promoted SIF on every HPC cluster, with one command."""

__all__ = ["__version__"]

#: Looked up when something asks for it: importlib.metadata takes as long to load as click.
__version__: str


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hpcbake")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
