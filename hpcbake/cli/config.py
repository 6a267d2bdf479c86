"""`hpcbake config`: every setting, its value here, and who said so."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.table import Table

from hpcbake.cli.configuration import PROJECT_FILE, config_files, configuration, state_folder
from hpcbake.cli.console import make_console
from hpcbake.errors import UsageError
from hpcbake.report.printable import printable
from hpcbake.ship.configuration import Chosen, unknown_variables
from hpcbake.ship.setting_table import SETTINGS


@click.group("config")
def command() -> None:
    """Settings: what holds in this folder, and where it was said."""


@command.command("show")
@click.argument("keys", nargs=-1, metavar="[KEY...]")
@click.option("--origin", is_flag=True, help="Also show who said so: flag, variable or file, with line and column.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; it always has the origins.")
def show(keys: tuple[str, ...], origin: bool, as_json: bool) -> None:
    """Show every setting with the value that it has here, or those whose KEY is named.

    \b
    hpcbake config show --origin
    hpcbake config show ship.parallel_sites
    hpcbake config show notifications        all keys of a section

    An environment variable counts before the project file, that before your own file, that before the machine's. Flags
    count before all of them; they belong to the command that they are given to. Secrets are never shown.
    """
    chosen = [configuration().choose(key) for key in _find_keys(keys)]
    notes = unknown_variables(os.environ)
    for note in notes:
        click.echo(f"warning: environment variable {printable(note)}", err=True)
    if as_json:
        document = {"kind": "hpcbake.config", "version": 1, "settings": [_member(item) for item in chosen]}
        document["files"] = [{"kind": kind, "path": str(path), "exists": path.exists()} for kind, path in _files()]
        click.echo(json.dumps({**document, "warnings": notes}, indent=2))
        return
    console = make_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "value", *(("from",) if origin else ())):
        table.add_column(heading, overflow="fold")
    for item in chosen:
        cells = [item.setting.key, _value_words(item), *((_origin_words(item),) if origin else ())]
        table.add_row(*map(printable, cells), style="" if item.kind == "default" else "bold")
    console.print(table)
    if origin and not keys:
        console.print("\nfiles, the strongest first:", markup=False)
        for kind, path in _files():
            console.print(f"  {kind}: {printable(str(path))}{'' if path.exists() else ' (none)'}", markup=False)


def _files() -> list[tuple[str, Path]]:
    return [("project", Path.cwd() / PROJECT_FILE), *config_files(os.environ)]


def _find_keys(words: tuple[str, ...]) -> list[str]:
    """The keys that these words name: whole ones, or all of a section. Raises UsageError."""
    found: list[str] = []
    for word in words:
        named = [key for key in SETTINGS if key == word or key.startswith(f"{word}.")]
        if not named:
            raise UsageError(f"there is no setting {word!r}", remedy="`hpcbake config show` lists all of them")
        found += named
    return list(dict.fromkeys(found)) or list(SETTINGS)


def _plain(value: Any) -> Any:
    """A value as JSON has it. Of an address only the host is shown: the rest of it may be a secret."""
    if isinstance(value, Mapping):
        return {name: _host(item) if name == "url" else _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}/…"


def _member(item: Chosen) -> dict[str, Any]:
    setting = item.setting
    return {
        "key": setting.key,
        "value": _plain(item.value),
        "origin": item.kind,
        "place": item.place or None,
        "flag": setting.flag or None,
        "variables": list(setting.variables),
    }


def _value_words(item: Chosen) -> str:
    value = _plain(item.value)
    if item.kind == "default" and item.setting.key == "state":
        return str(state_folder(os.environ))
    if item.kind == "default" and item.setting.default_words:
        return f"({item.setting.default_words})"
    if value is None or value == []:
        return "-"
    if isinstance(value, float):
        return f"{value:g}s"
    if isinstance(value, list) and not any(isinstance(entry, dict) for entry in value):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origin_words(item: Chosen) -> str:
    return f"{item.kind}: {item.place}" if item.place else item.kind
