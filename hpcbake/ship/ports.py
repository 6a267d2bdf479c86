"""What a run needs of the outside world, and what it tells while it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from hpcbake.build.build import ConfirmingRegistry
from hpcbake.image.manifest import Manifest
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Builder, Clock, Converter, Node, RuntimeCommands
from hpcbake.model.reference import Digest, ImageReference
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport


class TaggingRegistry(ConfirmingRegistry, Protocol):
    """A registry that can also move a tag."""

    def head_manifest(self, ref: ImageReference) -> Digest | None: ...

    def put_manifest(self, ref: ImageReference, content: bytes, media_type: str) -> Digest: ...


class SiteNode(Node, Protocol):
    """A node that knows the host key it was reached under (`SHA256:…`, empty where there is none)."""

    host_key: str


@dataclass(frozen=True)
class World:
    """Everything outside the process.

    `check` judges one image for one site; `login_for` finds a registry's login; `content_of` sums up an image's files.
    """

    builder: Builder
    registry: TaggingRegistry
    commands: RuntimeCommands
    connect: Callable[[Site], SiteNode]
    check: Callable[[BuiltImage, Site], CompatReport]
    login_for: Callable[[str], tuple[str, str] | None]
    clock: Clock
    converter: Converter
    content_of: Callable[[BuiltImage], str]


class Listener(Protocol):
    """Hears what happens, from any thread. `site` and `image` are empty where they do not apply.

    `status` is begin, note, moved, done or failed; `facts` are for programs: bytes, seconds, job, state, outcome.
    moved comes every second while this machine sends, for whoever shows it as it is now: no log wants it.
    """

    def step(
        self,
        stage: str,
        text: str,
        *,
        site: str = "",
        image: str = "",
        status: str = "note",
        facts: Mapping[str, object] | None = None,
    ) -> None: ...


__all__ = ["Listener", "Manifest", "SiteNode", "TaggingRegistry", "World"]
