"""What the shell may put at the cursor: `hpcbake __complete SHELL WORD...`. Offline, quick, and never an error.

Which words there are comes from `completion.json`, which `docs/generate.py` makes from the verbs themselves: click is
not loaded here. Names of sites and targets are read from the project's files.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Said instead of words where a file or a folder belongs: the shell knows those best.
FILES, FOLDERS = ":file", ":folder"

#: Where buildx looks for bake files.
_BAKE_FILES = (
    *("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"),
    *("docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl"),
)
_TARGET = re.compile(r'^\s*(?:target|group)\s+"?([\w.-]+)"?\s*\{', re.MULTILINE)
_MAX_FILE = 1_000_000
_MAX_RUNS = 50


def main(arguments: Sequence[str]) -> int:
    """Print one candidate a line, with its help behind a tab. Whatever goes wrong: fewer candidates."""
    try:
        found = complete(list(arguments[1:]), folder=Path.cwd(), environment=os.environ)
        with_help = arguments[:1] != ["bash"]
        sys.stdout.write("".join(f"{word}\t{text}\n" if text and with_help else f"{word}\n" for word, text in found))
        sys.stdout.flush()
    except Exception:  # noqa: BLE001, S110  (a Tab key is no place for an error)
        pass
    return 0


def load_words() -> dict[str, Any]:
    """The table of verbs, options and names."""
    text = Path(__file__).with_name("completion.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def complete(
    words: Sequence[str], *, folder: Path, environment: Mapping[str, str], table: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """The candidates for the last of these words, each with its help.

    `words` are those of the command line after `hpcbake`, the one at the cursor last (it may be empty).
    """
    table = table or load_words()
    words = list(words)
    words = [word for word in words[:-1] if word != "="] + [words[-1] if words[-1:] != ["="] else ""] if words else [""]
    current, before = words[-1], list(words[:-1])
    command, rest = _command(table["commands"], before)
    options = command["options"]
    world = _World(folder, environment, before, table)
    if "--" not in rest:
        owner, equals, start = current.partition("=")
        if equals and owner in options:
            return [(f"{owner}={word}", text) for word, text in world.values(options[owner]["value"], start)]
        if rest and rest[-1] in options and options[rest[-1]]["value"]:
            return world.values(options[rest[-1]]["value"], current)
        if current.startswith("-"):
            return [(name, option["help"]) for name, option in options.items() if name.startswith(current)]
    if command["commands"]:
        return [(name, text) for name, text in command["commands"].items() if name.startswith(current)]
    return world.values(command["argument"], current)


def _command(commands: Mapping[str, Any], before: Sequence[str]) -> tuple[Mapping[str, Any], list[str]]:
    """The command that the words so far name, and the words behind it."""
    name, rest = "", list(before)
    while rest:
        named = f"{name} {rest[0]}".strip()
        if named not in commands:
            break
        name, rest = named, rest[1:]
    return commands[name], rest


class _World:
    """What the folder and the state of earlier runs offer."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], words: Sequence[str], table: Mapping[str, Any]
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._words = words
        self._table = table

    def values(self, kind: str, current: str) -> list[tuple[str, str]]:
        """Candidates of this kind that begin with `current`; a directive where files or folders belong."""
        if kind in (FILES, FOLDERS):
            return [(kind, "")]
        if kind.startswith("one of "):
            found = [(word, "") for word in kind.removeprefix("one of ").split()]
        else:
            sources: dict[str, Callable[[], list[tuple[str, str]]]] = {
                "site": self._sites,
                "target": self._targets,
                "image": self._images,
                "run": self._runs,
                "code": lambda: [(str(code), str(text)) for code, text in self._table["codes"].items()],
            }
            found = sources[kind]() if kind in sources else []
        return [(word, text) for word, text in found if word.lower().startswith(current.lower())]

    def _given(self, option: str) -> list[str]:
        pairs = zip(self._words, self._words[1:], strict=False)
        found = [value for name, value in pairs if name == option]
        return found + [word.partition("=")[2] for word in self._words if word.startswith(f"{option}=")]

    def _sites(self) -> list[tuple[str, str]]:
        given = self._given("--site-configs") or [self._environment.get("HPCBAKE_SITE_CONFIGS") or "site-configs"]
        return [(path.stem, "") for path in sorted((self._folder / given[-1]).glob("*.yaml"))]

    def _targets(self) -> list[tuple[str, str]]:
        named = [*self._given("-f"), *self._given("--file")]
        files = [self._folder / name for name in named or _BAKE_FILES]
        texts = {path: _read(path) for path in files if path.is_file()}
        names = [name for path, text in texts.items() if path.suffix in (".hcl", "") for name in _TARGET.findall(text)]
        # A quick look tells the names that stand there; those of a matrix, of JSON and of compose take evaluating.
        if any("matrix" in text or path.suffix not in (".hcl", "") for path, text in texts.items()):
            names += _evaluated(named, self._folder, self._environment)
        return [(name, "") for name in dict.fromkeys(names)]

    def _images(self) -> list[tuple[str, str]]:
        """Targets of the bake file here, and images of the last run."""
        names = [name for name, _ in self._targets()]
        for run, _ in self._runs()[:1]:
            report = json.loads(_read(self._state() / "runs" / run / "report.json") or "{}")
            names += [str(target["name"]) for target in report.get("targets", [])]
        return [(name, "") for name in dict.fromkeys(names)]

    def _runs(self) -> list[tuple[str, str]]:
        runs = self._state() / "runs"
        names = sorted((path.name for path in runs.iterdir()), reverse=True) if runs.is_dir() else []
        return [(name, "") for name in names[:_MAX_RUNS]]

    def _state(self) -> Path:
        home = self._environment.get("HOME", "/nonexistent")
        states = Path(self._environment.get("XDG_STATE_HOME") or Path(home) / ".local/state")
        return Path(self._environment.get("HPCBAKE_STATE") or states / "hpcbake")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""


def _evaluated(files: Sequence[str], folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Names of targets that only evaluating the files tells: those of a matrix, of JSON and of compose."""
    from hpcbake.bakefile import BakeRequest, resolve
    from hpcbake.errors import HpcbakeError

    try:
        plan = resolve(BakeRequest(files=tuple(files)), folder=folder, environment=environment, stdin=lambda: "")
    except HpcbakeError:
        return []
    return [*plan.groups, *plan.targets]
