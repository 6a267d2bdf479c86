"""The units of this user's systemd."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hpcbake.adapters.processes import run_program
from hpcbake.errors import CantWriteError, PrereqError

_TIMEOUT_S = 60.0


class UserUnits:
    """Unit files of this user, and the systemd that runs them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
        self.folder = Path(home) / "systemd" / "user"

    def install(self, units: Mapping[str, str], timer: str) -> None:
        """Write the units, and start the timer now and at every boot. Raises PrereqError, CantWriteError."""
        self._systemctl("daemon-reload")  # where that does not work, nothing is left lying about
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in units.items():
                (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CantWriteError(f"{self.folder}: {error.strerror}", remedy="mend its permissions") from error
        self._systemctl("daemon-reload")
        self._systemctl("enable", "--now", timer)

    def uninstall(self, names: tuple[str, ...], timer: str) -> bool:
        """Stop the timer and remove the units. False when there were none."""
        found = [self.folder / name for name in names if (self.folder / name).exists()]
        if not found:
            return False
        self._systemctl("disable", "--now", timer)
        for path in found:
            path.unlink(missing_ok=True)
        self._systemctl("daemon-reload")
        return True

    def lingers(self, user: str) -> bool | None:
        """Do this user's units run while nobody is logged in? None: it cannot be told."""
        try:
            argv = ["loginctl", "show-user", user, "--property=Linger", "--value"]
            outcome = run_program(argv, timeout_s=_TIMEOUT_S, environment=self._environment)
        except PrereqError:
            return None
        return {"yes": True, "no": False}.get(outcome.stdout.strip())

    def _systemctl(self, *words: str) -> None:
        outcome = run_program(
            ["systemctl", "--user", *words],
            timeout_s=_TIMEOUT_S,
            environment=self._environment,
            missing_remedy="this machine has no systemd: --install cron",
        )
        if not outcome.ok:
            raise PrereqError(
                f"systemctl --user {' '.join(words)}: {outcome.stderr.strip() or f'exit code {outcome.exit_code}'}",
                remedy="log in to this machine itself (not by su or sudo), or take another timer: --install cron",
                kind="config.timer",
            )
