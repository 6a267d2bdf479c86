"""What a caller wants resolved: the command line of `docker buildx bake`, as values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hpcbake.bakefile.overrides import FlagSettings, flag_overrides
from hpcbake.model.record import Record


class BakeRequest(Record):
    """One request. `files` empty means the default look-up; `targets` empty means `default`.

    `overrides` are `--set` texts, `variables` come from `--var`. For the flags None means "not given".
    """

    files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    variables: Mapping[str, str] = MappingProxyType({})
    push: bool | None = None
    load: bool | None = None
    no_cache: bool | None = None
    pull: bool | None = None
    sbom: str | None = None
    provenance: str | None = None
    call: str | None = None

    def all_overrides(self) -> tuple[str, ...]:
        """The `--set` texts of the user, then those that the flags stand for."""
        flags = FlagSettings(self.push, self.load, self.no_cache, self.pull, self.sbom, self.provenance, self.call)
        return (*self.overrides, *flag_overrides(flags))
