"""CSV as Go reads it: RFC 4180, every row as long as the first, blank lines skipped."""

from __future__ import annotations


class CsvError(ValueError):
    """The text is not CSV."""


def read_csv(text: str) -> list[list[str]]:
    """All rows. Raises CsvError with the line at fault."""
    reader = _Reader(text.replace("\r\n", "\n"))
    rows: list[list[str]] = []
    while not reader.at_end:
        line = reader.line
        row = reader.row()
        if row is None:
            continue
        if rows and len(row) != len(rows[0]):
            raise CsvError(f"line {line} has {len(row)} fields, not {len(rows[0])}")
        rows.append(row)
    return rows


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.line = 1

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def row(self) -> list[str] | None:
        """The next row; None for a blank line."""
        if self._text[self._at] == "\n":
            self._at += 1
            self.line += 1
            return None
        fields: list[str] = []
        while True:
            fields.append(self._quoted() if self._text[self._at : self._at + 1] == '"' else self._bare())
            following = self._text[self._at : self._at + 1]
            self._at += 1
            if following != ",":
                self.line += 1
                return fields

    def _bare(self) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in ",\n":
            if self._text[self._at] == '"':
                raise CsvError(f"line {self.line} has a quote inside an unquoted field")
            self._at += 1
        return self._text[start : self._at]

    def _quoted(self) -> str:
        opened = self.line
        pieces: list[str] = []
        self._at += 1
        while True:
            end = self._text.find('"', self._at)
            if end < 0:
                raise CsvError(f"the quoted field that begins in line {opened} is not closed")
            piece = self._text[self._at : end]
            self.line += piece.count("\n")
            pieces.append(piece)
            self._at = end + 1
            following = self._text[self._at : self._at + 1]
            if following == '"':
                pieces.append('"')
                self._at += 1
            elif following in ("", ",", "\n"):
                return "".join(pieces)
            else:
                raise CsvError(f"line {self.line} has text after a closing quote")
