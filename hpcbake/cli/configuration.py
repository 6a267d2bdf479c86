"""The settings of this command line: the files and variables that say some, and options whose defaults they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import platformdirs

from hpcbake.errors import ConfigError
from hpcbake.ship.configuration import Configuration, parse_project_layer, parse_user_layer, read_environment
from hpcbake.ship.setting_table import SETTINGS, Setting

F = TypeVar("F", bound=Callable[..., Any])

PROJECT_FILE = "hpcbake.yaml"
#: Names the file of the GitHub step that hpcbake runs in.
STEP_SUMMARY = "$GITHUB_STEP_SUMMARY"
_META = "hpcbake.configuration"


def configuration() -> Configuration:
    """What holds in this folder and environment; read once per command. Raises ConfigError."""
    context = click.get_current_context(silent=True)
    if context is None:
        return read_configuration(Path.cwd(), os.environ)
    if _META not in context.meta:
        context.meta[_META] = read_configuration(Path.cwd(), os.environ)
    found = context.meta[_META]
    assert isinstance(found, Configuration)
    return found


def read_configuration(folder: Path, environment: Mapping[str, str], *, system: Path = Path("/etc")) -> Configuration:
    """Environment, project file, user's file, machine's files, the strongest first. Raises ConfigError."""
    layers = [read_environment(environment)]
    project = folder / PROJECT_FILE
    content = _read(project, PROJECT_FILE)
    if content is not None:
        layers.append(parse_project_layer(content, PROJECT_FILE))
    for kind, path in config_files(environment, system=system):
        content = _read(path, str(path))
        if content is not None:
            layers.append(parse_user_layer(content, path, kind))
    return Configuration(layers)


def config_files(environment: Mapping[str, str], *, system: Path = Path("/etc")) -> Iterator[tuple[str, Path]]:
    """Where the user's and the machine's settings may stand, the strongest first; relative XDG folders do not count."""
    home = environment.get("XDG_CONFIG_HOME", "")
    if not home.startswith("/"):
        try:
            home = str(Path.home() / ".config")
        except RuntimeError:  # a container's uid without a home
            home = ""
    if home:
        yield "user", Path(home) / "hpcbake" / "config.yaml"
    shared = environment.get("XDG_CONFIG_DIRS") or str(system / "xdg")
    for folder in dict.fromkeys([*(word for word in shared.split(":") if word.startswith("/")), str(system)]):
        yield "system", Path(folder) / "hpcbake" / "config.yaml"


def _read(path: Path, shown: str) -> str | None:
    """The text of a file that may be absent. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{shown}: cannot be read: {error}",
            remedy="check its permissions, and that it is UTF-8 text",
            kind="config.unreadable",
        ) from error


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where runs are kept: HPCBAKE_STATE, the key `state`, or the user's state folder. Raises ConfigError."""
    named = environment.get("HPCBAKE_STATE") or configuration().value("state")
    return Path(named).expanduser() if named else Path(platformdirs.user_state_dir("hpcbake"))


class SettingOption(click.Option):
    """An option that, where it is not given, has the value that files and environment say."""

    def __init__(self, *args: Any, setting: Setting, fallback: Any, **more: Any) -> None:
        #: Called with the value that counts, not with the one that was not given.
        self._after = more.pop("callback", None)
        super().__init__(*args, **more)
        self.setting = setting
        self.fallback = fallback

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        found = self._given_or_configured(ctx, value)
        return found if self._after is None else self._after(ctx, self, found)

    def _given_or_configured(self, ctx: click.Context, value: Any) -> Any:
        given = super().process_value(ctx, value)
        if given not in (None, ()) or ctx.resilient_parsing:
            return given
        try:
            chosen = configuration().choose(self.setting.key)
        except ConfigError:
            # The verb reads the same files once more, where it can tell of them in the way that --json promises.
            return self._typed(self.fallback, ctx)
        try:
            return self._typed(self.fallback if chosen.kind == "default" else chosen.value, ctx)
        except click.BadParameter as error:
            raise ConfigError(
                f"{chosen.place or self.setting.key}: {error.message}",
                remedy=f"correct it, or give another value: {self.opts[0]}",
            ) from error

    def _typed(self, value: Any, ctx: click.Context) -> Any:
        """The value as the type of the option has it: a path, a whole number of seconds."""
        if value == STEP_SUMMARY:
            value = os.environ.get(STEP_SUMMARY[1:]) or None  # outside of GitHub there is none to write to
        return value if value is None or self.is_flag else self.type.convert(value, self, ctx)


def setting_option(key: str, *spellings: str, fallback: Any = None, **more: Any) -> Callable[[F], F]:
    """A click option for a setting. `fallback` is what holds where nobody says anything; default: the setting's own."""
    setting = SETTINGS[key]
    fallback = setting.default if fallback is None else fallback
    shown = setting.default_words or ("" if fallback is None or isinstance(fallback, bool) else f"{fallback}")
    return click.option(
        *spellings,
        cls=SettingOption,
        setting=setting,
        fallback=fallback,
        default=None,
        show_default=shown if shown and not setting.default_words else False,
        **more,
    )
