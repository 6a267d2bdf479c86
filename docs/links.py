"""Follows the relative links of Markdown files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

_LINK = re.compile(r"\]\(\s*<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_FENCE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_SKIPPED_FOLDERS = {"build", "dist", "node_modules", "__pycache__"}


def markdown_files(root: Path) -> list[Path]:
    """Every Markdown file of the repository, generated and hidden folders left out."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS]
        found += [Path(folder, name) for name in files if name.endswith(".md")]
    return sorted(found)


def heading_anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", _FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (numbered := f"{anchor}-{number}" if number else anchor) in anchors:
            number += 1
        anchors.add(numbered)
    return anchors


def broken_links(root: Path) -> list[str]:
    """Relative links that lead nowhere, as `file: link: why`."""
    broken: list[str] = []
    for page in markdown_files(root):
        text = page.read_text(encoding="utf-8")
        for link in _LINK.findall(re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))):
            if re.match(r"[a-z][a-z0-9+.-]*:", link):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                broken.append(f"{page.relative_to(root)}: {link}: no such file")
            elif anchor and target.suffix == ".md" and anchor not in heading_anchors(target.read_text("utf-8")):
                broken.append(f"{page.relative_to(root)}: {link}: no such heading")
    return broken
