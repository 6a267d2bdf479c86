"""A Dockerfile as stages of instructions that know where they were written.

Follows BuildKit's parser: `# escape=` and `# syntax=` directives, comments and blank lines inside continued
instructions, heredocs of RUN, COPY and ADD, flags, ARG before the first FROM. It judges nothing; what cannot be read
is kept in `problems`, so that a linter can still say something about the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.model.late import dataclass

DOCKERFILE: Final = "dockerfile"
#: No hand writes more lines than this.
MOST_LINES: Final = 200_000

_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*(.*?)[ \t\r]*")
_HEREDOC = re.compile(r"(\d*)<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_.]*)\3")
_FLAG = re.compile(r"--([a-z][a-z0-9-]*)(?:=(.*))?", re.DOTALL)
_VARIABLE = re.compile(
    r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])((?:[^{}]|\$\{[^{}]*\})*))?\})"
)
_WITH_HEREDOCS: Final = frozenset({"RUN", "COPY", "ADD"})
KNOWN_INSTRUCTIONS: Final = frozenset(
    {
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
        "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Heredoc:
    """The lines of one `<<NAME`. `expands` is whether variables in it are replaced."""

    name: str
    text: str
    expands: bool
    span: Span


@dataclass(frozen=True)
class Flag:
    """`--name=value`, or `--name` alone with an empty value."""

    name: str
    value: str


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name in capitals, its flags, and the rest of it on one line without comments."""

    name: str
    flags: tuple[Flag, ...]
    text: str
    span: Span
    heredocs: tuple[Heredoc, ...] = ()

    def flag(self, name: str) -> str | None:
        """The value of `--name`, or None when it is not there."""
        return next((flag.value for flag in self.flags if flag.name == name), None)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the text, quotes removed; the items of a JSON list where the text is one."""
        return tuple(split_words(self.text))

    @property
    def script(self) -> str:
        """Everything that a RUN executes: its line and its heredocs."""
        return "\n".join([self.text, *(heredoc.text for heredoc in self.heredocs)])


@dataclass(frozen=True)
class Stage:
    """A `FROM` and what follows. `base` is as written; `name` is lower case, or empty."""

    index: int
    name: str
    base: str
    platform: str | None
    span: Span
    instructions: tuple[Instruction, ...]

    @property
    def label(self) -> str:
        """How messages call this stage."""
        return self.name or f"number {self.index}"


@dataclass(frozen=True)
class Problem:
    """Something that is not a Dockerfile: what, where, what to do."""

    message: str
    span: Span
    help: str


@dataclass(frozen=True)
class Dockerfile:
    """A whole file: ARGs before the first FROM, then stages."""

    source: SourceFile
    global_args: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    problems: tuple[Problem, ...] = ()
    directives: Mapping[str, str] = field(default_factory=dict)
    #: Comment lines with their text after the `#`, for `# hpcbake: ignore=…`.
    comments: tuple[tuple[int, str], ...] = ()

    def find_stage(self, name: str, before: int | None = None) -> Stage | None:
        """The stage that `name` (or its number) means, among those before stage `before`."""
        stages = self.stages if before is None else self.stages[:before]
        if name.isdecimal():
            return next((stage for stage in stages if stage.index == int(name)), None)
        return next((stage for stage in reversed(stages) if stage.name and stage.name == name.lower()), None)

    def variables(self, build_args: Mapping[str, str]) -> dict[str, str]:
        """The global ARGs that a FROM may use, with `build_args` over their defaults."""
        known: dict[str, str] = {}
        for argument in self.global_args:
            for name, default in arguments_of(argument):
                value = build_args.get(name, None if default is None else expand(default, known))
                if value is not None:
                    known[name] = value
        return known


def arguments_of(instruction: Instruction) -> Iterator[tuple[str, str | None]]:
    """The names and defaults that an ARG declares."""
    for word in instruction.words:
        name, equals, default = word.partition("=")
        if name:
            yield name, default if equals else None


def environment_of(instruction: Instruction) -> Iterator[tuple[str, str]]:
    """The names and values that an ENV (or LABEL) sets, in either form."""
    words = instruction.words
    if words and "=" not in words[0]:
        yield words[0], instruction.text.split(None, 1)[1].strip() if len(words) > 1 else ""
        return
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def parse_dockerfile(source: SourceFile) -> Dockerfile:
    """Read `source`. Never raises: what is wrong is in `problems`."""
    reader = _Reader(source)
    instructions = list(reader.instructions())
    global_args: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for instruction in instructions:
        if instruction.name == "FROM":
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif instruction.name == "ARG":
            global_args.append(instruction)
        else:
            reader.note("there is no FROM before this instruction", instruction.span, "start the file with FROM IMAGE")
    return Dockerfile(
        source,
        tuple(global_args),
        tuple(_stage(i, start, body, reader) for i, (start, body) in enumerate(stages)),
        tuple(reader.problems),
        reader.directives,
        tuple(reader.comments),
    )


def _stage(index: int, start: Instruction, body: Sequence[Instruction], reader: _Reader) -> Stage:
    words = start.words
    name = ""
    if len(words) == 3 and words[1].lower() == "as":
        name = words[2].lower()
    elif len(words) != 1:
        reader.note("FROM takes an image, and perhaps AS and a name", start.span, "write FROM IMAGE AS NAME")
    return Stage(index, name, words[0] if words else "", start.flag("platform"), start.span, tuple(body))


class _Reader:
    """Cuts a Dockerfile into instructions."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.lines = source.text.split("\n")[:MOST_LINES]
        self.escape = "\\"
        self.directives: dict[str, str] = {}
        self.comments: list[tuple[int, str]] = []
        self.problems: list[Problem] = []

    def note(self, message: str, span: Span, help_line: str) -> None:
        self.problems.append(Problem(message, span, help_line))

    def instructions(self) -> Iterator[Instruction]:
        """Every instruction in order."""
        at = self._read_directives()
        while at < len(self.lines):
            line = self.lines[at].lstrip("\ufeff")
            if not line.strip():
                at += 1
            elif line.lstrip().startswith("#"):
                self._comment(at)
                at += 1
            else:
                instruction, at = self._instruction(at)
                yield instruction

    def _comment(self, at: int) -> None:
        self.comments.append((at + 1, self.lines[at].lstrip("\ufeff \t")[1:].strip()))

    def _read_directives(self) -> int:
        at = 0
        while at < len(self.lines):
            match = _DIRECTIVE.fullmatch(self.lines[at].lstrip("\ufeff"))
            if match is None or match.group(1).lower() in self.directives:
                break
            self.directives[match.group(1).lower()] = match.group(2)
            if match.group(1).lower() not in ("syntax", "escape", "check"):
                self.directives.pop(match.group(1).lower())
                break
            at += 1
        if self.directives.get("escape") in ("\\", "`"):
            self.escape = self.directives["escape"]
        return at

    def _instruction(self, start: int) -> tuple[Instruction, int]:
        text, at = self._continued(start)
        name, _, rest = text.strip().partition(" ") if " " in text.strip() else text.strip().partition("\t")
        name, rest = name.upper(), rest.strip()
        heredocs: list[Heredoc] = []
        if name in _WITH_HEREDOCS or name == "ONBUILD":
            for match in find_heredocs(rest):
                heredoc, at = self._heredoc(match, at)
                heredocs.append(heredoc)
        span = self._span(start, at)
        if name not in KNOWN_INSTRUCTIONS:
            self.note(f"unknown instruction {name}", span, "check the spelling; a line is continued by a final \\")
        flags, rest = _split_flags(rest)
        return Instruction(name, flags, rest, span, tuple(heredocs)), at

    def _continued(self, start: int) -> tuple[str, int]:
        """The instruction from line `start` on as one line, and the line after it."""
        parts: list[str] = []
        at = start
        while at < len(self.lines):
            line = self.lines[at].rstrip("\r")
            if at > start and line.lstrip().startswith("#"):
                self._comment(at)
                at += 1
                continue
            if at > start and not line.strip():
                at += 1
                continue
            stripped = line.rstrip(" \t")
            at += 1
            if not stripped.endswith(self.escape):
                parts.append(line.lstrip("\ufeff") if at == 1 else line)
                break
            parts.append(stripped[: -len(self.escape)])
        return "".join(parts), at

    def _heredoc(self, match: re.Match[str], at: int) -> tuple[Heredoc, int]:
        strips, quote, name = match.group(2) == "-", match.group(3), match.group(4)
        first, lines = at, []
        while at < len(self.lines):
            line = self.lines[at].rstrip("\r")
            at += 1
            if (line.lstrip("\t") if strips else line) == name:
                break
            lines.append(line.lstrip("\t") if strips else line)
        else:
            self.note(
                f"the heredoc {name} is never closed", self._span(first - 1, first), f"add a line that is just {name}"
            )
        return Heredoc(name, "".join(f"{line}\n" for line in lines), not quote, self._span(first, at)), at

    def _span(self, first: int, end: int) -> Span:
        """From the first character of line `first` to the end of the line before `end` (both counted from 0)."""
        first = min(first, self.source.line_count - 1)  # a heredoc that opens on the last line has no lines of its own
        start = self.source.line_start(first + 1)
        last = min(end, self.source.line_count)
        text = self.source.text[start : self.source.line_start(last) + len(self.source.line_text(last))]
        return Span(self.source, start + len(text) - len(text.lstrip()), start + len(text.rstrip()))


def find_heredocs(text: str) -> list[re.Match[str]]:
    """The `<<NAME`s in an instruction's text that are outside quotes."""
    found: list[re.Match[str]] = []
    at, quote = 0, ""
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\" and quote == '"':
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == "\\":
            at += 1
        elif (at == 0 or text[at - 1].isspace()) and (match := _HEREDOC.match(text, at)):
            found.append(match)
            at = match.end()
            continue
        at += 1
    return found


def _split_flags(text: str) -> tuple[tuple[Flag, ...], str]:
    flags: list[Flag] = []
    while text.startswith("--"):
        word, _, rest = text.partition(" ")
        match = _FLAG.fullmatch(word)
        if match is None:
            break
        flags.append(Flag(match.group(1), (match.group(2) or "").strip("\"'")))
        text = rest.lstrip()
    return tuple(flags), text


def split_words(text: str) -> list[str]:
    """`text` as words with quotes removed, or the items of the JSON list that it is."""
    if text.lstrip().startswith("["):
        items = _json_list(text)
        if items is not None:
            return items
    words: list[str] = []
    current: list[str] = []
    in_word, quote, at = False, "", 0
    while at < len(text):
        character = text[at]
        at += 1
        if not quote and character.isspace():
            if in_word:
                words.append("".join(current))
            current, in_word = [], False
            continue
        in_word = True
        if character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote = character
        elif character == "\\" and quote != "'" and at < len(text) and (not quote or text[at] in '"\\$'):
            current.append(text[at])
            at += 1
        else:
            current.append(character)
    return [*words, "".join(current)] if in_word else words


def _json_list(text: str) -> list[str] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` with the Dockerfile's `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` replaced."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        operator, word = match.group(3) or "", match.group(4) or ""
        value = variables.get(name)
        has_value = value is not None and (value != "" or not operator.startswith(":"))
        if operator.endswith("-"):
            return (value or "") if has_value else expand(word, variables)
        if operator.endswith("+"):
            return expand(word, variables) if has_value else ""
        return value or ""

    return _VARIABLE.sub(replace, text)
