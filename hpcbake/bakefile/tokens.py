"""What the scanner makes of the text: tokens named as the grammar names them, and the brackets they stand in."""

from __future__ import annotations

from enum import Enum

from hpcbake.bakefile.diagnostics import Diagnostic

#: Brackets, templates, conditionals and operators may nest so deep. buildx has no such limit; real files need ten.
MAX_DEPTH = 200
#: So many `.name` and `[index]` may follow each other.
MAX_STEPS = 500

#: Token types that give a body its structure; all others belong to expressions (and to the grammar).
NEWLINE = "NEWLINE"
ASSIGN = "ASSIGN"
BLOCK_OPEN = "BLOCK_OPEN"
BLOCK_CLOSE = "BLOCK_CLOSE"
EOF = "EOF"


class Token:
    """One token: `type` as in the grammar, `value` its text or what the scanner decoded it to.

    `unary` holds the whole run of unary operators that one MINUS or NOT stands for; `flush` marks the opening of a
    `<<-` heredoc; `strip` a template marker with `~`.
    """

    __slots__ = ("end", "flush", "start", "strip", "type", "unary", "value")

    def __init__(self, type_: str, start: int, end: int, value: str) -> None:
        self.type = type_
        self.start = start
        self.end = end
        self.value = value
        self.unary: list[tuple[str, int]] = []
        self.flush = False
        self.strip = False

    def __repr__(self) -> str:
        return f"{self.type}({self.value!r})@{self.start}"


class FrameKind(Enum):
    """What kind of bracket the scanner is in."""

    BODY = "body"
    OBJECT = "object"
    PAREN = "paren"  # also calls, tuples and indexes: newlines mean nothing
    FOR_TUPLE = "for tuple"
    FOR_OBJECT = "for object"
    INTERPOLATION = "interpolation"
    DIRECTIVE = "directive"
    STRING = "string"
    HEREDOC = "heredoc"
    BARE = "bare template"  # the whole of a text, as in JSON strings


class Frame:
    """One open bracket. `opener` is its text (None for the file itself)."""

    __slots__ = ("conditionals", "for_stage", "kind", "line_start", "marker", "opener", "start", "state", "steps")

    def __init__(self, kind: FrameKind, start: int, opener: str | None) -> None:
        self.kind = kind
        self.start = start
        self.opener = opener
        #: In a body: before the first word of an item (start), after it (head), after `=` (value).
        self.state = "start"
        #: In a `for` header: which word comes next (1 name, 2 `,` or `in`, 3 second name, 4 `in`); 0 elsewhere.
        self.for_stage = 0
        #: How many `?` are open: each nests the expression one deeper.
        self.conditionals = 0
        #: How many `.name` and `[index]` the operand that is being read has so far.
        self.steps = 0
        #: In a heredoc: the closing marker, and whether a line begins here.
        self.marker = ""
        self.line_start = True

    @property
    def keeps_newlines(self) -> bool:
        return self.kind in (FrameKind.BODY, FrameKind.OBJECT)

    @property
    def is_template_sequence(self) -> bool:
        return self.kind in (FrameKind.INTERPOLATION, FrameKind.DIRECTIVE)


class ScanError(Exception):
    """The rest of the file cannot be scanned sensibly."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic
