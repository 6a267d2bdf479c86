"""SIFs beside images in registries: those of digests that nights have left behind go, or they would pile up."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from hpcbake.deliver.convert import artifact_tag
from hpcbake.errors import ConfigError, HpcbakeError
from hpcbake.model.reference import Digest, ImageReference

_KIND = "hpcbake.shipped"
_VERSION = 1


class ForgettingRegistry(Protocol):
    """A registry that can be asked to give a manifest up. Raises RegistryError, RegistryTempError."""

    def head_manifest(self, ref: ImageReference) -> Digest | None: ...

    def delete_manifest(self, ref: ImageReference) -> None: ...


class ShippedDigests:
    """Which digests a project's nights have shipped, by target, the newest last. In one file; damaged, it is empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def note(self, target: str, digest: Digest) -> None:
        """This digest is what the target is now. Raises OSError."""
        earlier = self._known.get(target, [])
        if earlier[-1:] != [digest]:
            self._known[target] = [*(known for known in earlier if known != digest), digest]
            self._write()

    def surplus(self, target: str, keep: int) -> list[Digest]:
        """All but the newest `keep`."""
        return self._known.get(target, [])[:-keep]

    def forget(self, target: str, digest: Digest) -> None:
        """It is gone. Raises OSError."""
        self._known[target] = [known for known in self._known[target] if known != digest]
        self._write()

    def _write(self) -> None:
        shipped = {target: [str(digest) for digest in digests] for target, digests in sorted(self._known.items())}
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"kind": _KIND, "version": _VERSION, "shipped": shipped}) + "\n")
        partial.replace(self._path)


def withdraw(
    shipped: ShippedDigests, repositories: Mapping[str, ImageReference], registry: ForgettingRegistry, *, keep: int
) -> list[str]:
    """Remove the SIFs of all but the `keep` newest digests of each target; what went wrong, in lines.

    Sites keep their own SIFs, and one that is wanted again is converted again: nothing that users run is touched.
    """
    problems: list[str] = []
    for target, repository in repositories.items():
        for digest in shipped.surplus(target, keep):
            place = repository.with_tag(artifact_tag(digest))
            try:
                found = registry.head_manifest(place)
                if found is not None:
                    registry.delete_manifest(place.with_digest(found))
                shipped.forget(target, digest)
            except HpcbakeError as error:
                problems.append(f"{target}: SIFs of older digests stay in {repository.registry}: {error.message}")
                break
            except OSError as error:
                return [*problems, f"{target}: what was shipped cannot be noted down: {error.strerror}"]
    return problems


def _read(path: Path) -> dict[str, list[Digest]]:
    try:
        document = json.loads(path.read_bytes())
        shipped = document["shipped"] if document["kind"] == _KIND and document["version"] == _VERSION else {}
        return {str(target): [Digest(text) for text in digests] for target, digests in shipped.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return {}
