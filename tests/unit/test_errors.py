"""The failures and their exit codes: frozen, distinct, and added up by one rule."""

from __future__ import annotations

import signal

import pytest

from hpcbake import errors
from hpcbake.errors import (
    RETRYABLE_CODES,
    ExitCode,
    HpcbakeError,
    InterruptedByUserError,
    SiteResourceError,
    overall_exit_code,
)

FAILURES = sorted(
    (item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, HpcbakeError)),
    key=lambda item: item.__name__,
)


def test_exit_codes_are_frozen() -> None:
    """Scripts and cron jobs rest on these numbers: new ones may be added, none may change."""
    frozen = {
        "OK": 0,
        "BUG": 1,
        "USAGE": 2,
        "PARTIAL": 3,
        "CHANGES": 4,
        "CONFIG": 10,
        "PREREQ": 11,
        "BUILD": 20,
        "REGISTRY": 21,
        "REGISTRY_TEMP": 22,
        "INCOMPATIBLE": 30,
        "UNCHECKED": 31,
        "SITE_UNREACHABLE": 40,
        "SITE_TRUST": 41,
        "SITE_RESOURCE": 42,
        "INTEGRITY": 43,
        "SMOKE_FAILED": 50,
        "SMOKE_UNKNOWN": 51,
        "PROMOTE": 60,
        "STATE": 70,
        "CANTWRITE": 73,
        "BUSY": 75,
        "HUP": 129,
        "INT": 130,
        "TERM": 143,
    }
    assert {name: int(code) for name, code in ExitCode.__members__.items() if name in frozen} == frozen


def test_no_two_codes_are_the_same() -> None:
    """An alias would give one number two meanings."""
    assert len(ExitCode.__members__) == len({int(code) for code in ExitCode})


def test_trust_is_never_worth_an_automatic_retry() -> None:
    """An unattended caller must not hammer a host whose key changed, nor one that refuses the login."""
    assert frozenset({22, 40, 51, 60, 75}) == RETRYABLE_CODES


@pytest.mark.parametrize("failure", FAILURES)
def test_every_failure_has_a_code_and_a_kind(failure: type[HpcbakeError]) -> None:
    """A failure's kind is a dotted name of a known family, and its class says what it is."""
    family, dot, name = failure.kind.partition(".")
    assert (dot, bool(name), bool(failure.__doc__)) == (".", True, True)
    assert family in {"registry", "ssh", "site", "slurm", "image", "config", "state", "lock", "internal"}


def test_every_code_of_a_failure_has_one_class() -> None:
    """From the exit code one finds the class, and from the class the code."""
    classes = [item for item in FAILURES if item not in (HpcbakeError, InterruptedByUserError)]
    assert len({item.exit_code for item in classes}) == len(classes)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_shells_code(number: signal.Signals) -> None:
    """128 + the signal, as a shell would say it."""
    assert InterruptedByUserError("stopped", signal_number=number).exit_code == 128 + number


def test_a_failure_keeps_what_it_was_given() -> None:
    """Kind and retryability may be set per failure, and do not leak into the class."""
    failure = SiteResourceError("full", remedy="make room", kind="site.space", retryable=True, evidence={"path": "/x"})
    assert (str(failure), failure.remedy, failure.kind, failure.retryable) == ("full", "make room", "site.space", True)
    assert (SiteResourceError.kind, SiteResourceError.retryable) == ("site.resource", False)
    assert failure.evidence == {"path": "/x"}


OK, CONFIG, SMOKE, TRUST = ExitCode.OK, ExitCode.CONFIG, ExitCode.SMOKE_FAILED, ExitCode.SITE_TRUST


@pytest.mark.parametrize(
    ("codes", "overall"),
    [
        ([], OK),
        ([OK], OK),
        ([OK, OK], OK),
        ([SMOKE], SMOKE),
        ([SMOKE, SMOKE], SMOKE),
        ([SMOKE, OK], ExitCode.PARTIAL),
        ([OK, SMOKE], ExitCode.PARTIAL),
        ([SMOKE, TRUST], ExitCode.PARTIAL),
        ([SMOKE, TRUST, OK], ExitCode.PARTIAL),
        ([ExitCode.PARTIAL], ExitCode.PARTIAL),
    ],
)
def test_many_results_have_one_code(codes: list[ExitCode], overall: ExitCode) -> None:
    """All well is 0; one and the same failure everywhere is that failure; all else is PARTIAL."""
    assert overall_exit_code(codes) is overall
