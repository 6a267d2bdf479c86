"""The facts of one ELF file that decide whether it starts: frozen, comparable, and as JSON for the cache."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any, NamedTuple

from hpcbake.model.late import dataclass


class Machine(IntEnum):
    """The `e_machine` numbers that clusters and laptops have."""

    I386 = 3
    PPC64 = 21
    S390 = 22
    ARM = 40
    X86_64 = 62
    AARCH64 = 183
    RISCV = 243
    LOONGARCH = 258


_MACHINE_NAMES = {
    Machine.I386: "i386",
    Machine.PPC64: "ppc64",
    Machine.S390: "s390x",
    Machine.ARM: "arm",
    Machine.X86_64: "x86_64",
    Machine.AARCH64: "aarch64",
    Machine.RISCV: "riscv64",
    Machine.LOONGARCH: "loongarch64",
}


class FileKind(Enum):
    """What an ELF file is for."""

    PROGRAM = "program"
    LIBRARY = "library"
    OTHER = "other"  # object files, cores, kernel modules, debug files


class VersionNeed(NamedTuple):
    """One `.gnu.version_r` entry: this library must define this version. Weak ones may be absent from glibc 2.30 on."""

    library: str
    version: str
    weak: bool = False


@dataclass(frozen=True)
class LoaderFacts:
    """What a program loader has compiled in: its default folders, in order, and the cache file it reads."""

    folders: tuple[str, ...] = ()
    cache: str = ""


@dataclass(frozen=True)
class ElfFacts:
    """One ELF file as the kernel and the loader see it. Names are text with surrogate escapes, as paths are."""

    bits: int
    little_endian: bool
    type: int  # 1 relocatable, 2 fixed program, 3 shared, 4 core
    machine: int
    interpreter: str | None = None
    dynamic: bool = False
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    needs: tuple[VersionNeed, ...] = ()
    offers: tuple[str, ...] = ()
    #: Its symbols carry versions at all (DT_VERSYM).
    versioned: bool = False
    pie: bool = False
    no_default_folders: bool = False
    relr: bool = False
    #: None: no PT_GNU_STACK at all, which x86 loaders take for executable.
    exec_stack: bool | None = None
    #: The oldest Linux kernel the file accepts, from its ABI tag.
    kernel: tuple[int, int, int] | None = None
    #: X86_ISA_1_NEEDED bits: 1 baseline, 2 v2, 4 v3, 8 v4.
    isa_needed: int = 0
    build_id: str = ""
    #: (library, symbol) wanted at GLIBC_PRIVATE, and symbols defined there: glibc's pieces must be of one build.
    private_needs: tuple[tuple[str, str], ...] = ()
    private_offers: tuple[str, ...] = ()
    loader: LoaderFacts | None = None
    #: The release that a libc.so.6 says it is (`2.28`): its version names can be newer or older.
    release: str = ""
    #: What was not as it should be. A file with problems was not fully read.
    problems: tuple[str, ...] = ()

    @property
    def machine_name(self) -> str:
        name = _MACHINE_NAMES.get(Machine(self.machine)) if self.machine in set(Machine) else None
        if self.machine == Machine.PPC64 and self.little_endian:
            return "ppc64le"
        if self.machine == Machine.X86_64 and self.bits == 32:
            return "x32"
        return name or f"machine {self.machine}"

    @property
    def kind(self) -> FileKind:
        """Programs have an interpreter or are static; libraries may have one too (libc.so.6), but then a soname."""
        if self.type == 2:
            return FileKind.PROGRAM
        if self.type != 3:
            return FileKind.OTHER
        if self.pie or (self.interpreter is not None and self.soname is None):
            return FileKind.PROGRAM
        return FileKind.LIBRARY if self.dynamic else FileKind.OTHER

    @property
    def is_static(self) -> bool:
        """A program that no loader touches. A static PIE has a dynamic section but no interpreter."""
        return self.kind is FileKind.PROGRAM and self.interpreter is None

    @property
    def cpu_level(self) -> int:
        """The x86-64 level that the file demands: 1 to 4, or 0 when it states none."""
        return max((level for level in (1, 2, 3, 4) if self.isa_needed & (1 << (level - 1))), default=0)

    def as_json(self) -> dict[str, Any]:
        """Only what differs from the defaults: most files have few facts."""
        document: dict[str, Any] = {"h": [self.bits, self.little_endian, self.type, self.machine]}
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                document[name] = value
        if self.needs:
            document["needs"] = [[need.library, need.version, need.weak] for need in self.needs]
        if self.loader:
            document["loader"] = [self.loader.folders, self.loader.cache]
        return document


_DEFAULTS: dict[str, Any] = {
    name: field.default
    for name, field in ElfFacts.__dataclass_fields__.items()
    if name not in ("bits", "little_endian", "type", "machine", "needs", "loader")
}
_TUPLES = frozenset(name for name, default in _DEFAULTS.items() if isinstance(default, tuple)) | {"kernel"}


def facts_from_json(document: dict[str, Any]) -> ElfFacts:
    """The inverse of `as_json`. Raises KeyError, TypeError or ValueError for anything else."""
    bits, little_endian, kind, machine = document["h"]
    loader = document.get("loader")
    values: dict[str, Any] = {
        name: tuple(document[name]) if name in _TUPLES else document[name] for name in _DEFAULTS if name in document
    }
    if "private_needs" in values:
        values["private_needs"] = tuple((library, symbol) for library, symbol in values["private_needs"])
    return ElfFacts(
        bits=bits,
        little_endian=little_endian,
        type=kind,
        machine=machine,
        needs=tuple(VersionNeed(library, version, weak) for library, version, weak in document.get("needs", ())),
        loader=LoaderFacts(tuple(loader[0]), loader[1]) if loader else None,
        **values,
    )
