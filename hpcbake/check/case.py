"""One image at one site, with everything that rules ask for worked out once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from hpcbake.check.closure import Closure, Loaded, Universe, Unmet, glibc_release
from hpcbake.check.hostlibraries import NVIDIA, ROCM
from hpcbake.check.loader import Loader
from hpcbake.check.roles import Cast, Role, Subject, cast_image, find_python_module, find_python_version
from hpcbake.elf import ElfFacts, Machine
from hpcbake.image.scan import ScannedImage
from hpcbake.image.tree import Node
from hpcbake.model.late import dataclass
from hpcbake.model.site import Profile, Site
from hpcbake.model.version import Version

_MACHINES = {"x86_64": Machine.X86_64, "aarch64": Machine.AARCH64, "ppc64le": Machine.PPC64}
#: What a machine runs besides its own: the kernels of clusters keep 32-bit emulation.
_ALSO = {"x86_64": ((Machine.I386, 32),), "aarch64": ((Machine.ARM, 32),)}
_PLATFORMS = {"amd64": "x86_64", "arm64": "aarch64", "ppc64le": "ppc64le", "386": "i386", "s390x": "s390x"}
_GLIBC_PIECES = frozenset(
    {
        "libc.so.6",
        "libm.so.6",
        "libmvec.so.1",
        "libpthread.so.0",
        "libdl.so.2",
        "librt.so.1",
        "libresolv.so.2",
        "libutil.so.1",
        "libanl.so.1",
        "libthread_db.so.1",
        "libBrokenLocale.so.1",
        "libnss_files.so.2",
        "libnss_dns.so.2",
        "libnss_compat.so.2",
        "libc_malloc_debug.so.0",
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
        "ld-linux.so.2",
    }
)
_LIBRARY_FOLDER = re.compile(r"(?:/usr)?/lib(?:32|64|x32)?(?:/[a-z0-9_]+-linux-gnu[a-z0-9]*)?$")


@dataclass(frozen=True, eq=False)
class Start:
    """A subject and what loading it brings in."""

    subject: Subject
    closure: Closure

    @property
    def is_hot(self) -> bool:
        return self.subject.role is Role.HOT


class Case:
    """The image, the site's profile, and the loader's answers for both."""

    def __init__(self, image: ScannedImage, site: Site) -> None:
        self.image = image
        self.site = site
        self.profile: Profile = site.profile
        self.cast: Cast = cast_image(image)
        #: Folders already looked at by the rule on permissions: the closed one at or above each.
        self.closed_folders: dict[str, str] = {}
        self.loader = Loader(image, kernel=self.profile.kernel, cpu_level=self.profile.cpu_level)

    @property
    def image_arch(self) -> str:
        """The architecture that the image's config states, in the words of `uname -m`."""
        stated = self.image.config.architecture
        return _PLATFORMS.get(stated, stated)

    def runs_here(self, elf: ElfFacts) -> bool:
        """Whether the site's processors run such a file."""
        own = _MACHINES.get(self.profile.arch)
        if elf.machine == own and elf.bits == 64 and elf.little_endian:
            return True
        return (elf.machine, elf.bits) in _ALSO.get(self.profile.arch, ())

    @cached_property
    def starts(self) -> tuple[Start, ...]:
        """Every program that the site's processors run, with its closure."""
        return tuple(
            Start(subject, self.loader.load(subject.path, subject.node, subject.elf))
            for subject in self.cast.programs
            if self.runs_here(subject.elf) and not self._is_in_nested_root(subject)
        )

    def _is_in_nested_root(self, subject: Subject) -> bool:
        """A program of a system inside the image (a chroot, a cross compiler's root): its own libc will serve it."""
        interpreter = subject.elf.interpreter
        if subject.role is Role.HOT or interpreter is None:
            return False
        return any(
            subject.path.startswith(root + "/") and self.image.tree.find(root + interpreter, follow=False)
            for root in self._libc_roots
        )

    @cached_property
    def _libc_roots(self) -> tuple[str, ...]:
        """Folders below the root that hold a libc.so.6 in one of their library folders."""
        roots = set()
        for subject in self.cast.libraries:
            folder = subject.path.rpartition("/")[0]
            if subject.elf.soname == "libc.so.6" and _LIBRARY_FOLDER.search(folder):
                roots.add(_LIBRARY_FOLDER.sub("", folder))
        return tuple(sorted(roots - {""}))

    @cached_property
    def reached(self) -> dict[int, Role]:
        """What programs load, by identity of the node, with the role of the hottest program that does."""
        reached: dict[int, Role] = {}
        for start in self.starts:
            for loaded in start.closure.objects:
                if start.is_hot or id(loaded.node) not in reached:
                    reached[id(loaded.node)] = start.subject.role
        return reached

    @cached_property
    def base(self) -> Closure | None:
        """A plain process of this image: what a library without a program of its own would be loaded into."""
        plain = [start for start in self.starts if start.closure.libc and not start.closure.interpreter_problem]
        if not plain:
            return None
        return min(
            plain, key=lambda start: (not start.is_hot, _has_own_path(start), len(start.closure.objects))
        ).closure

    @cached_property
    def pythons(self) -> dict[tuple[int, int], Closure]:
        """A process of each Python version of the image."""
        pythons: dict[tuple[int, int], Closure] = {}
        for start in sorted(self.starts, key=lambda start: start.is_hot):
            version = find_python_version(start.subject.path)
            if version and start.closure.libc and not start.closure.interpreter_problem:
                pythons[version] = start.closure
        return pythons

    @cached_property
    def loads(self) -> tuple[Start, ...]:
        """Libraries that no program links against but that something would open: each as dlopen would load it."""
        return tuple(self._load_orphans())

    @cached_property
    def leftovers(self) -> tuple[Start, ...]:
        """Libraries that nothing in the image reaches, as if something did."""
        return tuple(start for start in self.loads if start.subject.role is Role.LEFTOVER)

    @cached_property
    def private_roots(self) -> tuple[str, ...]:
        """Folders that bring a libc of their own: Nix stores, cross compilers, relocated programs."""
        system = {folder for start in self.starts if start.is_hot for folder in self._folders(start.closure)}
        roots = set()
        for subject in self.cast.libraries:
            folder, _, name = subject.path.rpartition("/")
            is_libc = subject.elf.soname in ("libc.so.6", "libc.musl-x86_64.so.1") and name.startswith("libc")
            if is_libc and folder and folder not in system:
                roots.add(_LIBRARY_FOLDER.sub("", folder) or folder)
        return tuple(sorted(roots))

    @cached_property
    def libc(self) -> tuple[str, Node, ElfFacts] | None:
        """The glibc that the image's programs get: the path and facts of its libc.so.6; None on musl or without any."""
        found = self.base.find("libc.so.6") if self.base else None
        if found is None and self.base is not None:
            looked = self.loader.look_up("libc.so.6", self.base)
            found = looked if isinstance(looked, Loaded) else None
        return (found.real_path, found.node, found.elf) if found else self._refused_libc()

    def _refused_libc(self) -> tuple[str, Node, ElfFacts] | None:
        """A libc.so.6 that lies where it should but that its own loader passes over on the site's kernel."""
        universe = self.loader.universe_of(self.base) if self.base else None
        for folder in universe.folders if universe else ():
            found = self.image.tree.find_file(f"{folder}/libc.so.6")
            if found and found[1].elf and self.loader.is_too_new_for_kernel(found[1].elf, universe):
                return found[0], found[1], found[1].elf
        return None

    @cached_property
    def glibc(self) -> Version | None:
        """The release of the image's glibc."""
        return glibc_release(self.libc[2]) if self.libc else None

    @cached_property
    def os_release(self) -> dict[str, str]:
        """The fields of /etc/os-release."""
        found = self.image.tree.find_file("/etc/os-release") or self.image.tree.find_file("/usr/lib/os-release")
        text = (found[1].content or b"").decode("utf-8", "replace") if found else ""
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
        return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}

    @cached_property
    def is_musl(self) -> bool:
        """Whether the image's programs run on musl."""
        return self.base is not None and self.base.libc == "musl"

    def unmet(self) -> Iterator[tuple[Subject, Role, Unmet]]:
        """Every version need that is not met: the object that needs it, and the role that makes it matter."""
        seen: dict[tuple[int, str, str], int] = {}
        found: list[tuple[Subject, Role, Unmet]] = []
        for start in (*self.starts, *self.loads):
            for unmet in start.closure.unmet:
                key = (id(unmet.needed_by.node), unmet.provider.real_path, unmet.version)
                entry = (self.subject_of(unmet.needed_by, start.subject.role), start.subject.role, unmet)
                if key not in seen:
                    seen[key] = len(found)
                    found.append(entry)
                elif _WEIGHT[start.subject.role] > _WEIGHT[found[seen[key]][1]]:
                    found[seen[key]] = entry
        yield from found

    def subject_of(self, loaded: Loaded, role: Role) -> Subject:
        return Subject(loaded.real_path, loaded.node, loaded.elf, role)

    def origin(self, node: Node) -> str:
        """Where a file came from: `layer 5: COPY …`."""
        return self.image.origin(node.layer)

    def site_provides(self, library: str) -> bool:
        """Whether the site's runtime brings this library into the container."""
        mode = self.profile.gpu.mode
        if mode in ("nv", "nvccli") and NVIDIA.fullmatch(library):
            return True
        if mode == "rocm" and ROCM.fullmatch(library):
            return True
        return any(library == injection.name for injection in self.profile.inject)

    def is_configured(self, folder: str) -> bool:
        """Whether ld.so.conf or one of its parts names this folder (which only matters once ldconfig has run)."""
        return folder in self._configured

    @cached_property
    def _configured(self) -> frozenset[str]:
        tree = self.image.tree
        parts = tree.find_folder("/etc/ld.so.conf.d")
        paths = ["/etc/ld.so.conf", *(f"/etc/ld.so.conf.d/{name}" for name in (parts[1].children if parts else ()))]
        named: set[str] = set()
        for path in paths:
            found = tree.find_file(path)
            text = (found[1].content or b"").decode("utf-8", "surrogateescape") if found else ""
            for line in text.splitlines():
                folder = line.partition("#")[0].strip().rstrip("/")
                real = tree.find_folder(folder) if folder.startswith("/") else None
                named |= {folder, real[0]} if real else {folder}
        return frozenset(named)

    def is_glibc_piece(self, elf: ElfFacts) -> bool:
        """libc.so.6, libm, libpthread and the loader itself: parts of one build."""
        return elf.soname in _GLIBC_PIECES

    def is_found_by_name(self, subject: Subject) -> bool:
        """Whether asking a process of this image for the library's soname gives this very file."""
        if self.base is None or not subject.elf.soname:
            return False
        found = self.loader.look_up(subject.elf.soname, self.base)
        return isinstance(found, Loaded) and found.node is subject.node

    def is_private(self, path: str) -> bool:
        return any(path.startswith(root + "/") for root in self.private_roots)

    def _folders(self, closure: Closure) -> Iterator[str]:
        """The real folders that the loader of a system process searches by default."""
        universe: Universe | None = self.loader.universe_of(closure)
        for folder in universe.folders if universe else ():
            found = self.image.tree.find_folder(folder)
            if found:
                yield found[0]

    def _load_orphans(self) -> Iterator[Start]:
        if self.base is None:
            return
        for subject in self.cast.libraries:
            if id(subject.node) in self.reached or not self._is_like(subject.elf, self.base):
                continue
            if self.is_private(subject.path):
                continue
            base = self._base_for(subject)
            role = self._orphan_role(subject, base)
            placed = Subject(subject.path, subject.node, subject.elf, role)
            yield Start(placed, self.loader.load_library(subject.path, subject.node, subject.elf, base))

    def _is_like(self, elf: ElfFacts, base: Closure) -> bool:
        return (elf.machine, elf.bits) == (base.program.elf.machine, base.program.elf.bits)

    def _base_for(self, subject: Subject) -> Closure:
        assert self.base is not None
        module = find_python_module(subject.path)
        if module is None:
            return self.base
        wanted = module.version or module.folder_version
        newest = self.pythons[max(self.pythons)] if self.pythons else self.base
        return self.pythons.get(wanted, newest) if wanted else newest

    def _orphan_role(self, subject: Subject, base: Closure) -> Role:
        if subject.role is not Role.LEFTOVER or not subject.elf.soname:
            return subject.role
        found = self.loader.look_up(subject.elf.soname, base)
        return Role.LIBRARY if isinstance(found, Loaded) and found.node is subject.node else Role.LEFTOVER


_WEIGHT = {role: weight for weight, role in enumerate(reversed(Role))}


def _has_own_path(start: Start) -> bool:
    return start.subject.elf.rpath is not None or start.subject.elf.runpath is not None
