"""What a process consists of: the objects loaded into it, what it misses, and the libc that all of them share."""

from __future__ import annotations

from dataclasses import field

from hpcbake.check.loadercache import LoaderCache
from hpcbake.elf import ElfFacts
from hpcbake.image.tree import Node
from hpcbake.model.late import dataclass
from hpcbake.model.version import Version, find_leading_version


@dataclass(eq=False)
class Loaded:
    """One object in a process: where it was opened, what it is, who asked for it and how it was found."""

    path: str
    real_path: str
    node: Node
    elf: ElfFacts
    parent: Loaded | None = None
    name: str = ""
    how: str = ""

    @property
    def origin(self) -> str:
        """`$ORIGIN`: a program's real folder; a library's folder as it was opened, links not followed."""
        return (self.real_path if self.parent is None else self.path).rpartition("/")[0] or "/"


@dataclass(frozen=True)
class Missing:
    """A needed library that the loader does not find. `rejected` are candidates it passes over, with the reason."""

    name: str
    needed_by: Loaded
    searched: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Unmet:
    """A version need that the library which will really be loaded does not offer."""

    needed_by: Loaded
    provider: Loaded
    version: str
    weak: bool


@dataclass(eq=False)
class Closure:
    """Everything that one start (or dlopen) loads."""

    program: Loaded
    interpreter: str = ""
    loader: Loaded | None = None
    libc: str = ""  # glibc, musl or nothing for a static program
    objects: list[Loaded] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    unmet: list[Unmet] = field(default_factory=list)
    #: Version needs that name a library which is not loaded at all: the loader stops on an assertion.
    unbound: list[tuple[Loaded, str]] = field(default_factory=list)
    #: The interpreter is not there, or is no ELF file of the program's class.
    interpreter_problem: str = ""
    by_name: dict[str, Loaded] = field(default_factory=dict)

    def find(self, name: str) -> Loaded | None:
        """The loaded object that goes by this name: the one it was asked for under, its path, or its soname."""
        return self.by_name.get(name)

    def add(self, loaded: Loaded) -> None:
        """One more object in the process. The first holder of a name keeps it."""
        self.objects.append(loaded)
        self.name(loaded, loaded.name, loaded.path, loaded.elf.soname)

    def name(self, loaded: Loaded, *names: str | None) -> None:
        for name in names:
            if name:
                self.by_name.setdefault(name, loaded)


@dataclass(frozen=True)
class Universe:
    """One kind of process: which loader, its folders, its cache, and the release of its libc."""

    libc: str
    loader_path: str
    folders: tuple[str, ...]
    cache: LoaderCache | None
    release: Version | None
    lib_token: str


def glibc_release(libc: ElfFacts) -> Version | None:
    """The release of a libc.so.6: from its banner, else the newest version it defines."""
    return find_leading_version(libc.release) or newest(libc.offers, "GLIBC_")


def newest(versions: tuple[str, ...], prefix: str) -> Version | None:
    """The newest numeric version of a series, compared as numbers: GLIBC_2.34 is newer than GLIBC_2.4."""
    numbers = [
        version
        for text in versions
        if text.startswith(prefix)
        and (version := find_leading_version(text.removeprefix(prefix)))
        and str(version) == text.removeprefix(prefix)
    ]
    return max(numbers, default=None)
