"""What the program loader would do with a file of an image: which libraries it finds, where, and what it misses.

A model of glibc's `_dl_map_object_deps` and `_dl_map_object`, and of musl's simpler rules, over the merged file system.
The loader's own default folders and cache file are read from the loader in the image, not guessed from its name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hpcbake.check.closure import Closure, Loaded, Missing, Universe, Unmet, glibc_release
from hpcbake.check.loadercache import CACHE_FLAGS, LoaderCache, parse_loader_cache
from hpcbake.elf import ElfFacts
from hpcbake.image.scan import ScannedImage
from hpcbake.image.tree import Node
from hpcbake.model.version import Version

_GLIBC_FOLDERS = {
    "debian": ("/lib/{triplet}", "/usr/lib/{triplet}", "/lib", "/usr/lib"),
    "other": ("/lib64", "/usr/lib64"),
    "small": ("/lib", "/usr/lib"),
}
_MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
_TRIPLETS = {62: "x86_64-linux-gnu", 3: "i386-linux-gnu", 183: "aarch64-linux-gnu", 21: "powerpc64le-linux-gnu"}
#: What `$PLATFORM` stands for, by machine.
_PLATFORMS = {62: "x86_64", 3: "i686", 183: "aarch64"}
#: Names that musl's loader answers with itself.
_MUSL_OWN = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libcrypt.", "libutil.", "libxnet.")
_MAX_OBJECTS = 4096
GLIBC_HWCAPS_SINCE = Version((2, 33))
ABI_TAG_UNTIL = Version((2, 36))
#: Candidates that end the search with an error, where a foreign architecture is passed over.
TOO_NEW_FOR_KERNEL = "it accepts only Linux"
NOT_ELF, NOT_LIBRARY, IS_FOLDER = "it is no ELF file", "it is no shared library", "it is a folder"
WEAK_HARMLESS_SINCE = Version((2, 30))


class Loader:
    """Resolves files of one image for one kind of node. Answers are remembered."""

    def __init__(self, image: ScannedImage, *, kernel: Version | None = None, cpu_level: int | None = None) -> None:
        self._image = image
        self._tree = image.tree
        self._kernel = kernel
        self._cpu_level = cpu_level or 1
        self._universes: dict[str, Universe | None] = {}
        self._caches: dict[str, LoaderCache | None] = {}
        self.library_path = image.config.variable("LD_LIBRARY_PATH") or ""
        self.preload = self._preloads()

    def _preloads(self) -> tuple[str, ...]:
        """LD_PRELOAD, then /etc/ld.so.preload. One that is not found is passed over by the loader."""
        found = self._tree.find_file("/etc/ld.so.preload")
        lines = (found[1].content or b"").decode("utf-8", "surrogateescape").splitlines() if found else []
        text = " ".join(line.partition("#")[0] for line in lines)
        return tuple(f"{self._image.config.variable('LD_PRELOAD') or ''} {text}".replace(":", " ").split())

    def load(self, path: str, node: Node, elf: ElfFacts) -> Closure:
        """What starting the program at `path` loads."""
        program = Loaded(path, path, node, elf)
        closure = Closure(program, elf.interpreter or "")
        closure.add(program)
        if elf.interpreter is None:
            return closure
        universe = self._universe(elf.interpreter, elf, closure)
        if universe is None:
            return closure
        closure.libc = universe.libc
        self._close(closure, universe, [program], preload=True)
        return closure

    def load_library(self, path: str, node: Node, elf: ElfFacts, base: Closure) -> Closure:
        """What dlopen of the library at `path` adds to the process `base`."""
        library = Loaded(path, path, node, elf, parent=base.program, how="dlopen")
        closure = Closure(library, base.interpreter, base.loader, base.libc, list(base.objects))
        closure.by_name = dict(base.by_name)
        closure.add(library)
        universe = self._universes.get(base.interpreter)
        if universe is None:
            return closure
        self._close(closure, universe, [library])
        return closure

    def look_up(self, name: str, base: Closure) -> Loaded | Missing:
        """What asking for a library by its bare name gives, in the process `base`."""
        universe = self._universes.get(base.interpreter)
        if universe is None:
            return Missing(name, base.program, ())
        return self._find_library(name, base.program, base, universe)

    def universe_of(self, closure: Closure) -> Universe | None:
        """How the process of `closure` searches."""
        return self._universes.get(closure.interpreter)

    def _universe(self, interpreter: str, elf: ElfFacts, closure: Closure) -> Universe | None:
        found = self._tree.find_file(interpreter)
        if found is None:
            closure.interpreter_problem = f"{interpreter} is not in the image"
            return None
        path, node = found
        if node.elf is None or node.elf.problems:
            closure.interpreter_problem = f"{interpreter} is no ELF file that can be read"
            return None
        if (node.elf.bits, node.elf.machine) != (elf.bits, elf.machine):
            closure.interpreter_problem = f"{interpreter} is for {node.elf.machine_name}, not {elf.machine_name}"
            return None
        if interpreter not in self._universes:
            self._universes[interpreter] = self._read_universe(path, node.elf)
        loader = Loaded(interpreter, path, node, node.elf, parent=closure.program, name=interpreter, how="interpreter")
        closure.loader = loader
        closure.add(loader)
        closure.name(loader, interpreter.rpartition("/")[2])
        return self._universes[interpreter]

    def _read_universe(self, path: str, elf: ElfFacts) -> Universe:
        facts = elf.loader
        is_musl = "musl" in path or "musl" in (elf.soname or "") or (elf.soname == "libc.so" and not elf.offers)
        # Alpine's gcompat starts glibc's programs on musl: its "loader" is a small program without any version.
        is_musl |= not elf.offers and self._tree.find_file("/lib/libgcompat.so.0") is not None
        if is_musl:
            return Universe("musl", path, self._musl_folders(path, elf), None, None, "lib")
        folder = path.rpartition("/")[0]
        folders = facts.folders if facts and facts.folders else self._usual_folders(folder, elf)
        cache_path = facts.cache if facts and facts.cache else "/etc/ld.so.cache"
        token = next((name.strip("/") for name in folders if name.startswith("/lib")), "lib64")
        return Universe("glibc", path, folders, self._cache(cache_path), self._libc_release(folders, elf), token)

    def _usual_folders(self, loader_folder: str, elf: ElfFacts) -> tuple[str, ...]:
        """For a loader that does not tell: its own folder, and the distribution's."""
        triplet = _TRIPLETS.get(elf.machine, "")
        places = (f"/lib/{triplet}", f"/usr/lib/{triplet}")
        has_multiarch = bool(triplet) and any(self._tree.find_folder(place) for place in places)
        usual = _GLIBC_FOLDERS["debian" if has_multiarch else "other" if elf.bits == 64 else "small"]
        folders = [name.format(triplet=triplet) for name in usual]
        return tuple(dict.fromkeys([*([loader_folder] if loader_folder else []), *folders]))

    def _libc_release(self, folders: tuple[str, ...], elf: ElfFacts) -> Version | None:
        for folder in folders:
            found = self._tree.find_file(f"{folder}/libc.so.6")
            if found and found[1].elf and found[1].elf.machine == elf.machine and found[1].elf.bits == elf.bits:
                return glibc_release(found[1].elf)
        return None

    def _musl_folders(self, path: str, elf: ElfFacts) -> tuple[str, ...]:
        """`PREFIX/etc/ld-musl-ARCH.path`, with the prefix that the loader lies under; else what is compiled in."""
        prefix, _, name = path.rpartition("/")
        prefix = prefix.removesuffix("/lib")
        stem = name if name.startswith("ld-musl-") else (elf.loader.cache.rpartition("/")[2] if elf.loader else "")
        found = self._tree.find_file(f"{prefix}/etc/{stem.partition('.')[0]}.path")
        if found and found[1].content is not None:
            text = found[1].content.decode("utf-8", "surrogateescape")
            return tuple(part for part in text.replace("\n", ":").split(":") if part)
        return elf.loader.folders if elf.loader and elf.loader.folders else _MUSL_FOLDERS

    def _cache(self, path: str) -> LoaderCache | None:
        if path not in self._caches:
            found = self._tree.find_file(path)
            content = found[1].content if found else None
            self._caches[path] = parse_loader_cache(content) if content else None
        return self._caches[path]

    def _close(self, closure: Closure, universe: Universe, start: list[Loaded], *, preload: bool = False) -> None:
        """Breadth first, as the loader goes; then the versions of everything that is new."""
        queue = deque(start)
        fresh = list(start)
        if preload:
            for name in self.preload:
                found = self._find_library(name, closure.program, closure, universe)
                if isinstance(found, Loaded):
                    queue.append(found)
                    fresh.append(found)
                    closure.add(found)
        while queue and len(closure.objects) < _MAX_OBJECTS:
            current = queue.popleft()
            for name in current.elf.needed:
                if self._is_loaded(name, closure, universe):
                    continue
                found = self._find_library(name, current, closure, universe)
                if isinstance(found, Missing):
                    if all(missing.name != name for missing in closure.missing):
                        closure.missing.append(found)
                    continue
                twin = next((one for one in closure.objects if one.node is found.node and one.elf is found.elf), None)
                if twin:
                    closure.name(twin, found.name, found.path)
                    continue
                closure.add(found)
                fresh.append(found)
                queue.append(found)
        if universe.libc == "glibc":
            for loaded in [*fresh, *([closure.loader] if closure.loader and preload else [])]:
                closure.unmet += self._unmet(loaded, closure)
                closure.unbound += self._unbound(loaded, closure)

    def _is_loaded(self, name: str, closure: Closure, universe: Universe) -> bool:
        if universe.libc == "musl" and name.startswith(_MUSL_OWN) and "/" not in name:
            return True
        return closure.find(name) is not None

    def _unmet(self, loaded: Loaded, closure: Closure) -> Iterator[Unmet]:
        for need in loaded.elf.needs:
            provider = closure.find(need.library)
            if provider is None or need.version in provider.elf.offers:
                continue
            # On a library that defines no versions the loader only remarks; on one without any table of versions it
            # stops by an assertion when it looks the symbol up (`check_match` in dl-lookup.c).
            if provider.elf.offers or not (provider.elf.versioned or need.weak):
                yield Unmet(loaded, provider, need.version, need.weak)

    def _unbound(self, loaded: Loaded, closure: Closure) -> Iterator[tuple[Loaded, str]]:
        # What is missing, or would have come with it, has a finding of its own.
        if closure.missing:
            return
        for library in dict.fromkeys(need.library for need in loaded.elf.needs):
            if closure.find(library) is None:
                yield loaded, library

    def _find_library(self, name: str, wanting: Loaded, closure: Closure, universe: Universe) -> Loaded | Missing:
        rejected: list[tuple[str, str]] = []
        if "/" in name:
            path = self._expand(name, wanting, universe)
            found = self._open(path, wanting, name, "its own path", universe, rejected)
            return found or Missing(name, wanting, (path,), tuple(rejected))
        searched: list[str] = []
        for folder, how in self._folders(wanting, closure, universe):
            if folder not in searched:
                searched.append(folder)
            found = self._look_in(folder, name, how, wanting, universe, rejected)
            if found or _is_fatal(rejected):
                return found or Missing(name, wanting, tuple(searched), tuple(rejected))
        if universe.cache is not None:
            searched.append("ld.so.cache")
            found = self._look_in_cache(name, wanting, universe, rejected)
            if found or _is_fatal(rejected):
                return found or Missing(name, wanting, tuple(searched), tuple(rejected))
        for folder in () if wanting.elf.no_default_folders else universe.folders:
            searched.append(folder)
            found = self._look_in(folder, name, "default folder", wanting, universe, rejected)
            if found or _is_fatal(rejected):
                return found or Missing(name, wanting, tuple(searched), tuple(rejected))
        return Missing(name, wanting, tuple(searched), tuple(dict.fromkeys(rejected)))

    def _folders(self, wanting: Loaded, closure: Closure, universe: Universe) -> Iterator[tuple[str, str]]:
        """The folders searched before cache and defaults, in the loader's order."""
        if universe.libc == "musl":
            yield from self._split(self.library_path, wanting, universe, "LD_LIBRARY_PATH")
            link: Loaded | None = wanting
            while link is not None:
                yield from self._split(
                    link.elf.runpath or link.elf.rpath or "", link, universe, f"rpath of {link.path}"
                )
                link = link.parent
            return
        main = closure.program
        while main.parent is not None:
            main = main.parent
        if wanting.elf.runpath is None:
            link, has_seen_main = wanting, False
            while link is not None:
                if link.elf.runpath is None:
                    yield from self._split(link.elf.rpath or "", link, universe, f"RPATH of {link.path}")
                has_seen_main |= link is main
                link = link.parent
            if not has_seen_main and main.elf.runpath is None:
                yield from self._split(main.elf.rpath or "", main, universe, f"RPATH of {main.path}")
        yield from self._split(self.library_path, main, universe, "LD_LIBRARY_PATH")
        yield from self._split(wanting.elf.runpath or "", wanting, universe, f"RUNPATH of {wanting.path}")

    def _split(self, text: str, loaded: Loaded, universe: Universe, how: str) -> Iterator[tuple[str, str]]:
        if not text:
            return
        for part in text.replace(";", ":").split(":"):
            folder = self._expand(part, loaded, universe)
            # Relative and empty parts mean the folder that the job happens to stand in: nothing to rely on.
            if folder.startswith("/"):
                yield folder.rstrip("/") or "/", how

    def _expand(self, text: str, loaded: Loaded, universe: Universe) -> str:
        if "$" not in text:
            return text
        platform = _PLATFORMS.get(loaded.elf.machine, "")
        for token, value in (("ORIGIN", loaded.origin), ("LIB", universe.lib_token), ("PLATFORM", platform)):
            text = text.replace(f"${{{token}}}", value).replace(f"${token}", value)
        return text

    def _look_in(
        self, folder: str, name: str, how: str, wanting: Loaded, universe: Universe, rejected: list[tuple[str, str]]
    ) -> Loaded | None:
        for subfolder in self._hwcaps(folder, universe):
            found = self._open(f"{folder}/{subfolder}{name}", wanting, name, how, universe, rejected)
            if found:
                return found
        return None

    def _hwcaps(self, folder: str, universe: Universe) -> Iterator[str]:
        """Subfolders for better processors come first; only those that the site's worst node can use."""
        has_them = universe.libc == "glibc" and (universe.release or Version((0,))) >= GLIBC_HWCAPS_SINCE
        if has_them and self._cpu_level > 1 and self._tree.find_folder(f"{folder}/glibc-hwcaps"):
            for level in range(self._cpu_level, 1, -1):
                yield f"glibc-hwcaps/x86-64-v{level}/"
        yield ""

    def _look_in_cache(
        self, name: str, wanting: Loaded, universe: Universe, rejected: list[tuple[str, str]]
    ) -> Loaded | None:
        assert universe.cache is not None
        flags = CACHE_FLAGS.get((wanting.elf.machine, wanting.elf.bits))
        usable = [
            library
            for library in universe.cache.find(name)
            if (flags is None or library.flags == flags) and not library.hwcap and self._can_use(library.subfolder)
        ]
        for library in sorted(usable, key=lambda library: library.subfolder, reverse=True):
            folder = library.path.rpartition("/")[0]
            if wanting.elf.no_default_folders and folder in universe.folders:
                continue
            found = self._open(library.path, wanting, name, "ld.so.cache", universe, rejected)
            if found:
                return found
        return None

    def _can_use(self, subfolder: str) -> bool:
        if not subfolder:
            return True
        level = subfolder.removeprefix("x86-64-v")
        return level.isdigit() and int(level) <= self._cpu_level

    def _open(
        self, path: str, wanting: Loaded, name: str, how: str, universe: Universe, rejected: list[tuple[str, str]]
    ) -> Loaded | None:
        found = self._tree.find_file(path)
        if found is None:
            if self._tree.find_folder(path):
                rejected.append((path, IS_FOLDER))
            return None
        real_path, node = found
        elf = node.elf
        reason = self._refusal(elf, wanting.elf, universe)
        if reason or elf is None:
            rejected.append((path, reason))
            return None
        return Loaded(path, real_path, node, elf, parent=wanting, name=name, how=how)

    def _refusal(self, elf: ElfFacts | None, wanting: ElfFacts, universe: Universe) -> str:
        """Why the loader passes over a candidate; empty when it takes it."""
        if elf is None:
            return NOT_ELF
        if (elf.bits, elf.machine, elf.little_endian) != (wanting.bits, wanting.machine, wanting.little_endian):
            return f"it is for {elf.machine_name}"
        if elf.type != 3 or elf.pie:
            return NOT_LIBRARY
        if self.is_too_new_for_kernel(elf, universe):
            return f"{TOO_NEW_FOR_KERNEL} {'.'.join(map(str, elf.kernel or ()))} or newer"
        return ""

    def is_too_new_for_kernel(self, elf: ElfFacts, universe: Universe | None) -> bool:
        """glibc before 2.36 passes over libraries whose ABI tag is newer than the kernel, without a word."""
        if elf.kernel is None or self._kernel is None or universe is None or universe.libc != "glibc":
            return False
        is_checked = universe.release is not None and universe.release < ABI_TAG_UNTIL
        return is_checked and Version(elf.kernel) > self._kernel


def _is_fatal(rejected: list[tuple[str, str]]) -> bool:
    return bool(rejected) and rejected[-1][1] in (NOT_ELF, NOT_LIBRARY, IS_FOLDER)
