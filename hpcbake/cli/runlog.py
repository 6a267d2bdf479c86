"""The log that a run keeps beside its journal, and the secrets that neither it nor anything else may show."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from hpcbake import __version__
from hpcbake.adapters.runlog import LEVELS, RunLog
from hpcbake.cli.configuration import setting_option
from hpcbake.model.plan import Plan
from hpcbake.report.records import ShipReport
from hpcbake.report.redact import Redactor, secrets_of_docker_config, secrets_of_environment, secrets_of_plan
from hpcbake.ship.ports import Listener

F = TypeVar("F", bound=Callable[..., Any])

_LEVEL = "hpcbake.log-level"


def _remember(context: click.Context, _option: click.Parameter, level: str) -> None:
    # Only what was asked for is noted: a context that says nothing is the common case.
    if level != "info":
        context.meta[_LEVEL] = level


def log_option(function: F) -> F:
    """--log-level: how much the log of the run tells."""
    return setting_option(
        "log.level",
        "--log-level",
        type=click.Choice(LEVELS),
        expose_value=False,
        callback=_remember,
        help="What the run's log holds (log.jsonl beside its report); debug: also programs and requests.",
    )(function)


def make_redactor(environment: Mapping[str, str], plan: Plan, folder: Path) -> Redactor:
    """Knows the secrets of this environment, of docker's and apptainer's logins, and of the plan's build secrets."""

    def read(name: str) -> str:
        return (folder / Path(name).expanduser()).read_text(encoding="utf-8", errors="replace")

    redactor = Redactor(secrets_of_environment(environment))
    redactor.learn(secrets_of_plan(plan, environment, read))
    for path in _login_files(environment):
        try:
            redactor.learn(secrets_of_docker_config(path.read_text(encoding="utf-8", errors="replace")))
        except OSError:
            continue
    return redactor


def _login_files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME") or "/")
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    yield Path(environment.get("APPTAINER_CONFIGDIR") or home / ".apptainer") / "docker-config.json"
    if environment.get("REGISTRY_AUTH_FILE"):
        yield Path(environment["REGISTRY_AUTH_FILE"])


def open_log(folder: Path, redactor: Redactor) -> RunLog:
    """The log of the run whose folder this is, at the level that the command line asks for."""
    context = click.get_current_context(silent=True)
    level = context.meta.get(_LEVEL, "info") if context else "info"
    return RunLog(folder / "log.jsonl", level=level, redact=redactor.value)


class LoggedListener:
    """A Listener that notes down what it hears and passes it on, secrets taken out of both."""

    def __init__(self, inner: Listener, log: RunLog, redactor: Redactor) -> None:
        self._inner = inner
        self._log = log
        self._redactor = redactor

    def step(
        self,
        stage: str,
        text: str,
        *,
        site: str = "",
        image: str = "",
        status: str = "note",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        text = self._redactor.text(text)
        if status == "moved":
            self._inner.step(stage, text, site=site, image=image, status=status, facts=facts)
            return
        level = "error" if status == "failed" else "warning" if text.startswith("warning: ") else "info"
        self._log.write(level, text, stage=stage, site=site, image=image, status=status, **_named(facts or {}))
        self._inner.step(stage, text, site=site, image=image, status=status, facts=facts)


def log_begin(log: RunLog, run: str, resumes: str | None) -> None:
    """The first line: which run, of what, where."""
    command = ["hpcbake", *sys.argv[1:]]
    log.write(
        *("info", "the run begins"),
        run=run,
        version=__version__,
        command=command,
        folder=str(Path.cwd()),
        pid=os.getpid(),
        resumes=resumes,
    )


def log_end(log: RunLog, report: ShipReport) -> None:
    """The last lines: every failure with its kind, and what the run came to."""
    for site in report.sites:
        for image in site.images:
            if image.error is not None:
                error = image.error
                _log_error(log, error.message, error.kind, error.remedy, site.name, image.target, error.evidence)
    for target in report.targets:
        if target.error is not None:
            error = target.error
            _log_error(log, error.message, error.kind, error.remedy, "", target.name, error.evidence)
    if report.error is not None:
        _log_error(log, report.error.message, report.error.kind, report.error.remedy, "", "", report.error.evidence)
    log.write("info", "the run ends", code=int(report.code), sites=report.summary(), seconds=report.run.duration_s)


def _log_error(
    log: RunLog, text: str, kind: str, remedy: str, site: str, image: str, evidence: Mapping[str, object]
) -> None:
    log.write("error", text, kind=kind, remedy=remedy, site=site, image=image, evidence=dict(evidence) or None)


def _named(facts: Mapping[str, object]) -> dict[str, Any]:
    """Facts under names that no word of the log itself has."""
    taken = {"level", "text", "stage", "site", "image", "status", "time"}
    return {(f"{name}_" if name in taken else name): value for name, value in facts.items()}
