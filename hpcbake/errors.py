"""Every way hpcbake can fail: one exception per exit code, each saying what, where and what next.

    HpcbakeError
    ├── BugError (1)              ├── SiteUnreachableError (40)
    ├── UsageError (2)            ├── SiteTrustError (41)
    ├── ConfigError (10)          ├── SiteResourceError (42)
    ├── PrereqError (11)          ├── IntegrityError (43)
    ├── BuildError (20)           ├── SmokeUnknownError (51)
    ├── RegistryError (21)        ├── PromoteError (60)
    ├── RegistryTempError (22)    ├── StateError (70)
    ├── IncompatibleError (30)    ├── CantWriteError (73)
    ├── UncheckedError (31)       ├── BusyError (75)
    └── SmokeFailedError (50)     └── InterruptedByUserError (128 + signal)

The codes say what the operator must do, not which stage broke; the stage is in the report.
"Does not fit" is a value (a Finding), "could not tell" is UNKNOWN, "broke" is one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """The process exit codes. Frozen by a test: new ones may be added, none may change."""

    OK = 0
    BUG = 1
    USAGE = 2
    PARTIAL = 3
    CHANGES = 4
    CONFIG = 10
    PREREQ = 11
    BUILD = 20
    REGISTRY = 21
    REGISTRY_TEMP = 22
    INCOMPATIBLE = 30
    UNCHECKED = 31
    SITE_UNREACHABLE = 40
    SITE_TRUST = 41
    SITE_RESOURCE = 42
    INTEGRITY = 43
    SMOKE_FAILED = 50
    SMOKE_UNKNOWN = 51
    PROMOTE = 60
    STATE = 70
    CANTWRITE = 73
    BUSY = 75
    HUP = 129
    INT = 130
    TERM = 143


#: Codes after which an unattended caller may simply run the same command again.
RETRYABLE_CODES = frozenset(
    {
        ExitCode.REGISTRY_TEMP,
        ExitCode.SITE_UNREACHABLE,
        ExitCode.SMOKE_UNKNOWN,
        ExitCode.PROMOTE,
        ExitCode.BUSY,
    }
)


class HpcbakeError(Exception):
    """A failure hpcbake understands.

    `message` is one sentence saying what went wrong and where; `remedy` is what the user can do
    (one line, imperative); `kind` is the stable dotted name used in reports (`registry.refused`);
    `evidence` holds what was seen (remote stderr, digests, sizes): never a secret.
    """

    exit_code: ExitCode = ExitCode.BUG
    kind: str = "internal.bug"
    #: May this very step be tried again within the run?
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        kind: str | None = None,
        retryable: bool | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        if kind is not None:
            self.kind = kind
        if retryable is not None:
            self.retryable = retryable
        self.evidence: dict[str, object] = dict(evidence or {})


class BugError(HpcbakeError):
    """hpcbake contradicts itself."""


class UsageError(HpcbakeError):
    """The command line asks for something that does not exist."""

    exit_code = ExitCode.USAGE
    kind = "config.usage"


class ConfigError(HpcbakeError):
    """A bake file, site config or project file is wrong."""

    exit_code = ExitCode.CONFIG
    kind = "config.invalid"


class PrereqError(HpcbakeError):
    """A tool, daemon or credential helper is missing on this machine."""

    exit_code = ExitCode.PREREQ
    kind = "config.prerequisite"


class BuildError(HpcbakeError):
    """BuildKit says no."""

    exit_code = ExitCode.BUILD
    kind = "image.build"


class RegistryError(HpcbakeError):
    """A registry refuses, or does not serve what it acknowledged."""

    exit_code = ExitCode.REGISTRY
    kind = "registry.refused"


class RegistryTempError(HpcbakeError):
    """A registry could not answer within the retries: 429, 5xx, timeouts."""

    exit_code = ExitCode.REGISTRY_TEMP
    kind = "registry.unavailable"
    retryable = True


class IncompatibleError(HpcbakeError):
    """The image does not fit the site. Raised only where a verb needs an exception; the check returns values."""

    exit_code = ExitCode.INCOMPATIBLE
    kind = "image.incompatible"


class UncheckedError(HpcbakeError):
    """The check could not be completed, which is never taken for compatible."""

    exit_code = ExitCode.UNCHECKED
    kind = "image.unchecked"


class SiteUnreachableError(HpcbakeError):
    """A login node cannot be reached, or did not answer within its deadline."""

    exit_code = ExitCode.SITE_UNREACHABLE
    kind = "ssh.unreachable"
    retryable = True


class SiteTrustError(HpcbakeError):
    """A host key or an authentication is not what was expected. Never retried."""

    exit_code = ExitCode.SITE_TRUST
    kind = "ssh.trust"


class SiteResourceError(HpcbakeError):
    """The site lacks space, inodes, permission or a program."""

    exit_code = ExitCode.SITE_RESOURCE
    kind = "site.resource"


class IntegrityError(HpcbakeError):
    """Bytes are not the ones a digest names."""

    exit_code = ExitCode.INTEGRITY
    kind = "image.integrity"


class SmokeFailedError(HpcbakeError):
    """A smoke job ran and said no."""

    exit_code = ExitCode.SMOKE_FAILED
    kind = "slurm.failed"


class SmokeUnknownError(HpcbakeError):
    """Nobody can tell how a smoke job ended: nothing is promoted on that."""

    exit_code = ExitCode.SMOKE_UNKNOWN
    kind = "slurm.unknown"


class PromoteError(HpcbakeError):
    """The smoke tests passed but the site could not be switched; the old release is still active."""

    exit_code = ExitCode.PROMOTE
    kind = "site.promote"


class StateError(HpcbakeError):
    """A ledger or journal is damaged or was tampered with; nothing was done."""

    exit_code = ExitCode.STATE
    kind = "state.damaged"


class CantWriteError(HpcbakeError):
    """This machine's own disk, report or log cannot be written."""

    exit_code = ExitCode.CANTWRITE
    kind = "state.cantwrite"


class BusyError(HpcbakeError):
    """Somebody alive holds the lock."""

    exit_code = ExitCode.BUSY
    kind = "lock.held"


class InterruptedByUserError(HpcbakeError):
    """A signal asked hpcbake to stop. `exit_code` is 128 + the signal's number."""

    exit_code = ExitCode.INT
    kind = "internal.interrupted"

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = ExitCode(128 + signal_number)


def overall_exit_code(codes: list[ExitCode]) -> ExitCode:
    """One code for many results: OK if all are, the common class if the rest agree, else PARTIAL.

    Mixed success and failure is PARTIAL (3), as is failure for different reasons; only when every
    result failed with one and the same class is that class the answer.
    """
    bad = {code for code in codes if code is not ExitCode.OK}
    if not bad:
        return ExitCode.OK
    if len(bad) == 1 and ExitCode.OK not in codes:
        return bad.pop()
    return ExitCode.PARTIAL
