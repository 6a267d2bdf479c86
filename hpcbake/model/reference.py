"""Names of images: digests that never move, tags that do, and references that hold them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass

# The grammar of the OCI distribution spec and of docker's reference package.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

DEFAULT_REGISTRY = "docker.io"
#: Registries whose server has another name than references carry.
SERVERS = {DEFAULT_REGISTRY: "registry-1.docker.io"}


@dataclass(frozen=True, order=True)
class Digest:
    """A content digest, `sha256:` and 64 hex digits: the only identity that stages pass on."""

    text: str

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.text):
            raise ConfigError(
                f"{self.text!r} is not a digest",
                remedy="a digest is `sha256:` followed by 64 lower-case hex digits",
                kind="config.digest",
            )

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """The digest of these bytes."""
        return cls("sha256:" + hashlib.sha256(content).hexdigest())

    @property
    def hex(self) -> str:
        return self.text.removeprefix("sha256:")

    @property
    def short(self) -> str:
        """Twelve hex digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, order=True)
class ImageReference:
    """Where an image is: registry host, repository path, and a tag or a digest (or both, or neither)."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """Registry and repository without tag or digest."""
        return f"{self.registry}/{self.repository}"

    def with_tag(self, tag: str) -> ImageReference:
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> ImageReference:
        """The same repository pinned to one digest, without a tag."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse_image_reference(text: str) -> ImageReference:
    """Read `[host[:port]/]path[:tag][@digest]` by docker's rules.

    A first component with a dot, a colon, an upper-case letter or the name `localhost` is a registry host;
    otherwise the image lives on Docker Hub, and one without a slash under its `library/`.

    Raises ConfigError naming the offending part.
    """
    rest, _, digest_text = text.partition("@")
    digest = Digest(digest_text) if digest_text or text.endswith("@") else None
    head, _, tail = rest.partition("/")
    is_host = bool(tail) and ("." in head or ":" in head or head == "localhost" or head != head.lower())
    registry, path = (head, tail) if is_host else (DEFAULT_REGISTRY, rest)
    path, colon, tag_text = path.partition(":")
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    if not _HOST.fullmatch(registry):
        raise _bad(text, f"{registry!r} is not a registry host")
    if not _REPOSITORY.fullmatch(path):
        raise _bad(text, f"{path!r} is not a repository: lower-case letters, digits and . _ - / only")
    if colon and not _TAG.fullmatch(tag_text):
        raise _bad(text, f"{tag_text!r} is not a tag: at most 128 of A-Z a-z 0-9 _ . - and no leading . or -")
    return ImageReference(registry, path, tag_text or None, digest)


def _bad(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"image reference {text!r}: {why}",
        remedy="write it as registry.example.org/team/image:tag",
        kind="config.image-reference",
    )
