"""Text to tokens: the scanner that python-hcl2's own lexer is replaced by.

Heredocs, comments, newlines, strip markers, escapes and Unicode names need a scanner that knows the bracket it is
in. Newlines are settled here: inside `( [ ${ %{` and for-expressions they mean nothing, between the elements of an
object they are commas, in a body they end an item. The grammar sees no newline at all.
"""

from __future__ import annotations

import re

from hpcbake.bakefile import codes
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.template_scan import TemplateScanner
from hpcbake.bakefile.tokens import (
    ASSIGN,
    BLOCK_CLOSE,
    BLOCK_OPEN,
    EOF,
    MAX_DEPTH,
    NEWLINE,
    Frame,
    FrameKind,
    ScanError,
    Token,
)

_MAIN = re.compile(
    r"""
    (?P<blank>[ \t]+)
  | (?P<comment>(?:\#|//)[^\n]*\n?|/\*(?s:.*?)\*/)
  | (?P<newline>\r?\n)
  | (?P<name>[A-Za-z_][A-Za-z0-9_-]*)
  | (?P<number>[0-9](?:(?:[0-9.]|[eE][+-]?[0-9])*(?:[0-9]|[eE][+-]?[0-9]))?)
  | (?P<quote>")
  | (?P<open>[(\[{])
  | (?P<close>~\}|[)\]}])
  | (?P<operator>==|!=|>=|<=|&&|\|\||::|\.\.\.|=>|[=<>!+\-*/%?:.,])
    """,
    re.VERBOSE,
)
_HEREDOC = re.compile(r"<<(-?)([^\W\d][\w-]*)\r?\n")
_BLANK = re.compile(r"(?:[ \t]+|\r?\n|(?:#|//)[^\n]*\n?|/\*(?s:.*?)\*/)*")
_INLINE_BLANK = re.compile(r"(?:[ \t]+|/\*(?s:.*?)\*/)*")
_FOR = re.compile(r"for(?![\w-])")

_OPERATORS = {
    "==": "DOUBLE_EQ", "!=": "NEQ", ">=": "GEQ", "<=": "LEQ", "&&": "DOUBLE_AMP", "||": "DOUBLE_PIPE",
    "...": "ELLIPSIS", "=>": "FOR_OBJECT_ARROW", "=": "EQ", "<": "LT", ">": "GT", "!": "NOT", "+": "PLUS",
    "-": "MINUS", "*": "ASTERISK", "/": "SLASH", "%": "PERCENT", "?": "QMARK", ":": "COLON", ".": "DOT", ",": "COMMA",
}  # fmt: skip
_LITERALS = {"true": "TRUE", "false": "FALSE", "null": "NULL"}
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_NOT_IN_THE_LANGUAGE = {
    **dict.fromkeys("“”„«»‘’", ("typographic quotes do not make strings", 'replace them by plain ones: "…"')),
    "'": ("single quotes do not make strings", 'use double quotes: "…"'),
    "`": ("backquotes do not make strings", 'use double quotes, or a heredoc (<<EOT) for several lines'),
    ";": ("`;` separates nothing here", "put each argument on a line of its own; separate list items by commas"),
    "&": ("`&` is not an operator", "write && for a logical and"),
    "|": ("`|` is not an operator", "write || for a logical or"),
    "~": ("`~` is not an operator", "write ! for a logical not; ~ only strips blanks next to ${ and }"),
    "^": ("`^` is not an operator", "use pow(x, y) for powers"),
    "@": ("`@` is not used in this language", "put text into double quotes"),
    "$": ("`$` is not used outside strings", 'write the bare name, or a template: "${name}"'),
    "\\": ("`\\` is not used outside strings", "a line needs no continuation mark inside brackets"),
}  # fmt: skip


class Scanner(TemplateScanner):
    """One pass over one file. `scan` is the way in."""

    def run(self) -> None:
        """Fill `tokens`; raises ScanError where going on would only produce noise."""
        length = len(self.text)
        if self.text.startswith("\ufeff"):
            self.pos = 1
        while self.pos < length:
            if self.frame.kind is FrameKind.STRING:
                self.scan_string()
            elif self.frame.kind is FrameKind.HEREDOC:
                self.scan_heredoc()
            elif self.frame.kind is FrameKind.BARE:
                self.scan_bare()
            else:
                self._scan_main()
        if len(self.frames) > 1:
            raise ScanError(self.unclosed(self.frame))
        self.add(EOF, length, length)

    def _scan_main(self) -> None:
        match = _MAIN.match(self.text, self.pos)
        if match is None:
            self._scan_other()
            return
        kind, start, end = match.lastgroup, match.start(), match.end()
        self.pos = end
        if kind == "blank":
            return
        if kind == "name":
            self._name(start, end)
        elif kind == "operator":
            self._operator(match.group(), start, end)
        elif kind == "quote":
            self.open_string(start)
        elif kind == "newline":
            self._newline(start, end)
        elif kind == "comment":
            if match.group()[-1] == "\n":
                self._newline(end - 1, end)
        elif kind == "number":
            self._number(match.group(), start, end)
        elif kind == "open":
            self._open(match.group(), start)
        else:
            self._close(match.group(), start, end)

    def _scan_other(self) -> None:
        """A heredoc, a name beyond ASCII, or something that is not HCL."""
        start, character = self.pos, self.text[self.pos]
        if character.isidentifier():
            self.pos = _name_end(self.text, start)
            self._name(start, self.pos, extended=True)
            return
        if character == "/" and self.text.startswith("/*", start):
            raise ScanError(
                self.problem(codes.SYNTAX, start, start + 2, "this comment is never closed", "end it with */")
            )
        self.pos += 1
        message, advice = _NOT_IN_THE_LANGUAGE.get(
            character, (f"the character {character!r} is not used in this language", "put text into double quotes")
        )
        self.report(codes.CHARACTER, start, start + 1, message, advice)
        self.after_operand = True

    def _name(self, start: int, end: int, *, extended: bool = False) -> None:
        if not extended and end < len(self.text) and not self.text[end].isascii():
            end = self.pos = _name_end(self.text, end)
        name, frame = self.text[start:end], self.frame
        if frame.kind is FrameKind.BODY and frame.state != "value":
            frame.state = "head"
            self.add("NAME", start, end, name)
            return
        type_ = self._word_type(name, frame, end)
        self.add(type_, start, end, name)
        self.after_operand = type_ not in ("FOR", "IN", "IF")

    def _word_type(self, name: str, frame: Frame, end: int) -> str:
        """Keywords are keywords only where HCL looks for them; elsewhere they are names like any other."""
        if frame.for_stage:
            stage = frame.for_stage
            if name == "in" and stage in (2, 4):
                frame.for_stage = 0
                return "IN"
            frame.for_stage = stage + 1 if stage in (1, 3) else 0
            return "NAME"
        if self.after_operand:
            return "IF" if name == "if" and frame.kind in (FrameKind.FOR_TUPLE, FrameKind.FOR_OBJECT) else "NAME"
        if name in _LITERALS and not self.last_is("DOT"):
            following = _INLINE_BLANK.match(self.text, end)
            at = following.end() if following else end
            if not self.text.startswith("(", at):
                return _LITERALS[name]
        return "NAME"

    def _number(self, text: str, start: int, end: int) -> None:
        if text.count(".") > 1 or not re.fullmatch(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?", text):
            self.report(
                codes.NUMBER,
                start,
                end,
                f"{text} is not a number",
                "write versions and dates as strings, in double quotes",
            )
        elif self.last_is("DOT") and "." in text:
            first, second = text.split(".", 1)
            self.report(
                codes.SYNTAX, start, end, "two indexes cannot be chained with dots", f"write [{first}][{second}]"
            )
        self.add("INT_LITERAL", start, end, text)
        self.after_operand = True

    def _operator(self, text: str, start: int, end: int) -> None:
        frame = self.frame
        if frame.kind is FrameKind.BODY and frame.state != "value":
            if text == "=" and frame.state == "head":
                frame.state = "value"
                self.add(ASSIGN, start, end, text)
                self.after_operand = False
            else:
                self.add(_OPERATORS.get(text, text), start, end, text)
            return
        if text == "<" and self._heredoc(start):
            return
        if text == "::":
            self.report(
                codes.SYNTAX, start, end, "`::` is not used in bake files", "write the bare name of the function"
            )
            self.after_operand = True
            return
        if text in "-!" and not self.after_operand:
            self._unary(text, start, end)
            return
        if text == ".":
            self.count_step(start)
        elif text != "*" or not self.last_is("DOT"):
            frame.steps = 0
        if text == "*" and self.last_is("DOT"):
            dot = self.tokens.pop()
            self.add("ATTR_SPLAT", dot.start, end, ".*")
            self.after_operand = True
            return
        if text == "?":
            frame.conditionals += 1
            self.check_depth(start)
        elif text == ",":
            frame.conditionals = 0
            if frame.for_stage == 2:
                frame.for_stage = 3
        self.add(_OPERATORS[text], start, end, text)
        self.after_operand = text == "..."  # only the `if` of a for expression may follow

    def _unary(self, text: str, start: int, end: int) -> None:
        """A run of unary operators becomes one token, for the grammar allows only one."""
        last = self.tokens[-1] if self.tokens else None
        if last is not None and last.unary:
            if len(last.unary) >= MAX_DEPTH:
                raise ScanError(self.too_deep(start))
            last.unary.append((text, start))
            return
        self.add("MINUS" if text == "-" else "NOT", start, end, text).unary = [(text, start)]

    def _heredoc(self, start: int) -> bool:
        match = _HEREDOC.match(self.text, start)
        if match is None:
            return False
        self.open_heredoc(start, match.end(), marker=match.group(2), flush=bool(match.group(1)))
        return True

    def _newline(self, start: int, end: int) -> None:
        frame = self.frame
        if frame.keeps_newlines:
            frame.steps = 0
        if frame.kind is FrameKind.BODY:
            frame.state = "start"
            self.add(NEWLINE, start, end, "\n")
            frame.conditionals = 0
        elif frame.kind is FrameKind.OBJECT and not self.last_is("LBRACE", "COMMA"):
            self.add("COMMA", start, end, "\n")
            frame.conditionals = 0
        else:
            return
        self.after_operand = False

    def _open(self, text: str, start: int) -> None:
        frame = self.frame
        if text == "{" and frame.kind is FrameKind.BODY and frame.state != "value":
            self.add(BLOCK_OPEN, start, start + 1, text)
            frame.state = "after"
            self.push(FrameKind.BODY, start, text)
            return
        if text == "(":
            self.add("LPAR", start, start + 1, text)
            self.push(FrameKind.PAREN, start, text)
        elif text == "[" and self.after_operand and self._is_step(start):
            return
        else:
            self.add("LSQB" if text == "[" else "LBRACE", start, start + 1, text)
            plain, loop = (
                (FrameKind.PAREN, FrameKind.FOR_TUPLE) if text == "[" else (FrameKind.OBJECT, FrameKind.FOR_OBJECT)
            )
            word = _FOR.match(self.text, _end(_BLANK, self.text, start + 1))
            if word is None or self.after_operand:
                self.push(plain, start, text)
            else:
                self.push(loop, start, text).for_stage = 1
                self.add("FOR", word.start(), word.end(), "for")
                self.pos = word.end()
        self.after_operand = False

    def _is_step(self, start: int) -> bool:
        """Whether `[` is a whole `[*]`; otherwise it opens an index."""
        self.count_step(start)
        return self._full_splat(start)

    def _full_splat(self, start: int) -> bool:
        blank = _INLINE_BLANK if self.frame.keeps_newlines else _BLANK
        star = _end(blank, self.text, start + 1)
        if not self.text.startswith("*", star):
            return False
        closing = _end(blank, self.text, star + 1)
        if not self.text.startswith("]", closing):
            self.report(codes.SYNTAX, start, star + 1, "[* must be followed by ] right away", "write [*]")
            return False
        self.pos = closing + 1
        self.add("FULL_SPLAT_START", start, self.pos, "[*]")
        return True

    def _close(self, text: str, start: int, end: int) -> None:
        frame, bracket = self.frame, text[-1]
        if frame.opener is None or _CLOSERS.get(frame.opener[-1]) != bracket:
            raise ScanError(self.mismatch(bracket, start, end))
        if text == "~}" and not frame.is_template_sequence:
            self.report(codes.CHARACTER, start, end, "~} closes only ${ and %{", "drop the ~")
        self.frames.pop()
        if frame.kind is FrameKind.BODY:
            self.add(BLOCK_CLOSE, start, end, text)
            return
        type_ = {")": "RPAR", "]": "RSQB", "}": "RBRACE"}[bracket]
        self.add(type_, start, end, text)
        self.after_operand = True


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _name_end(text: str, at: int) -> int:
    length = len(text)
    while at < length and (text[at] == "-" or ("a" + text[at]).isidentifier()):
        at += 1
    return at


def scan(source: SourceFile) -> tuple[list[Token], list[Diagnostic]]:
    """All tokens of a file and what is wrong with its characters, strings and brackets."""
    return _run(Scanner(source))


def _run(scanner: Scanner) -> tuple[list[Token], list[Diagnostic]]:
    try:
        scanner.run()
    except ScanError as stop:
        scanner.diagnostics.append(stop.diagnostic)
    return scanner.tokens, scanner.diagnostics


def scan_template(source: SourceFile) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens of a text that is one template, as strings in JSON files are: like a string without its quotes."""
    scanner = Scanner(source)
    scanner.add("DBLQUOTE", 0, 0, '"')
    scanner.frames = [Frame(FrameKind.BARE, 0, None)]
    tokens, diagnostics = _run(scanner)
    if tokens and tokens[-1].type == EOF:
        tokens[-1] = Token("DBLQUOTE", len(source.text), len(source.text), '"')
    return tokens, diagnostics


def scan_expression(source: SourceFile) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens of a text that is one expression."""
    scanner = Scanner(source)
    scanner.frames[0].state = "value"
    tokens, diagnostics = _run(scanner)
    return [token for token in tokens if token.type not in (EOF, NEWLINE)], diagnostics
