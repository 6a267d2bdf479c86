"""A builder that builds only what has changed since its last build, says why, and gives the old digest for the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from hpcbake.build.document import Shipment
from hpcbake.build.fingerprint import Fingerprint, compare
from hpcbake.errors import HpcbakeError, InterruptedByUserError
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Builder
from hpcbake.model.reference import Digest

_ATTEMPTS = 3
_PAUSE_S = 3.0


@dataclass(frozen=True)
class KnownBuild:
    """A build that a registry took: its digest as BuildKit told it, and what it was built from."""

    digest: Digest
    fingerprint: Fingerprint


class BuildMemory(Protocol):
    """What was built before, by target; kept from night to night."""

    def find(self, target: str) -> KnownBuild | None: ...

    def keep(self, target: str, build: KnownBuild) -> None:
        """Raises CantWriteError."""
        ...


#: Takes the fingerprint of a target; what is known of its last build helps where a registry is silent.
TakeFingerprint = Callable[[str, Fingerprint | None], Fingerprint]


@dataclass(frozen=True)
class _Decision:
    """What becomes of one target: built for these reasons, or taken as it was when there are none."""

    now: Fingerprint
    known: KnownBuild | None
    reasons: tuple[str, ...]


class RememberingBuilder:
    """A Builder for nights. A target whose build fails keeps its last digest; the failure is in `failures`.

    Sites that missed that digest still get it, and the run still fails by the failure's code.
    """

    def __init__(
        self,
        inner: Builder,
        shipments: Sequence[Shipment],
        *,
        take: TakeFingerprint,
        memory: BuildMemory,
        say: Callable[[str, str], None],
        refresh: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner = inner
        self._names = [shipment.name for shipment in shipments]
        self._take = take
        self._memory = memory
        self._say = say
        self._refresh = refresh
        self._sleep = sleep
        self._decisions: dict[str, _Decision] = {}
        self._given: set[str] = set()
        self.failures: dict[str, HpcbakeError] = {}
        self.built: list[str] = []

    def pushes_by_digest(self) -> bool:
        """As the builder says. On a night without anything to build it may be out of order."""
        try:
            return self._inner.pushes_by_digest()
        except InterruptedByUserError:
            raise
        except HpcbakeError:
            if any(self._decide(name).known is None for name in self._names):
                raise
            return False

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        """Build those targets that must be. Asked a second time for a target, build it whatever is remembered."""
        metadata: dict[str, dict[str, object]] = {}
        due: list[str] = []
        for name in targets:
            decision = self._decide(name)
            if name in self._given:
                self._say(name, "the registry no longer serves what was built before: building again")
            elif not decision.reasons and decision.known is not None:
                self._say(name, f"nothing has changed since {_short(decision.known)} was built")
                metadata[name] = _metadata(decision.known)
                continue
            due.append(name)
        self._given.update(targets)
        return {**metadata, **self._build(document, due)} if due else metadata

    def _decide(self, name: str) -> _Decision:
        if name not in self._decisions:
            known = self._memory.find(name)
            now = self._take(name, known.fingerprint if known else None)
            for doubt in now.doubts:
                self._say(name, f"warning: {doubt}")
            reasons = compare(known.fingerprint, now) if known else ["no build of it is remembered here"]
            if self._refresh:
                reasons.append("base images are to be pulled anew")
            for reason in reasons:
                self._say(name, f"to be built: {reason}")
            self._decisions[name] = _Decision(now, known, tuple(reasons))
        return self._decisions[name]

    def _build(self, document: str, due: list[str]) -> dict[str, dict[str, object]]:
        """All at once; after a failure one by one, so that one broken target costs no other its build."""
        pulled = _with_new_bases(document)
        if len(due) > 1:
            try:
                return self._keep(self._inner.bake(pulled, due))
            except InterruptedByUserError:
                raise
            except HpcbakeError as error:
                self._say("", f"{error.message}; building one by one")
        metadata: dict[str, dict[str, object]] = {}
        for name in due:
            metadata.update(self._build_one(pulled, name))
        return metadata

    def _build_one(self, document: str, name: str) -> dict[str, dict[str, object]]:
        """One target. What passes is tried again here only where there is something to fall back on in the end."""
        known = self._decide(name).known
        for attempt in range(_ATTEMPTS):
            try:
                return self._keep(self._inner.bake(document, [name]))
            except InterruptedByUserError:
                raise
            except HpcbakeError as error:
                if known is None or name in self.failures:
                    raise
                if not error.retryable or attempt + 1 == _ATTEMPTS:
                    self.failures[name] = error
                    self._say(name, f"failed: {error.message}; sites get {_short(known)}, which was built before")
                    return {name: _metadata(known)}
                self._sleep(_PAUSE_S * (attempt + 1))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _keep(self, metadata: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
        for name, members in metadata.items():
            digest = members.get("containerimage.digest")
            if isinstance(digest, str):
                self._memory.keep(name, KnownBuild(Digest(digest), self._decide(name).now))
                self.built.append(name)
        return metadata


def _with_new_bases(document: str) -> str:
    """A builder that has a base image already must look again where its tag has moved."""
    content = json.loads(document)
    for entry in content.get("target", {}).values():
        entry["pull"] = True
    return json.dumps(content, indent=2)


def _metadata(known: KnownBuild) -> dict[str, object]:
    return {"containerimage.digest": str(known.digest)}


def _short(known: KnownBuild) -> str:
    return f"{known.digest.text[:19]}…"
