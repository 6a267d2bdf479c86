"""The part of the scanner that reads inside strings and heredocs, and what all of the scanner shares."""

from __future__ import annotations

import re

from hpcbake.bakefile import codes
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import SPACES, SourceFile, Span
from hpcbake.bakefile.tokens import MAX_DEPTH, MAX_STEPS, NEWLINE, Frame, FrameKind, ScanError, Token

_QUOTED = re.compile(r"""(?P<text>(?:[^"$%\\\r\n]|\\.)+)|(?P<mark>\$\$\{|%%\{|[$%]\{~?)|(?P<sign>[$%])|(?P<quote>")""")
_LINE = re.compile(r"""(?P<text>[^$%\n]+)|(?P<mark>\$\$\{|%%\{|[$%]\{~?)|(?P<sign>[$%])|(?P<newline>\n)""")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{0,4}|U[0-9a-fA-F]{0,8}|.)")
_SIMPLE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_WORD = re.compile(r"(?:[ \t]+|\r?\n|(?:#|//)[^\n]*\n?|/\*(?s:.*?)\*/)*([A-Za-z_][\w-]*)?")
_DIRECTIVES = {"if": "IF", "else": "ELSE", "endif": "ENDIF", "for": "FOR", "endfor": "ENDFOR"}


class TemplateScanner:
    """State of the scanner, and its modes for quoted strings and heredocs."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.text = source.text
        self.pos = 0
        self.tokens: list[Token] = []
        self.diagnostics: list[Diagnostic] = []
        self.frames: list[Frame] = [Frame(FrameKind.BODY, 0, None)]
        #: Did the last token end an operand? Then `-` subtracts, `[` indexes and `if` may be a keyword.
        self.after_operand = False

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    # -- tokens and frames

    def add(self, type_: str, start: int, end: int, value: str = "") -> Token:
        token = Token(type_, start, end, value)
        self.tokens.append(token)
        return token

    def last_is(self, *types: str) -> bool:
        return bool(self.tokens) and self.tokens[-1].type in types

    def push(self, kind: FrameKind, start: int, opener: str) -> Frame:
        frame = Frame(kind, start, opener)
        self.frames.append(frame)
        self.check_depth(start)
        return frame

    def count_step(self, start: int) -> None:
        """One more `.name` or `[index]` behind an operand."""
        self.frame.steps += 1
        if self.frame.steps > MAX_STEPS:
            message = f"more than {MAX_STEPS} attributes and indexes in a row"
            raise ScanError(self.problem(codes.LIMIT, start, start + 1, message, "give the value in between a name"))

    def check_depth(self, start: int) -> None:
        if len(self.frames) + self.frame.conditionals > MAX_DEPTH:
            raise ScanError(self.too_deep(start))

    # -- diagnostics

    def problem(self, code: str, start: int, end: int, message: str, advice: str = "") -> Diagnostic:
        return Diagnostic(code, message, Span(self.source, start, end), advice)

    def report(self, code: str, start: int, end: int, message: str, advice: str = "") -> None:
        self.diagnostics.append(self.problem(code, start, end, message, advice))

    def too_deep(self, start: int) -> Diagnostic:
        return self.problem(
            codes.LIMIT, start, start + 1, f"brackets, conditionals and operators nest deeper than {MAX_DEPTH} levels"
        )

    def unclosed(self, frame: Frame) -> Diagnostic:
        end = frame.start + len(frame.opener or "")
        if frame.kind is FrameKind.HEREDOC:
            return self.problem(
                codes.HEREDOC,
                frame.start,
                end,
                f"this heredoc is never closed: no line consists of {frame.marker} alone",
                f"end it with a line {frame.marker}; the marker needs a line end after it",
            )
        what = "string" if frame.kind is FrameKind.STRING else f"`{frame.opener}`"
        return self.problem(codes.BRACKET, frame.start, end, f"this {what} is never closed")

    def mismatch(self, bracket: str, start: int, end: int) -> Diagnostic:
        frame = self.frame
        if frame.opener is None:
            return self.problem(
                codes.BRACKET,
                start,
                end,
                f"`{bracket}` closes nothing",
                "remove it, or look for a bracket missing above",
            )
        opened = Span(self.source, frame.start, frame.start + 1)
        return self.problem(
            codes.BRACKET,
            start,
            end,
            f"`{bracket}` does not close the `{frame.opener}` opened at {opened.line}:{opened.column}",
            "close the inner bracket first",
        )

    # -- quoted strings

    def open_string(self, start: int) -> None:
        self.add("DBLQUOTE", start, start + 1, '"')
        self.push(FrameKind.STRING, start, '"')

    def scan_string(self) -> None:
        """One piece of a quoted string."""
        start = self.pos
        match = _QUOTED.match(self.text, start)
        if match is None:
            self._broken_string(start)
            return
        self.pos = match.end()
        kind, text = match.lastgroup, match.group()
        if kind == "quote":
            self._end_string(start, self.pos)
        elif kind == "text":
            self.add("STRING_CHARS", start, self.pos, self._unescape(text, start) if "\\" in text else text)
        else:
            self._sign(text, start)

    def _end_string(self, start: int, end: int) -> None:
        self.add("DBLQUOTE", start, end, '"')
        self.frames.pop()
        self.after_operand = True

    def _broken_string(self, start: int) -> None:
        """A line ends inside a string: say so, and go on as if the string had been closed."""
        opening = self.frame.start
        outer = self.frames[-2] if len(self.frames) > 1 else None
        if outer is not None and outer.is_template_sequence:
            message = f"this `{outer.opener}` is not closed before the string ends"
            opener = str(outer.opener)
            advice = f"add the }} that is missing; a literal {opener} is written {opener[0]}{opener}"
            raise ScanError(self.problem(codes.TEMPLATE, outer.start, start, message, advice))
        self.report(
            codes.STRING,
            opening,
            start,
            "this string is not closed on its line",
            'add the closing ", write \\n for a line break, or use a heredoc (<<EOT) for several lines',
        )
        if self.text[start] not in "\r\n" or (self.text[start] == "\r" and not self.text.startswith("\r\n", start)):
            self.pos = start + 1
        self._end_string(start, start)

    def _unescape(self, text: str, start: int) -> str:
        def decode(match: re.Match[str]) -> str:
            selector = match.group(1)
            if selector in _SIMPLE_ESCAPES:
                return _SIMPLE_ESCAPES[selector]
            begin = start + match.start()
            if selector[0] in "uU":
                return self._unicode_escape(selector, begin)
            self.report(
                codes.STRING,
                begin,
                begin + len(match.group()),
                f"\\{selector} is not an escape sequence",
                r"there are \n \r \t \" \\ \uNNNN \UNNNNNNNN; write \\ for a backslash",
            )
            return selector

        return _ESCAPE.sub(decode, text)

    def _unicode_escape(self, selector: str, begin: int) -> str:
        digits, wanted = selector[1:], 4 if selector[0] == "u" else 8
        end = begin + 1 + len(selector)
        if len(digits) != wanted:
            self.report(
                codes.STRING,
                begin,
                end,
                f"\\{selector[0]} needs {wanted} hexadecimal digits",
                "write \\\\ for a backslash",
            )
            return ""
        number = int(digits, 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            self.report(codes.STRING, begin, end, f"U+{number:04X} is not a character")
            return ""
        return chr(number)

    # -- heredocs

    def open_heredoc(self, start: int, end: int, *, marker: str, flush: bool) -> None:
        self.add("DBLQUOTE", start, end, "<<").flush = flush
        frame = self.push(FrameKind.HEREDOC, start, self.text[start:end].rstrip("\r\n"))
        frame.marker = marker
        self.pos = end

    def scan_heredoc(self) -> None:
        """One line of a heredoc, or a piece of one."""
        frame, start = self.frame, self.pos
        if frame.line_start and self._closes_heredoc(frame, start):
            return
        pieces_start = start
        while True:
            match = _LINE.match(self.text, self.pos)
            if match is None:
                raise ScanError(self.unclosed(frame))
            kind, text = match.lastgroup, match.group()
            if kind in ("text", "newline"):
                self.pos = match.end()
                if kind == "newline":
                    self.add("STRING_CHARS", pieces_start, self.pos, self.text[pieces_start : self.pos])
                    frame.line_start = True
                    return
                continue
            if self.pos > pieces_start:
                self.add("STRING_CHARS", pieces_start, self.pos, self.text[pieces_start : self.pos])
            frame.line_start = False
            pieces_start = self.pos
            self.pos = match.end()
            self._sign(text, pieces_start)
            return

    def scan_bare(self) -> None:
        """One piece of a text that is a template as a whole."""
        start = self.pos
        match = _LINE.match(self.text, start)
        assert match is not None
        self.pos = match.end()
        if match.lastgroup in ("text", "newline"):
            self.add("STRING_CHARS", start, self.pos, match.group())
        else:
            self._sign(match.group(), start)

    def _closes_heredoc(self, frame: Frame, start: int) -> bool:
        end = self.text.find("\n", start)
        if end < 0 or self.text[start:end].strip(SPACES) != frame.marker:
            return False
        newline = end - 1 if end > start and self.text[end - 1] == "\r" else end
        self.add("DBLQUOTE", start, newline, frame.marker)
        self.frames.pop()
        self.after_operand = True
        self.pos = newline
        return True

    # -- interpolations and directives

    def _sign(self, text: str, start: int) -> None:
        """`$` or `%`: the beginning of a sequence, an escaped one, or just the sign."""
        if len(text) == 1 or text[:2] in ("$$", "%%"):
            self.add("STRING_CHARS", start, self.pos, text if len(text) == 1 else text[1:])
            return
        strip = text.endswith("~")
        if text[0] == "$":
            self.add("INTERP_START", start, self.pos, "${").strip = strip
            self.push(FrameKind.INTERPOLATION, start, text.rstrip("~"))
        else:
            self.add("DIRECTIVE_START", start, self.pos, "%{").strip = strip
            self._directive(self.push(FrameKind.DIRECTIVE, start, text.rstrip("~")))
        self.after_operand = False

    def _directive(self, frame: Frame) -> None:
        match = _WORD.match(self.text, self.pos)
        word = match.group(1) if match else None
        if match is None or word not in _DIRECTIVES:
            end = match.end() if match and word else self.pos
            raise ScanError(
                self.problem(
                    codes.TEMPLATE,
                    frame.start,
                    end,
                    "%{ must be followed by if, else, endif, for or endfor",
                    "write %%{ for a literal %{",
                )
            )
        self.add(_DIRECTIVES[word], match.start(1), match.end(), word)
        self.pos = match.end()
        if word == "for":
            frame.for_stage = 1


__all__ = ["NEWLINE", "TemplateScanner"]
