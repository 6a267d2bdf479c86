"""Which files of an image matter, and how much: programs people start, extensions Python loads, and leftovers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from enum import Enum

from hpcbake.elf import ElfFacts, FileKind
from hpcbake.image.scan import ScannedImage
from hpcbake.image.tar import EntryKind
from hpcbake.image.tree import Folder, Node
from hpcbake.model.late import dataclass

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})

# Folders whose libraries a program of the image opens by itself, without any soname.
_PLUGIN = re.compile(
    r"/perl5?/.*/auto/.*\.so$|/R/(?:site-)?library/[^/]+/libs/[^/]+\.so$|/gconv/[^/]+\.so$|/security/pam_[^/]+\.so$"
    r"|\.node$|/qt[456]?/plugins/.*\.so$|/ruby/.*\.so$|/lua/[0-9.]+/.*\.so$"
)
_PYTHON_FOLDER = re.compile(
    r"(?:/python(?P<version>[0-9]\.[0-9]+)[a-z]?)?/(?:site-packages|dist-packages|lib-dynload)/"
)
_PYTHON_MODULE = re.compile(
    r"(?P<module>[^/.]+)(?:\.(?:cpython-(?P<digits>[0-9]{2,3})(?P<abi>[a-z]*)(?:-(?P<platform>[A-Za-z0-9_-]+))?|abi3"
    r"|(?P<other>pypy[^./]*)))?\.so$"
)
#: EL8 has its own Python as /usr/libexec/platform-python3.6 only.
_PYTHON_PROGRAM = re.compile(r"(?:platform-)?python(?P<version>[0-9]\.[0-9]+)(?P<abi>[a-z]*)$")
_PYTHON_LIBRARY = re.compile(r"libpython(?P<version>[0-9]\.[0-9]+)[a-z]*\.so[0-9.]*")
#: Never loaded by the image's own programs: debug files, kernels and their modules, firmware of devices.
_ASIDE = re.compile(r"^/(?:usr/lib/debug|boot|proc|sys)/|/lib/(?:modules|firmware)/|\.debug$")


class Role(Enum):
    """How a file comes to run, from most to least certain."""

    HOT = "started by name"  # on PATH, or Entrypoint/Cmd
    PROGRAM = "a program off PATH"
    EXTENSION = "a Python extension"
    PLUGIN = "a plugin"
    LIBRARY = "a library found by name"
    LEFTOVER = "nothing reaches it"


@dataclass(frozen=True, eq=False)
class Subject:
    """One ELF file and its role."""

    path: str
    node: Node
    elf: ElfFacts
    role: Role


@dataclass(frozen=True)
class PythonModule:
    """What an extension's name says: `numpy/core/x.cpython-311-x86_64-linux-gnu.so`."""

    folder: str
    module: str
    #: (3, 11); None for abi3 and untagged modules, which any Python 3 may load.
    version: tuple[int, int] | None
    abi: str = ""
    platform: str = ""
    #: The version of the folder: `/usr/lib/python3.9/site-packages` is read by 3.9 only.
    folder_version: tuple[int, int] | None = None


@dataclass(frozen=True)
class Script:
    """A hot file that is no binary, with the interpreter its first line names."""

    path: str
    node: Node
    interpreter: str
    is_entry: bool


@dataclass(frozen=True)
class Cast:
    """Everybody in the image."""

    programs: tuple[Subject, ...]
    libraries: tuple[Subject, ...]
    scripts: tuple[Script, ...]
    #: Files with the ELF magic that could not be read fully.
    unread: tuple[Subject, ...]
    #: Entrypoint and Cmd words that ought to be programs but lead nowhere.
    missing_entries: tuple[str, ...]
    #: Real paths of Entrypoint and Cmd programs.
    entries: frozenset[str]


def search_path(image: ScannedImage) -> tuple[str, ...]:
    """The folders of the image's PATH."""
    text = image.config.variable("PATH") or DEFAULT_PATH
    return tuple(dict.fromkeys(part.rstrip("/") or "/" for part in text.split(":") if part.startswith("/")))


def cast_image(image: ScannedImage) -> Cast:
    """Sort the files of an image by role; libraries are LEFTOVER, PLUGIN or EXTENSION until something reaches them."""
    entries, missing = _entries(image)
    hot = _hot_files(image) | entries
    scripts = tuple(_scripts(hot, frozenset(entries)))
    for script in scripts:
        found = image.tree.find_file(script.interpreter)
        if found:
            hot[found[0]] = found[1]
    programs, libraries, unread = [], [], []
    for path, node in image.tree.walk():
        elf = node.elf
        if elf is None or _ASIDE.search(path):
            continue
        if elf.problems:
            role = Role.HOT if path in hot else _library_role(path)
            unread.append(Subject(path, node, elf, role))
        elif elf.kind is FileKind.PROGRAM and node.mode & 0o111:
            programs.append(Subject(path, node, elf, Role.HOT if path in hot else Role.PROGRAM))
        elif elf.kind is FileKind.LIBRARY:
            libraries.append(Subject(path, node, elf, _library_role(path)))
    return Cast(tuple(programs), tuple(libraries), scripts, tuple(unread), missing, frozenset(entries))


def find_python_module(path: str) -> PythonModule | None:
    """The module that a `.so` below a Python package folder is, by its name; None for anything else."""
    folder, _, name = path.rpartition("/")
    inside = next(iter([*_PYTHON_FOLDER.finditer(path)][-1:]), None)
    match = _PYTHON_MODULE.fullmatch(name)
    if inside is None or match is None or match["other"]:
        return None
    if name.startswith("lib") and match["digits"] is None and ".abi3." not in name:
        return None
    return PythonModule(
        folder,
        match["module"],
        _version(match["digits"]),
        match["abi"] or "",
        match["platform"] or "",
        _dotted(inside["version"]),
    )


def find_python_version(path: str) -> tuple[int, int] | None:
    """(3, 11) for `/usr/bin/python3.11`, None for other programs."""
    match = _PYTHON_PROGRAM.search(path)
    return _dotted(match["version"]) if match and path.rpartition("/")[2] == match.group() else None


def find_python_of_library(soname: str | None) -> tuple[int, int] | None:
    """(3, 11) for `libpython3.11.so.1.0`: programs that embed Python load extensions like Python itself."""
    match = _PYTHON_LIBRARY.fullmatch(soname or "")
    return _dotted(match["version"]) if match else None


def _version(digits: str | None) -> tuple[int, int] | None:
    return (int(digits[0]), int(digits[1:])) if digits else None


def _dotted(text: str | None) -> tuple[int, int] | None:
    major, dot, minor = (text or "").partition(".")
    return (int(major), int(minor)) if dot else None


def _library_role(path: str) -> Role:
    if find_python_module(path):
        return Role.EXTENSION
    return Role.PLUGIN if _PLUGIN.search(path) else Role.LEFTOVER


def _is_executable(node: Node) -> bool:
    return node.kind is EntryKind.FILE and bool(node.mode & 0o111)


def _hot_files(image: ScannedImage) -> dict[str, Node]:
    hot = {}
    for folder_path in search_path(image):
        found = image.tree.find_folder(folder_path)
        for name, child in found[1].children.items() if found else ():
            if isinstance(child, Folder):
                continue
            file = image.tree.find_file(f"{folder_path}/{name}")
            if file and _is_executable(file[1]):
                hot[file[0]] = file[1]
    return hot


def _entries(image: ScannedImage) -> tuple[dict[str, Node], tuple[str, ...]]:
    """Files that Entrypoint and Cmd start. Later words count too when they name a program: `tini -- app`."""
    config = image.config
    argv = [*config.entrypoint, *config.command]
    found: dict[str, Node] = {}
    missing = []
    for index, word in enumerate(_command_words(argv)):
        file = _find_program(image, word)
        if file:
            found[file[0]] = file[1]
        elif index == 0:
            missing.append(word)
    return found, tuple(missing)


def _command_words(argv: list[str]) -> Iterator[str]:
    """The words of a command, and those inside `sh -c "…"` (the shell form of a Dockerfile)."""
    yield from argv
    for before, flag, text in zip(argv, argv[1:], argv[2:], strict=False):
        if before.rpartition("/")[2] in _SHELLS and flag.startswith("-") and flag.endswith("c"):
            try:
                yield from (word for word in shlex.split(text, comments=True) if word)
            except ValueError:
                return


def _find_program(image: ScannedImage, word: str) -> tuple[str, Node] | None:
    if "/" in word:
        places = [word if word.startswith("/") else f"{image.config.working_dir or ''}/{word}"]
    else:
        places = [f"{folder}/{word}" for folder in search_path(image)]
    for place in places:
        file = image.tree.find_file(place)
        if file and _is_executable(file[1]):
            return file
    return None


def _scripts(hot: dict[str, Node], entries: frozenset[str]) -> Iterator[Script]:
    for path, node in hot.items():
        if node.elf is None and node.content and node.content.startswith(b"#!"):
            # The kernel ends the name at a blank or tab only: a carriage return becomes part of it.
            words = re.split(r"[ \t]+", node.content[2:].decode("utf-8", "surrogateescape").strip(" \t"))
            if words[0]:
                yield Script(path, node, words[0], path in entries)
