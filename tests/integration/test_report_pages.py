"""The report's pages in a real browser: on a phone and a desk, light and dark, by keyboard and read out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.report.fleet import Fleet, gather
from hpcbake.report.pages import page_names, render_index, render_run
from tests.chromium import Page, browsing
from tests.reports import RUN, failed, full_report, job, promoted, stage

#: Text whose contrast with what is behind it is less than 4.5 to 1 (WCAG AA), as `text: ratio`.
_PALE_TEXTS = """
(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
  };
  document.querySelectorAll('details').forEach(e => e.open = true);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || element.closest('.hidden, .skip, title')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(text.slice(0, 40) + ': ' + ratio.toFixed(2));
  }
  return found;
})()
"""

#: Elements that stick out of the page sideways, unless they are in a region that can be scrolled.
_WIDE_ELEMENTS = """
(() => {
  document.querySelectorAll('details').forEach(e => e.open = true);
  const width = document.documentElement.clientWidth;
  const wide = [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > width + 1
    && !e.closest('.scroll, pre, .hidden, .skip')).map(e => e.tagName + ' ' + e.textContent.trim().slice(0, 40));
  return document.documentElement.scrollWidth > width + 1 ? ['the page itself', ...wide] : wide;
})()
"""


def fleet() -> Fleet:
    """Three nights at two sites, the last with a failure; figures that go on from night to night."""
    nights = []
    for number in range(3):
        measured = stage("smoke", "ok", jobs=[{**job(str(number)), "duration_s": 2.0 + number}])
        good = replace(promoted("solver"), stages=(*promoted("solver").stages[:-2], measured))
        report = full_report()
        alder, birch = report.sites
        images = (good, failed("solver-with-a-rather-long-name")) if number == 2 else (good,)
        run = replace(RUN, id=f"01RUN{number}", started=f"2026-01-3{number - 1 if number else 0}T12:00:00Z")
        nights.append(replace(report, run=run, sites=(replace(alder, images=images), birch)))
    return gather(nights)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as files, as `hpcbake report --out` writes them."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "runs").mkdir()
    found = fleet()
    (folder / "index.html").write_text(render_index(found, now=time.time(), tool_version="0"))
    for report, name in zip(found.reports, page_names(found.reports), strict=True):
        (folder / name).write_text(render_run(report, tool_version="0"))
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as found:
        yield found


def addresses(site: Path) -> list[str]:
    return [path.as_uri() for path in (site / "index.html", *sorted((site / "runs").iterdir()))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "phone"), [(390, True), (320, True), (1280, False)])
def test_every_page_is_readable(page: Page, site: Path, width: int, phone: bool, scheme: str) -> None:
    """Nothing sticks out, no text is pale, with everything opened."""
    for address in addresses(site):
        page.open(address, width=width, scheme=scheme, phone=phone)
        assert page.run(_WIDE_ELEMENTS) == [], address
        assert page.run(_PALE_TEXTS) == [], address


def test_a_page_asks_nobody_for_anything(page: Page, site: Path) -> None:
    """Only the page itself is fetched, and the browser has nothing to complain of."""
    page.requests.clear()
    page.complaints.clear()
    for address in addresses(site):
        page.open(address, width=1280)
        page.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert {url for url in page.requests if not url.startswith("data:")} == set(addresses(site))
    assert page.complaints == []


def test_everything_is_reached_by_keyboard(page: Page, site: Path) -> None:
    """The first key leads past the navigation; a cell opens with Enter and shows the steps and the log."""
    page.open((site / "index.html").as_uri(), width=1280)
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    assert page.run("document.activeElement.getBoundingClientRect().left >= 0"), (
        "the skip link is seen when it has focus"
    )
    seen = []
    for _ in range(200):
        page.press("Tab")
        seen.append(page.run("document.activeElement.tagName + ' ' + document.activeElement.textContent.trim()"))
        if seen[-1] == "SUMMARY steps and logs of solver at alder":
            break
    else:
        pytest.fail(f"never reached the cell: {seen}")
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none", "focus is seen"
    assert page.run("document.activeElement.parentElement.open") is False
    page.press("Enter")
    assert page.run("document.activeElement.parentElement.open") is True
    shown = str(page.run("document.activeElement.parentElement.innerText"))
    for word in ("smoke", "job 2", "n1", "Log on the site", "sha256:"):
        assert word in shown


@pytest.mark.parametrize(("width", "phone"), [(390, True), (1280, False)])
def test_a_screen_reader_is_told_the_same(page: Page, site: Path, width: int, phone: bool) -> None:
    """Headings, a table with the names of rows and columns, lines in words; nothing without a name."""
    page.open((site / "index.html").as_uri(), width=width, phone=phone)
    told = page.read_out()
    headings = [name for role, name in told if role == "heading"]
    assert headings[0] == "Images on clusters"
    assert {"What needs you", "Images × sites", "Runs"} <= set(headings)
    assert {name for role, name in told if role == "rowheader"} >= {"solver"}
    assert {name for role, name in told if role == "columnheader"} >= {"alder", "birch"}
    assert any("3 values from 2 to 4 s, the last 4 s" in name for role, name in told if role in ("img", "image"))
    assert [role for role, name in told if role in ("link", "button", "img", "image", "table") and not name] == []
    assert page.run("document.documentElement.lang") == "en"
    assert page.run("document.querySelectorAll('main, h1').length") == 2


def test_a_newcomer_reads_what_broke_where_and_what_to_do(page: Page, site: Path) -> None:
    """On the first screen of a phone's page, before anything is opened; and the link to that run works."""
    page.open((site / "index.html").as_uri(), width=390, phone=True)
    shown = str(page.run("document.getElementById('failures').innerText"))
    bad = failed("solver-with-a-rather-long-name")
    assert bad.error is not None
    for word in (bad.error.message.split(":")[-1].strip(), "What to do:", "alder", bad.target, "hpcbake ship --site"):
        assert word in shown
    cell = "td.bad"
    assert bad.error.message.splitlines()[0][-20:] in str(page.run(f"document.querySelector('{cell}').innerText"))
    page.run("document.querySelector('.runs a').click()")
    deadline = time.monotonic() + 60
    while "/runs/" not in str(page.run("location.href")) or page.run("document.readyState") != "complete":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "Run of" in str(page.run("document.querySelector('h1').innerText"))
