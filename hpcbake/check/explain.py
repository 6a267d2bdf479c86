"""How one file of an image is resolved: `ldd -v` for an image that need not run, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case, Start
from hpcbake.check.closure import Closure, Loaded
from hpcbake.check.roles import Role, Subject
from hpcbake.elf import ElfFacts, FileKind
from hpcbake.errors import UsageError
from hpcbake.image.scan import ScannedImage
from hpcbake.image.tar import EntryKind
from hpcbake.image.tree import Folder, Node
from hpcbake.model.site import Site
from hpcbake.model.version import symbol_version_key


def explain_path(image: ScannedImage, site: Site, path: str) -> str:
    """What `path` is, where it came from, what it needs, and what it would get. Raises UsageError for no such file."""
    case = Case(image, site)
    found = image.tree.find(path if path.startswith("/") else f"/{path}")
    if found is None:
        raise UsageError(f"{path} is not in {image.name}", remedy="give its absolute path inside the image")
    if isinstance(found.node, Folder):
        return f"{found.path}: a folder from {image.origin(found.node.layer)}"
    return "\n".join(_explain(case, found.path, found.node))


def render_tree(image: ScannedImage, site: Site) -> str:
    """The programs that people start, and everything each loads, as an indented tree."""
    case = Case(image, site)
    lines: list[str] = []
    for start in sorted(case.starts, key=lambda start: start.subject.path):
        if start.is_hot and start.closure.interpreter:
            lines += [start.subject.path, *_branches(start.closure)]
    return "\n".join(lines)


def find_start(case: Case, path: str) -> Start | None:
    """The start or dlopen that the check judged for this file."""
    return next((start for start in (*case.starts, *case.loads) if start.subject.path == path), None)


def _explain(case: Case, path: str, node: Node) -> Iterator[str]:
    yield path
    yield f"  from      {case.origin(node) or 'an unknown layer'}, mode {node.mode:04o}"
    if node.kind is not EntryKind.FILE or node.elf is None:
        yield f"  is        {'no ELF file' if node.kind is EntryKind.FILE else node.kind.name.lower()}"
        if node.content and node.content.startswith(b"#!"):
            yield f"  starts    {node.content[2:].decode('utf-8', 'replace').strip()}"
        return
    elf = node.elf
    yield f"  is        {_kind(elf)} for {elf.machine_name}, {elf.bits} bits"
    for label, text in _own_facts(elf):
        yield f"  {label:<9} {text}"
    start = find_start(case, path) or _start_anyway(case, path, node, elf)
    if start is None:
        yield "  role      the site's processors do not run it" if not case.runs_here(elf) else "  role      none"
        return
    yield f"  role      {start.subject.role.value}"
    yield from _resolved(start.closure)


def _kind(elf: ElfFacts) -> str:
    if elf.problems:
        return f"damaged ({'; '.join(elf.problems)})"
    if elf.is_static:
        return "a static program"
    return (
        "a program" if elf.kind is FileKind.PROGRAM else "a library" if elf.kind is FileKind.LIBRARY else "no program"
    )


def _own_facts(elf: ElfFacts) -> Iterator[tuple[str, str]]:
    if elf.interpreter:
        yield "loader", elf.interpreter
    if elf.soname:
        yield "soname", elf.soname
    if elf.rpath:
        yield "RPATH", elf.rpath + (" (ignored: there is a RUNPATH)" if elf.runpath else "")
    if elf.runpath:
        yield "RUNPATH", elf.runpath
    if elf.kernel:
        yield "kernel", ".".join(map(str, elf.kernel)) + " or newer"
    if elf.cpu_level:
        yield "CPU", f"x86-64-v{elf.cpu_level}"


def _start_anyway(case: Case, path: str, node: Node, elf: ElfFacts) -> Start | None:
    """Files that no judgement needed: libraries that programs load, and programs of nested roots."""
    if not case.runs_here(elf) or elf.problems:
        return None
    role = case.reached.get(id(node), Role.LEFTOVER)
    if elf.kind is FileKind.LIBRARY and case.base:
        return Start(Subject(path, node, elf, role), case.loader.load_library(path, node, elf, case.base))
    return Start(Subject(path, node, elf, role), case.loader.load(path, node, elf))


def _resolved(closure: Closure) -> Iterator[str]:
    if closure.interpreter_problem:
        yield f"  BROKEN    {closure.interpreter_problem}"
        return
    if not closure.interpreter:
        return
    own = [loaded for loaded in closure.objects if _is_new(loaded, closure)]
    yield "  loads"
    for name in closure.program.elf.needed:
        there = closure.find(name)
        if there is not None and all(there is not one for one in own):
            yield f"    {name} => {there.path}  (already in the process that opens it)"
    for loaded in own:
        yield f"    {loaded.name or loaded.path} => {loaded.path}  ({loaded.how}, for {_asker(loaded)})"
    for missing in closure.missing:
        yield f"    {missing.name} => NOT FOUND, for {missing.needed_by.path}; searched {', '.join(missing.searched)}"
        for candidate, reason in missing.rejected:
            yield f"      passed over {candidate}: {reason}"
    unmet = {(one.needed_by.path, one.provider.path, one.version): one for one in closure.unmet}
    yield "  versions"
    for loaded in (closure.program, *own):
        # All that one library offers to another stands on one line, oldest first.
        versions: dict[str, list[str]] = {}
        for need in loaded.elf.needs:
            provider = closure.find(need.library)
            where = provider.path if provider else f"{need.library}, which is not loaded"
            bad = provider is not None and (loaded.path, provider.path, need.version) in unmet
            weak = " (weak)" if need.weak else ""
            versions.setdefault(f"{'NOT OFFERED BY' if bad else 'from'} {where}{weak}", []).append(need.version)
        for source, needed in versions.items():
            names = ", ".join(sorted(needed, key=symbol_version_key))
            yield f"    {loaded.path.rpartition('/')[2]} needs {names} {source}"


def _is_new(loaded: Loaded, closure: Closure) -> bool:
    """Not the program itself, and not what the process had loaded before a dlopen."""
    link: Loaded | None = loaded
    while link is not None and link is not closure.program:
        link = link.parent
    return loaded is not closure.program and link is closure.program


def _asker(loaded: Loaded) -> str:
    return loaded.parent.path.rpartition("/")[2] if loaded.parent else "the kernel"


def _branches(closure: Closure) -> Iterator[str]:
    children: dict[int, list[Loaded]] = {}
    for loaded in closure.objects:
        if loaded.parent is not None and loaded.how != "interpreter":
            children.setdefault(id(loaded.parent), []).append(loaded)

    def below(parent: Loaded, depth: int) -> Iterator[str]:
        for child in children.get(id(parent), ()):
            yield f"{'  ' * depth}{child.name} => {child.path}"
            yield from below(child, depth + 1)
        for missing in closure.missing:
            if missing.needed_by is parent:
                yield f"{'  ' * depth}{missing.name} => NOT FOUND"

    yield from below(closure.program, 1)
