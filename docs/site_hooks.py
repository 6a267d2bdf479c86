"""What the site needs beyond the pages: its navigation, the files of the repository that pages link to, and plain text
where a link leads to code that the site does not hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
#: Files beside docs/ that are pages of the site, too.
GUESTS = {"CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md"}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
#: Folders of docs/ whose pages are listed as they lie there; the rest of the navigation is written down.
_SECTIONS = (("How to", "how-to"), ("Reference", "reference"), ("Verbs", "reference/verbs"), ("Decisions", "decisions"))
_FIRST = {"how-to": ("install", "ship-your-first-image", "write-a-site-config", "bake-patterns")}


def title_of(path: Path) -> str:
    """The first heading of a page."""
    line = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return line[2:].replace("`", "").strip()


def section(name: str) -> list[dict[str, str]]:
    """Every page of a folder by its heading: those that newcomers need first, then by name."""
    first = _FIRST.get(name, ())
    pages = sorted((DOCS / name).glob("*.md"), key=lambda path: (path.stem not in first, *(_rank(path, first))))
    return [{title_of(path): f"{name}/{path.name}"} for path in pages]


def _rank(path: Path, first: tuple[str, ...]) -> tuple[int, str]:
    return (first.index(path.stem) if path.stem in first else 0, path.stem)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation: what people read in order, then everything that lies in the folders."""
    sections = {title: section(folder) for title, folder in _SECTIONS}
    reference = [*sections["Reference"], {"Verbs": sections["Verbs"]}]
    config.nav = [
        {"Start": "index.md"},
        *([{"Tutorial": "tutorial.md"}] if (DOCS / "tutorial.md").is_file() else []),
        {"For researchers": "how-to/for-researchers.md"},
        {"How to": [page for page in sections["How to"] if "how-to/for-researchers.md" not in page.values()]},
        {"Reference": reference},
        {
            "Background": [
                {"Architecture": "architecture.md"},
                {"Does my image run there?": "does-my-image-run-there.md"},
                {"Security": "security.md"},
                {"Comparison": "comparison.md"},
                {"Glossary": "glossary.md"},
                {"The lab": "lab.md"},
                {"Decisions": sections["Decisions"]},
                {"Changes": "changes.md"},
                {"Contributing": "contributing.md"},
            ]
        },
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie beside docs/."""
    for source, page in GUESTS.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Links to files beside docs/: to their pages where they have one, else plain text."""
    source = page.file.src_uri
    home = ROOT if source in GUESTS.values() else (DOCS / source).parent

    def mend(found: re.Match[str]) -> str:
        bang, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        if re.match(r"[a-z]+:", target):
            return found[0]
        goal = (home / target).resolve()
        if goal.is_relative_to(DOCS):
            inside = goal.relative_to(DOCS).as_posix()
            is_page = (DOCS / inside).is_file()
            return f"{bang}[{text}]({_relative(source, inside)}{anchor})" if is_page else text
        guest = GUESTS.get(goal.relative_to(ROOT).as_posix()) if goal.is_relative_to(ROOT) else None
        return f"[{text}]({_relative(source, guest)}{anchor})" if guest else text

    return _outside_code(markdown, lambda text: _LINK.sub(mend, text))


def _relative(source: str, target: str) -> str:
    return "../" * source.count("/") + target


def _outside_code(markdown: str, change: Any) -> str:
    """Apply `change` to everything that is not a fenced block."""
    parts = re.split(r"(^```.*?^```[^\n]*$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)
