"""A buildx builder: its nodes, what each builds natively, and which of them builds a platform. Pure."""

from __future__ import annotations

from hpcbake.model.late import dataclass

#: Architectures whose processors also run these, without emulation.
_ALSO_RUNS = {"amd64": frozenset({"386"}), "arm64": frozenset({"arm"})}


@dataclass(frozen=True)
class BuilderNode:
    """One node of a builder. `platforms` are those it lists, its own first; `fixed` those that somebody gave it."""

    name: str
    endpoint: str = ""
    status: str = ""
    platforms: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    error: str = ""

    @property
    def native(self) -> str:
        """The architecture of its machine: a node lists what it emulates after what it is. Empty: it does not tell."""
        own = next((platform for platform in self.platforms if platform not in self.fixed), "")
        return _arch(own or next(iter(self.fixed), ""))


@dataclass(frozen=True)
class BuildPlace:
    """Where a platform is built. `word` is native, EMULATED or unknown (the node has not been started yet)."""

    platform: str
    node: BuilderNode | None
    word: str

    @property
    def words(self) -> str:
        """As it is told."""
        where = f" on node {self.node.name}" if self.node else ""
        machine = f" ({self.node.native})" if self.node and self.node.native else ""
        return f"{self.platform}: {self.word}{where}{machine}"


@dataclass(frozen=True)
class BuilderInfo:
    """A builder as `docker buildx inspect` tells of it."""

    name: str
    driver: str
    nodes: tuple[BuilderNode, ...] = ()

    def place_of(self, platform: str) -> BuildPlace:
        """Which node builds a platform: as buildx chooses, given platforms first, then listed ones, else the first."""
        by_gift = (node for node in self.nodes if _lists(node.fixed, platform))
        by_list = (node for node in self.nodes if _lists(node.platforms, platform))
        node = next(by_gift, None) or next(by_list, None) or next(iter(self.nodes), None)
        if node is None or not node.native:
            return BuildPlace(platform, node, "unknown")
        wanted = _arch(platform)
        is_native = wanted == node.native or wanted in _ALSO_RUNS.get(node.native, ())
        return BuildPlace(platform, node, "native" if is_native else "EMULATED")


def _lists(platforms: tuple[str, ...], wanted: str) -> bool:
    """`linux/amd64` also stands for its variants: buildx builds `linux/amd64/v3` where `linux/amd64` is listed."""
    return any(wanted == platform or wanted.startswith(platform + "/") for platform in platforms)


def _arch(platform: str) -> str:
    """`arm64` of `linux/arm64/v8`."""
    parts = platform.split("/")
    return parts[1] if len(parts) > 1 else ""
