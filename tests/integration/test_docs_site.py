"""The docs as a site: every link leads somewhere, and a page asks no other server for anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
#: What a browser fetches by itself, other than by a click.
_FETCHED = re.compile(
    r"""<(?:link|script|img|iframe|source)\b[^>]*?\b(?:href|src)=["']?(https?:)?//|url\(["']?(https?:)?//|@import\s+["']http"""
)


def build(folder: Path, source: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(source / "mkdocs.yml"), "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(argv, cwd=source, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    """Each Markdown file of docs/ is a page, and so are the changes."""
    pages = [path.relative_to(REPOSITORY / "docs") for path in (REPOSITORY / "docs").rglob("*.md")]
    assert [str(page) for page in pages if not (site / page.with_suffix(".html")).is_file()] == []
    assert (site / "changes.html").is_file()


def test_no_program_of_the_docs_is_published(site: Path) -> None:
    """The site holds pages and pictures."""
    assert [str(path) for path in site.rglob("*.py")] == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """No fonts, no scripts, no counters: a reader behind a firewall sees the same, and nobody sees the reader."""
    found = [
        (str(path.relative_to(site)), match[0][-60:])
        for kind in ("*.html", "*.css", "*.svg")
        for path in site.rglob(kind)
        for match in _FETCHED.finditer(path.read_text(encoding="utf-8"))
        if 'rel="canonical"' not in match[0]
    ]
    assert found == []


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    """Pages and headings alike; else the check above could not fail."""
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "docs", source / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"):
        shutil.copy(REPOSITORY / name, source)
    with (source / "docs/glossary.md").open("a", encoding="utf-8") as page:
        page.write("\n[nowhere](architecture.md#no-such-heading)\n")
    done = build(tmp_path / "site", source)
    assert done.returncode != 0
    assert "no-such-heading" in done.stderr
