"""Each config file by itself: its text, its YAML, what its own reader says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from hpcbake.bakefile.source import SourceFile
from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import Severity
from hpcbake.ship.configuration import parse_user_layer
from hpcbake.ship.project import parse_project
from hpcbake.ship.project_keys import PROJECT, USER, render_project_schema
from hpcbake.sites.document import MAX_DOCUMENT_BYTES, Section, read_document
from hpcbake.sites.nodes import compose
from hpcbake.sites.profile import PROFILE_FILE
from hpcbake.sites.read import parse_site
from hpcbake.sites.schema import SITE, render_site_schema
from hpcbake.validation.files import SITE_SCHEMA, ConfigFile, Kind
from hpcbake.validation.place import find_place, without_item
from hpcbake.validation.problem import Problem, problem_at, problem_of_mistake

_MOST_CONTRADICTIONS = 20


@dataclass(frozen=True)
class Looked:
    """One file after it was looked at: its source and its nodes, as far as it has them, and what is wrong."""

    file: ConfigFile
    source: SourceFile
    node: yaml.Node | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def stem(self) -> str:
        return Path(self.file.path).stem


def read_source(path: str) -> SourceFile | Problem:
    """The text of a file, or what keeps it from being read."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        return Problem(path, 1, 1, f"cannot be read: {error.strerror}", "check its path and its mode")
    if len(content) > MAX_DOCUMENT_BYTES:
        return Problem(
            path, 1, 1, "is larger than a config file may be (1 MiB)", "check that this is the file you meant"
        )
    return decode(path, content)


def decode(path: str, content: bytes) -> SourceFile | Problem:
    """The text of these bytes, or where the first of them stands that is not UTF-8."""
    try:
        return SourceFile(path, content.decode("utf-8"), "yaml")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        return Problem(path, line, column, f"byte {content[error.start]:#04x} is not UTF-8", "save the file as UTF-8")


def look_at(file: ConfigFile, environment: Mapping[str, str]) -> Looked:
    """Any config file but bake files and templates."""
    source = read_source(file.path)
    if isinstance(source, Problem):
        return Looked(file, SourceFile(file.path, ""), problems=(source,))
    if file.kind is Kind.SCHEMA:
        return Looked(file, source, problems=tuple(_old_schema(source)))
    if file.kind is Kind.SITE and file.path.endswith(".yml"):
        wrong = problem_at(source, 1, 1, "would be passed over: site configs end in .yaml", "rename it to .yaml")
        return Looked(file, source, problems=(wrong,))
    section, parse = _readers(environment)[file.kind]
    return _look_at_yaml(file, source, section, parse)


_Parse = Callable[[str, str], object]


def _readers(environment: Mapping[str, str]) -> Mapping[Kind, tuple[Section, _Parse | None]]:
    from hpcbake.check.policy import POLICY, parse_policy

    return {
        Kind.PROJECT: (PROJECT, parse_project),
        Kind.SITE: (SITE, lambda content, path: parse_site(content, path, environment=environment)),
        Kind.PROFILE: (PROFILE_FILE, None),
        Kind.POLICY: (POLICY, parse_policy),
        Kind.SETTINGS: (USER, lambda content, path: parse_user_layer(content, Path(path), "user")),
    }


def _look_at_yaml(file: ConfigFile, source: SourceFile, section: Section, parse: _Parse | None) -> Looked:
    try:
        document = read_document(source.text, file.path, section)
    except ConfigError as error:
        if error.kind == "config.empty" and file.kind is Kind.SETTINGS:
            return Looked(file, source)  # one of comments alone says nothing
        message = error.message.removeprefix(f"{file.path}: ")
        return Looked(file, source, problems=(problem_at(source, 1, 1, message, error.remedy),))
    if document.mistakes:
        problems = tuple(problem_of_mistake(source, mistake) for mistake in document.mistakes)
        return Looked(file, source, document.node, problems)
    found = _contradictions(source, document.node, parse) if parse is not None else []
    return Looked(file, source, document.node, tuple(found))


def _contradictions(source: SourceFile, node: yaml.Node | None, parse: _Parse) -> list[Problem]:
    """Everything that a reader refuses in values that are each right.

    A reader stops at the first. The item of the list that it stopped at is left out, and the reader asked again.
    """
    found: list[Problem] = []
    text = source.text
    while len(found) < _MOST_CONTRADICTIONS:
        try:
            parse(text, source.name)
        except ConfigError as error:
            message = error.message.removeprefix(f"{source.name}: ")
            line, column = find_place(node, message)
            found.append(problem_at(source, line, column, message, error.remedy))
            shorter = without_item(text, node, line)
            if shorter is None:
                break
            text = shorter
            node, _ = compose(text)
        else:
            break
    return found


def _old_schema(source: SourceFile) -> list[Problem]:
    """Editors judge by the copy in the project; hpcbake by its own."""
    word = "site" if source.name.endswith(SITE_SCHEMA) else "project"
    if source.text == (render_site_schema() if word == "site" else render_project_schema()):
        return []
    return [
        problem_at(
            source,
            1,
            1,
            "is the schema of another version of hpcbake: editors go by it",
            f"hpcbake validate --schema {word} >{source.name}",
            Severity.WARNING,
        )
    ]
