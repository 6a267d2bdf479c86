"""The final file system of an image: layers merged as a container runtime would, links resolved inside the root.

Every node knows its layer, so every finding can name the instruction that brought a file in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hpcbake.elf import ElfFacts
from hpcbake.image.layer import LayerEntry, LayerFacts
from hpcbake.image.tar import EntryKind

_MAX_LINKS = 40
# Looked at for every entry: an enum's member costs more than a name of the module.
_FILE, _FOLDER, _SYMLINK, _HARDLINK = EntryKind.FILE, EntryKind.FOLDER, EntryKind.SYMLINK, EntryKind.HARDLINK
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(slots=True)
class Node:
    """A file, link, device or fifo. Plain files of one layer and mode share one node."""

    kind: EntryKind
    mode: int
    layer: int
    target: str = ""
    elf: ElfFacts | None = None
    content: bytes | None = None
    has_capability: bool = False


class Folder:
    """A directory: children by name."""

    __slots__ = ("children", "layer", "mode")

    def __init__(self, mode: int, layer: int) -> None:
        self.children: dict[str, Node | Folder] = {}
        self.mode = mode
        self.layer = layer


class Found(NamedTuple):
    """What a path leads to, and its real path after all links (with a leading slash)."""

    path: str
    node: Node | Folder


class Tree:
    """A merged file system. Build it by adding layers from the lowest up; then only look."""

    def __init__(self) -> None:
        self.root = Folder(0o755, 0)
        self._plain: dict[tuple[int, int], Node] = {}
        self._folders: dict[str, Folder] = {}
        self._found: dict[str, Found | None] = {}
        #: What could not be merged as written.
        self.problems: list[str] = []

    def add_layer(self, facts: LayerFacts, layer: int) -> None:
        """Merge one layer on top. Whiteouts act on the layers below only, wherever they stand in the archive."""
        self._folders.clear()
        self._found.clear()
        for entry in facts.entries:
            if _WHITEOUT in entry.path:
                self._white_out(entry.path)
        self._folders.clear()
        for entry in facts.entries:
            if not (_WHITEOUT in entry.path and _is_whiteout(entry.path)):
                self._add(entry, layer)
        self._folders.clear()

    def find(self, path: str, *, follow: bool = True) -> Found | None:
        """What `path` leads to inside the root; None when it leads nowhere or in circles. `..` stops at the root."""
        if not follow:
            return self._walk(path, follow=False)
        if path not in self._found:
            self._found[path] = self._walk(path, follow=True)
        return self._found[path]

    def find_file(self, path: str) -> tuple[str, Node] | None:
        """The real path and node of a regular file, or None."""
        found = self.find(path)
        if found is None or isinstance(found.node, Folder) or found.node.kind is not EntryKind.FILE:
            return None
        return found.path, found.node

    def find_folder(self, path: str) -> tuple[str, Folder] | None:
        """The real path and folder, or None."""
        found = self.find(path)
        return (found.path, found.node) if found and isinstance(found.node, Folder) else None

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Every path that is no folder, with a leading slash, folder by folder."""
        pending = [("", self.root)]
        while pending:
            prefix, folder = pending.pop()
            for name, child in folder.children.items():
                path = f"{prefix}/{name}"
                if isinstance(child, Folder):
                    pending.append((path, child))
                else:
                    yield path, child

    def walk_folders(self) -> Iterator[tuple[str, Folder]]:
        """Every folder below the root, with a leading slash."""
        pending = [("", self.root)]
        while pending:
            prefix, folder = pending.pop()
            for name, child in folder.children.items():
                if isinstance(child, Folder):
                    pending.append((f"{prefix}/{name}", child))
                    yield f"{prefix}/{name}", child

    def _walk(self, path: str, *, follow: bool) -> Found | None:
        folder = self.root
        parents: list[Folder] = []
        names: list[str] = []
        parts = _parts(path)
        links = 0
        while parts:
            part = parts.pop()
            if part == "..":
                if parents:
                    folder = parents.pop()
                    names.pop()
                continue
            child = folder.children.get(part)
            if child is None:
                return None
            if isinstance(child, Folder):
                parents.append(folder)
                names.append(part)
                folder = child
                continue
            if child.kind is EntryKind.SYMLINK and (parts or follow):
                links += 1
                if links > _MAX_LINKS:
                    return None
                if child.target.startswith("/"):
                    folder, parents, names = self.root, [], []
                parts += _parts(child.target)
                if len(parts) > 4096:
                    return None
                continue
            return Found("/" + "/".join([*names, part]), child) if not parts else None
        return Found("/" + "/".join(names), folder)

    def _white_out(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        if not name.startswith(_WHITEOUT):
            return
        found = self._walk(parent, follow=True)
        if found is None or not isinstance(found.node, Folder):
            return
        if name == _OPAQUE:
            found.node.children.clear()
        elif not name.startswith(_WHITEOUT + _WHITEOUT):
            found.node.children.pop(name.removeprefix(_WHITEOUT), None)

    def _add(self, entry: LayerEntry, layer: int) -> None:
        parent_path, _, name = entry.path.rpartition("/")
        is_folder = entry.kind == _FOLDER
        if not name:
            if is_folder:
                self.root.mode = entry.mode
            return
        folder = self._folders.get(parent_path) if parent_path else self.root
        if folder is None:
            folder = self._folder(parent_path, layer)
        existing = folder.children.get(name)
        if is_folder:
            if isinstance(existing, Folder):
                existing.mode, existing.layer = entry.mode, layer
            else:
                folder.children[name] = Folder(entry.mode, layer)
                self._forget_links(existing)
            return
        node = self._node(entry, layer)
        if node is None:
            return
        folder.children[name] = node
        if isinstance(existing, Folder) or node.kind is _SYMLINK:
            self._folders.clear()
        elif existing is not None:
            self._forget_links(existing)

    def _forget_links(self, replaced: Node | Folder | None) -> None:
        if isinstance(replaced, Node) and replaced.kind is _SYMLINK:
            self._folders.clear()

    def _node(self, entry: LayerEntry, layer: int) -> Node | None:
        if entry.kind == _HARDLINK:
            # The second name of one file: its facts stay even when the first name is removed.
            found = self._walk(entry.target, follow=False)
            if found is None or isinstance(found.node, Folder):
                self.problems.append(f"hard link {entry.path} to {entry.target}, which is not there")
                return None
            return found.node
        if entry.kind == _FILE and entry.elf is None and entry.content is None and not entry.has_capability:
            key = (entry.mode, layer)
            node = self._plain.get(key)
            if node is None:
                node = self._plain[key] = Node(_FILE, entry.mode, layer)
            return node
        return Node(
            EntryKind(entry.kind), entry.mode, layer, entry.target, entry.elf, entry.content, entry.has_capability
        )

    def _folder(self, path: str, layer: int) -> Folder:
        """The folder that `path` leads to, made as needed with those above it; links are followed inside the root."""
        todo = []
        folder: Folder | None = None
        while folder is None:
            todo.append(path)
            path = path.rpartition("/")[0]
            folder = self._folders.get(path) if path else self.root
        for path in reversed(todo):
            folder = self._folders[path] = self._subfolder(folder, path, layer)
        return folder

    def _subfolder(self, parent: Folder, path: str, layer: int) -> Folder:
        """The folder of that path, which `parent` is the one above of."""
        name = path.rpartition("/")[2]
        child = parent.children.get(name)
        if isinstance(child, Folder):
            return child
        if child is not None:
            found = self._walk(path, follow=True)
            if found and isinstance(found.node, Folder):
                return found.node
            self.problems.append(f"{path}: what was there is in the way of a folder")
        made = parent.children[name] = Folder(0o755, layer)
        return made


def _parts(path: str) -> list[str]:
    """The components in reverse, ready to be popped."""
    return [part for part in reversed(path.split("/")) if part and part != "."]


def _is_whiteout(path: str) -> bool:
    return path.rpartition("/")[2].startswith(_WHITEOUT)
