"""The web pages: complete, escaped, usable without eyes, mouse, script or network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.report.fleet import Fleet, Trend, gather
from hpcbake.report.pages import page_names, render_index, render_run, run_stamp
from hpcbake.report.records import ImageRecord, Outcome, ShipReport, SiteRecord
from hpcbake.report.sparkline import sparkline
from tests.reports import RUN, empty_report, failed, full_report, job, promoted, stage

NOW = 1769860800 + 3600 * 5
STYLE = Path(__file__).resolve().parents[3] / "hpcbake/report/templates/style.css"
VOID = {"meta", "link", "br", "polyline", "circle"}


class Page(HTMLParser):
    """A page as its elements; complains of one that is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str]]:
        return (attributes for name, attributes in self.elements if name == tag)


def render_pages(fleet: Fleet, *, now: float, tool_version: str, lost: tuple[str, ...] = ()) -> dict[str, str]:
    """All pages by their path."""
    names = page_names(fleet.reports)
    runs = (render_run(report, tool_version=tool_version) for report in fleet.reports)
    return {
        "index.html": render_index(fleet, now=now, tool_version=tool_version, lost=lost),
        **dict(zip(names, runs, strict=True)),
    }


def pages(*reports: ShipReport, lost: tuple[str, ...] = ()) -> dict[str, Page]:
    rendered = render_pages(gather(reports), now=NOW, tool_version="0.1.0", lost=lost)
    return {name: Page(text) for name, text in rendered.items()}


def later(report: ShipReport, identity: str = "01RUN2") -> ShipReport:
    return replace(report, run=replace(report.run, id=identity, started="2026-01-31T13:00:00Z"))


def test_there_is_an_index_and_a_page_per_run() -> None:
    """And every link leads to one of them, or to a place in its own page."""
    found = pages(full_report(), later(full_report()))
    assert set(found) == {"index.html", "runs/01RUN.html", "runs/01RUN2.html"}
    for name, page in found.items():
        ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
        for attributes in page.all("a"):
            link = attributes["href"]
            if link.startswith("#"):
                assert link[1:] in ids
            else:
                assert str(Path(name).parent / link).replace("runs/../", "") in found


def test_the_index_says_what_broke_where_and_what_to_do() -> None:
    """Shown at once, nothing to be opened."""
    text = pages(full_report())["index.html"].text
    for words in ("app · smoke at birch", "smoke test cpu failed", "mend the image", "hpcbake ship --site birch"):
        assert words in text


def test_a_page_without_failures_says_so() -> None:
    """Silence could be a mistake."""
    good = ShipReport("0", RUN, (), (SiteRecord("alder", (promoted(),)),))
    assert "Nothing. Every image ended well" in pages(good)["index.html"].text
    died = pages(good, lost=("Run 01X died",))["index.html"].text
    assert "Run 01X died" in died
    assert "Nothing. Every image" not in died


def test_a_run_that_came_to_nothing_has_pages_too() -> None:
    """No image, no site, no target."""
    assert set(pages(empty_report())) == {"index.html", "runs/01RUN.html"}
    assert set(pages()) == {"index.html"}


MARKUP = "</pre></title></style><script>alert(1)</script><img src=x onerror=alert(1)> \" ' onload=x {{ 7*7 }} {% raw %}"
TEXTS = st.just(MARKUP) | st.text(st.characters(exclude_categories=()), min_size=1, max_size=30)


@settings(max_examples=10, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_no_text_becomes_markup(name: str, text: str, value: str) -> None:
    """Names, messages, logs, evidence, figures: the elements stay those of the template."""

    def report(name: str, text: str, value: str) -> ShipReport:
        jobs = [{**job(), "test": value, "state": text, "reason": text, "tail": [text, "x"], "figures": {text: 2}}]
        image = replace(
            failed(output=text),
            target=name,
            stages=(stage("check", verdict=value, seen=text), stage("smoke", jobs=jobs)),
        )
        run = replace(RUN, id=value, command=(text,), host=text, project=name)
        return ShipReport(text, run, (), (SiteRecord(text, (image,), notes=(text,)),), warnings=(text,))

    plain = render_pages(gather([report("a", "b", "c")]), now=NOW, tool_version="0")
    hostile = render_pages(gather([report(name, text, value)]), now=NOW, tool_version="0")
    for before, after in zip(plain.values(), hostile.values(), strict=True):
        after.encode()
        assert [tag for tag, _ in Page(after).elements] == [tag for tag, _ in Page(before).elements]


def test_nothing_is_fetched_and_nothing_runs() -> None:
    """No script, no address of anywhere, and a policy that says so to the browser."""
    for text in render_pages(gather([full_report()]), now=NOW, tool_version="0").values():
        assert not re.search(r"https?://|@import|url\(|<script|\son\w+=", text)
        assert "default-src 'none'" in text


@pytest.mark.parametrize("name", ["index.html", "runs/01RUN.html"])
def test_a_page_is_usable_without_eyes_or_mouse(name: str) -> None:
    """Language, landmarks, headings in order, headers with a scope, names for what scrolls and for pictures."""
    page = pages(full_report(), later(ShipReport("0", RUN, (), (SiteRecord("alder", (promoted(),)),))))[name]
    tags = [tag for tag, _ in page.elements]
    assert next(page.all("html"))["lang"] == "en"
    assert all(tags.count(tag) == 1 for tag in ("header", "main", "footer", "h1", "title"))
    assert any(attributes.get("name") == "viewport" for attributes in page.all("meta"))
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        if attributes.get("role") in ("region", "img"):
            assert attributes.get("aria-label") or attributes["aria-labelledby"] in ids
        if attributes.get("role") == "region":
            assert attributes["tabindex"] == "0", "what scrolls can be reached by the keyboard"
    assert tags.count("summary") == tags.count("details")


def test_a_run_s_page_is_the_same_tomorrow() -> None:
    """So that it is made once; another report, or another version, makes another stamp, which the page's head shows."""
    text = render_run(full_report(), tool_version="1")
    assert text == render_run(full_report(), tool_version="1")
    stamps = {
        run_stamp(report, tool_version=version) for report in (full_report(), later(full_report())) for version in "12"
    }
    assert len(stamps) == 4
    assert run_stamp(full_report(), tool_version="1") in text[:1024]


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_has_contrast(scheme: int) -> None:
    """4.5 to 1 on both grounds, as WCAG AA asks, in light and in dark."""
    palette = colours(STYLE.read_text().split("@media (prefers-color-scheme: dark)")[scheme])
    for text in ("text", "quiet", "link", "good", "bad", "doubt"):
        for ground in ("ground", "raised"):
            light, dark = sorted((luminance(palette[text]), luminance(palette[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{text} on {ground}"


@pytest.mark.parametrize("identity", ["../../etc/passwd", "", "a/b", "-x", "a" * 500, "\ud800", "index.html\0"])
def test_no_run_id_leaves_the_folder(identity: str) -> None:
    """A report can come from anywhere; its id is no path."""
    names = page_names([later(full_report(), identity), later(full_report(), identity), full_report()])
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"runs/[A-Za-z0-9][A-Za-z0-9_.-]{0,70}\.html", name) for name in names)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e299, 1e299), min_size=1, max_size=80))
def test_a_line_stays_in_its_frame(values: list[float]) -> None:
    """Whatever the figures; and it says in words what it shows."""
    text = str(sparkline(Trend("cpu", "time", "s", tuple(values))))
    for points in re.findall(r'points="([^"]+)"', text):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 96
            assert 0 <= y <= 20
    assert "cpu time: " in text


def test_a_figure_that_changed_is_drawn() -> None:
    """Over the runs, oldest to newest."""
    slow = replace(promoted(), stages=(stage("smoke", jobs=[{**job("13"), "duration_s": 4.0}]),))
    first, second = (ShipReport("0", RUN, (), (SiteRecord("alder", (image,)),)) for image in (promoted(), slow))
    labels = [attributes["aria-label"] for attributes in pages(first, later(second))["index.html"].all("svg")]
    assert labels
    assert set(labels) == {"cpu time: 2 values from 2 to 4 s, the last 4 s"}


def test_an_image_that_was_left_out_is_no_failure() -> None:
    """A cell per image and site, also where nothing was shipped."""
    report = ShipReport(
        "0",
        RUN,
        (),
        (SiteRecord("alder", (promoted(),)), SiteRecord("birch", (ImageRecord("b", "", Outcome.SKIPPED),))),
    )
    page = pages(report)["index.html"]
    assert page.text.count("not shipped there") == 2
