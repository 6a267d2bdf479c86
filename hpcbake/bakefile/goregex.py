r"""Go's regular expressions on Python's engine: the syntax of RE2 is checked and rewritten.

Go and Python agree on what most patterns match. Where they do not (`\z`, `(?U)`, classes such as `[[:alpha:]]`,
ASCII-only `\d` and `\w`, `$` at the very end) the pattern is rewritten; what Go does not have (look-around,
back-references) is refused. Matching has a deadline, for Python backtracks where Go does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

#: Seconds that one search may take.
_DEADLINE_S = 2.0
_LARGEST_REPEAT = 1000
_DEEPEST = 200

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\\x00-\\x7f", "blank": "\\t ", "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ", "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_PERL = {"d": "0-9", "s": "\\t\\n\\f\\r ", "w": "0-9A-Za-z_"}
_CONTROL = {"a": "\\x07", "f": "\\f", "t": "\\t", "n": "\\n", "r": "\\r", "v": "\\v"}


class PatternError(ValueError):
    """The pattern is not one that Go takes."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(f"it is not a regular expression: {message}")
        self.advice = advice


class SlowPatternError(Exception):
    """The search took longer than hpcbake waits."""

    def __init__(self) -> None:
        super().__init__(f"it takes longer than {_DEADLINE_S:.0f} s on this text")
        self.advice = "avoid nested repetition such as (a+)+"


class Pattern:
    """A compiled pattern; `names` are those of its groups, empty for unnamed ones."""

    def __init__(self, compiled: Any, names: tuple[str, ...]) -> None:
        self._compiled = compiled
        self.names = names

    def search(self, text: str) -> Any:
        """The first match, or None. Raises SlowPatternError."""
        try:
            return self._compiled.search(text, timeout=_DEADLINE_S)
        except TimeoutError:
            raise SlowPatternError from None

    def search_all(self, text: str) -> Iterator[Any]:
        """All matches, none overlapping; an empty one right behind another match does not count.

        Raises SlowPatternError.
        """
        last = -1
        try:
            for match in self._compiled.finditer(text, timeout=_DEADLINE_S):
                if match.start() == match.end() == last:
                    continue
                last = match.end()
                yield match
        except TimeoutError:
            raise SlowPatternError from None


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Pattern:
    """A pattern in Go's syntax, ready to search. Raises PatternError."""
    import regex  # type: ignore[import-untyped]

    rewriter = _Rewriter(pattern)
    rewritten = rewriter.run()
    try:
        compiled = regex.compile(rewritten, regex.VERSION0)
    except (regex.error, RecursionError, OverflowError) as error:
        raise PatternError(str(error)) from None
    return Pattern(compiled, tuple(rewriter.names))


class _Rewriter:
    """Walks a Go pattern once and writes Python's."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self.names: list[str] = []
        self._flags = {"i": False, "m": False, "s": False, "U": False}
        self._repeatable = False

    def run(self) -> str:
        written = self._alternatives(0)
        if self._at < len(self._pattern):
            raise PatternError("unexpected )")
        return written

    def _peek(self, length: int = 1) -> str:
        return self._pattern[self._at : self._at + length]

    def _alternatives(self, depth: int) -> str:
        if depth > _DEEPEST:
            raise PatternError(f"groups nest deeper than {_DEEPEST} levels")
        outer = dict(self._flags)
        pieces: list[str] = []
        self._repeatable = False
        while (character := self._peek()) and character != ")":
            self._at += 1
            if character == "|":
                pieces.append("|")
                self._repeatable = False
            elif character in "*+?" or (character == "{" and self._is_repeat()):
                pieces.append(self._repeat(character))
            else:
                pieces.append(self._atom(character, depth))
        self._flags = outer
        return "".join(pieces)

    # -- repetition

    def _is_repeat(self) -> bool:
        return re.match(r"[0-9]+(?:,[0-9]*)?\}", self._pattern[self._at :]) is not None

    def _repeat(self, operator: str) -> str:
        if not self._repeatable:
            raise PatternError(f"missing argument to repetition operator: {operator}")
        if operator == "{":
            end = self._pattern.index("}", self._at)
            bounds = self._pattern[self._at : end]
            self._at = end + 1
            low, _, high = bounds.partition(",")
            if int(low) > _LARGEST_REPEAT or (high and (int(high) > _LARGEST_REPEAT or int(high) < int(low))):
                raise PatternError(f"invalid repeat count: {{{bounds}}}", f"at most {_LARGEST_REPEAT} repetitions")
            operator = f"{{{bounds}}}"
        lazy = self._flags["U"]
        if self._peek() == "?":
            self._at += 1
            lazy = not lazy
        if self._peek() and (self._peek() in "*+?" or (self._peek() == "{" and self._is_next_repeat())):
            raise PatternError(f"invalid nested repetition operator: {operator}{self._peek()}")
        self._repeatable = False
        return operator + ("?" if lazy else "")

    def _is_next_repeat(self) -> bool:
        self._at += 1
        try:
            return self._is_repeat()
        finally:
            self._at -= 1

    # -- atoms

    def _atom(self, character: str, depth: int) -> str:
        if character == "(":
            return self._group(depth)
        self._repeatable = True
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character == ".":
            return "(?s:.)" if self._flags["s"] else "[^\\n]"
        if character == "^":
            return "(?m:^)" if self._flags["m"] else "\\A"
        if character == "$":
            return "(?=\\n|\\Z)" if self._flags["m"] else "\\Z"
        return self._literal(character)

    def _literal(self, character: str) -> str:
        quoted = re.escape(character)
        return f"(?i:{quoted})" if self._flags["i"] and character.upper() != character.lower() else quoted

    def _group(self, depth: int) -> str:
        if self._peek() != "?":
            self.names.append("")
            return self._closed("(", depth)
        named = re.match(r"\?P?<([^>]*)>", self._pattern[self._at :])
        if named and not self._pattern.startswith(("?<=", "?<!"), self._at):
            name = named.group(1)
            if not re.fullmatch(r"[A-Za-z0-9_]+", name):
                raise PatternError(f"invalid named capture: {named.group()}")
            self.names.append(name)
            self._at += named.end()
            return self._closed("(", depth)
        return self._flag_group(depth)

    def _flag_group(self, depth: int) -> str:
        match = re.match(r"\?([imsU]*)(?:-([imsU]+))?([:)])", self._pattern[self._at :])
        if match is None or (match.group(3) == ")" and not (match.group(1) or match.group(2))):
            shown = self._pattern[self._at - 1 : self._at + 3]
            raise PatternError(f"invalid or unsupported Perl syntax: {shown}", "Go has no look-around")
        self._at += match.end()
        changed = {**self._flags, **dict.fromkeys(match.group(1), True), **dict.fromkeys(match.group(2) or "", False)}
        if match.group(3) == ")":
            self._flags = changed
            self._repeatable = False
            return ""
        outer, self._flags = self._flags, changed
        written = self._closed("(?:", depth)
        self._flags = outer
        return written

    def _closed(self, opening: str, depth: int) -> str:
        inner = self._alternatives(depth + 1)
        if self._peek() != ")":
            raise PatternError("missing closing )")
        self._at += 1
        self._repeatable = True
        return f"{opening}{inner})"

    def _escape(self) -> str:
        character = self._peek()
        if not character:
            raise PatternError("trailing backslash at end of expression")
        if character == "Q":
            return self._quoted()
        self._at += 1
        if character in "AzbB":
            boundary = {"b": "(?a:\\b)", "B": "(?a:\\B)"}
            return {"A": "\\A", "z": "\\Z"}.get(character) or boundary[character]
        self._at -= 1
        members = self._class_escape()
        if members is not None:
            return members if members.startswith(("\\p", "\\P")) else f"[{members}]"
        return self._literal(self._single_escape())

    def _quoted(self) -> str:
        end = self._pattern.find("\\E", self._at)
        text = self._pattern[self._at + 1 : end if end >= 0 else len(self._pattern)]
        self._at = end + 2 if end >= 0 else len(self._pattern)
        self._repeatable = bool(text)
        return "".join(map(self._literal, text))

    def _class_escape(self) -> str | None:
        """`\\d`, `\\pL` and their like as members of a class; None if it is another escape."""
        character = self._peek()
        if character in _PERL:
            self._at += 1
            return _PERL[character]
        if character and character.lower() in _PERL:
            self._at += 1
            return f"^{_PERL[character.lower()]}"
        if character in ("p", "P"):
            self._at += 1
            return self._unicode_class(character)
        return None

    def _unicode_class(self, kind: str) -> str:
        match = re.match(r"\{\^?[A-Za-z_]+\}|[A-Za-z]", self._pattern[self._at :])
        if match is None:
            raise PatternError(f"invalid character class range: \\{kind}")
        self._at += match.end()
        name = match.group().strip("{}")
        if name.startswith("^"):
            name, kind = name[1:], "P" if kind == "p" else "p"
        import regex

        try:
            regex.compile(f"\\p{{{name}}}")
        except regex.error:
            raise PatternError(f"invalid character class range: \\{kind}{{{name}}}") from None
        return f"\\{kind}{{{name}}}"

    def _single_escape(self) -> str:
        """The character that an escape stands for."""
        character = self._peek()
        self._at += 1
        if character in _CONTROL:
            return {"a": "\x07", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}[character]
        octal = re.match(r"[1-7][0-7]{1,2}|0[0-7]{0,2}", self._pattern[self._at - 1 :])
        if octal:
            self._at += octal.end() - 1
            return chr(int(octal.group(), 8))
        if character == "x":
            number = re.match(r"\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2})", self._pattern[self._at :])
            if number and int(number.group(1) or number.group(2), 16) <= 0x10FFFF:
                self._at += number.end()
                return chr(int(number.group(1) or number.group(2), 16))
        elif character.isascii() and not character.isalnum():
            return character
        raise PatternError(f"invalid escape sequence: \\{character}")

    # -- classes

    def _class(self) -> str:
        start = self._at - 1
        negated = self._peek() == "^"
        self._at += negated
        members: list[str] = []
        first = True
        while True:
            character = self._peek()
            if not character:
                raise PatternError(f"missing closing ]: {self._pattern[start:]}")
            if character == "]" and not first:
                self._at += 1
                break
            if character == "-" and not first and self._pattern[self._at + 1 : self._at + 2] not in ("]", ""):
                raise PatternError(f"invalid character class range: {self._pattern[self._at : self._at + 2]}")
            first = False
            members.append(self._class_member())
        body = "|".join(members)
        written = f"(?:(?!{body})(?s:.))" if negated else f"(?:{body})"
        return f"(?i:{written})" if self._flags["i"] else written

    def _class_member(self) -> str:
        named = re.match(r"\[:(\^?)([a-z]+):\]", self._pattern[self._at :])
        if named:
            if named.group(2) not in _CLASSES:
                raise PatternError(f"invalid character class range: {named.group()}")
            self._at += named.end()
            return f"[{named.group(1)}{_CLASSES[named.group(2)]}]"
        if self._peek() == "\\":
            self._at += 1
            members = self._class_escape()
            if members is not None:
                return f"[{members}]"
            self._at -= 1
        low = self._class_character()
        following = self._pattern[self._at : self._at + 2]
        if following[:1] != "-" or len(following) < 2 or following[1] == "]":
            return re.escape(low)
        self._at += 1
        high = self._class_character()
        if high < low:
            raise PatternError(f"invalid character class range: {low}-{high}")
        return f"[{re.escape(low)}-{re.escape(high)}]"

    def _class_character(self) -> str:
        character = self._peek()
        if not character:
            raise PatternError("missing closing ]")
        self._at += 1
        return self._single_escape() if character == "\\" else character


_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))?")


def expand_template(template: str, match: Any, names: tuple[str, ...]) -> str:
    """Go's replacement template: `$1`, `${1}`, `$name`, `$$`. What names no group is empty."""

    def replace(reference: re.Match[str]) -> str:
        if reference.group(1):
            return "$"
        name = reference.group(2) or reference.group(3)
        if name is None:
            return "$"
        number = int(name) if name.isdecimal() and (len(name) == 1 or name[0] != "0") else None
        if number is None:
            number = names.index(name) + 1 if name in names else -1
        if not 0 <= number <= len(names):
            return ""
        return match.group(number) or ""

    return _REFERENCE.sub(replace, template)
