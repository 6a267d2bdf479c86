"""The report for programs: JUnit XML, a GitHub step summary, Prometheus metrics."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.errors import BusyError, ExitCode, SiteUnreachableError
from hpcbake.report.fleet import gather
from hpcbake.report.github import MAX_BYTES, markdown, render_github
from hpcbake.report.junit import render_junit
from hpcbake.report.prometheus import METRICS, render_prometheus
from hpcbake.report.records import ImageRecord, Outcome, ShipReport, SiteRecord, StageRecord, error_record
from tests.reports import HOSTILE, RUN, STARTED, empty_report, failed, full_report, job, promoted, stage, target

ROOT = Path(__file__).resolve().parents[3]
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def sites(*images: ImageRecord) -> ShipReport:
    return ShipReport(
        "0", RUN, (), tuple(SiteRecord(f"site-{number}", (image,)) for number, image in enumerate(images))
    )


def cases(report: ShipReport) -> list[ElementTree.Element]:
    return ElementTree.fromstring(render_junit(report).encode()).findall("testsuite/testcase")


# ---- JUnit ----------------------------------------------------------------------------------------------------------


def test_junit_counts_what_it_holds() -> None:
    """In every suite, and in all of them together; a case has one end at most."""
    unreachable = error_record("connect", SiteUnreachableError("x", kind="ssh.timeout"))
    blocked = error_record("deliver", BusyError("x"))
    report = sites(
        promoted(),
        failed(),
        ImageRecord("app", "", Outcome.INCONCLUSIVE, error=unreachable),
        ImageRecord(
            "app", "", Outcome.BLOCKED, (StageRecord("deliver", "blocked", STARTED, 1, {}, blocked),), error=blocked
        ),
        ImageRecord("app", "", Outcome.SKIPPED),
        ImageRecord("app", "", Outcome.SUBMITTED, (stage("smoke", "submitted", jobs=[job(status="submitted")]),)),
    )
    root = ElementTree.fromstring(render_junit(report).encode())
    for element in (root, *root.findall("testsuite")):
        found = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(found)
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.attrib[count]) == len(list(element.iter(tag)))
        assert all(len([child for child in case if child.tag != "system-out"]) <= 1 for case in found)
    assert [root.attrib[name] for name in ("failures", "errors", "skipped")] == ["1", "2", "2"]


def test_junit_has_a_case_per_step_and_per_smoke_job() -> None:
    """Named by site and image."""
    assert [(case.attrib["classname"], case.attrib["name"]) for case in cases(sites(promoted()))] == [
        ("site-0.app", name) for name in ("check", "deliver", "smoke cpu", "promote")
    ]


def test_the_failure_belongs_to_the_job_that_failed() -> None:
    """With the message, the kind, the remedy, and the end of its log."""
    broken = failed()
    jobs = [job("1"), {**job("2", "failed"), "test": "gpu", "tail": ["no device"]}]
    image = replace(broken, stages=(replace(broken.stages[1], evidence={"jobs": jobs}),))
    good, bad = cases(sites(image))
    assert (good.attrib["name"], good.find("failure")) == ("smoke cpu", None)
    failure = bad.find("failure")
    assert failure is not None
    assert failure.attrib == {"message": "birch: smoke test cpu failed", "type": "slurm.failed"}
    assert "help: mend the image" in (failure.text or "")
    assert bad.findtext("system-out") == "no device"


@pytest.mark.parametrize(
    "report",
    [empty_report(ExitCode.SITE_RESOURCE), ShipReport("0", RUN, (replace(target(), error=failed().error),), ())],
)
def test_a_failure_without_a_site_is_a_case_too(report: ShipReport) -> None:
    """A run that stopped before any site, and a target that could not be built."""
    assert [case.find("failure") is not None for case in cases(report)] == [True]


@settings(max_examples=20)
@given(ANY_TEXT, ANY_TEXT)
def test_junit_is_xml_whatever_a_site_says(name: str, text: str) -> None:
    """Also with bytes that XML cannot hold."""
    image = replace(failed(output=text), target=name, stages=(stage("smoke", jobs=[{**job(), "tail": [text]}]),))
    report = ShipReport(
        "0", RUN, (), (SiteRecord(name, (image, ImageRecord(text, "", Outcome.SKIPPED)), notes=(text,)),)
    )
    ElementTree.fromstring(render_junit(report).encode())


# ---- GitHub ---------------------------------------------------------------------------------------------------------


def test_the_summary_tells_what_broke_and_what_to_do() -> None:
    """The outcome, one row per image and site, the remedy, the command."""
    text = render_github(full_report())
    assert text.startswith("## ❌ hpcbake: exit 3 PARTIAL\n")
    assert "| app | birch | ❌ failed at smoke | <code>111111111111</code> | WARN |" in text
    assert "**What to do:** mend the image" in text
    assert "<code>hpcbake ship --site birch --target app</code>" in text


HOSTILE_MARKUP = (
    "</pre></details><script>alert(1)</script>\n\n# big\n| a | [x](javascript:x) ![i](http://x) `c` **b** @all"
)


def test_no_text_becomes_markup() -> None:
    """Not in a cell, not in a paragraph, not in a log."""
    image = replace(failed(output=HOSTILE_MARKUP), target=HOSTILE_MARKUP)
    text = render_github(ShipReport("0", RUN, (), (SiteRecord(HOSTILE_MARKUP, (image,)),), warnings=(HOSTILE_MARKUP,)))
    assert "<script" not in text
    assert text.count("</pre>") == 1
    assert text.count("</details>") == 1
    outside = re.sub(r"<pre>.*</pre>", "", text, flags=re.S)
    assert not re.search(r"[`\[\]]|\n# |javascript:x\)|@all|!\[", outside)
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    assert all(line.count("|") == 8 for line in rows)


@settings(max_examples=40)
@given(ANY_TEXT)
def test_markdown_of_any_text_is_one_harmless_line(text: str) -> None:
    """It can be encoded, and nothing in it begins markup."""
    line = markdown(text)
    line.encode()
    assert "\n" not in line
    assert not set(re.sub(r"&#\d+;", "", line)) & set("<>&|`*_[]{}\\~!@#\"'^$")


def test_a_summary_fits_into_what_github_takes() -> None:
    """It says so when there is more."""
    images = tuple(failed(output="é" * 5000) for _ in range(300))
    many = ShipReport(
        "0",
        RUN,
        (),
        tuple(
            SiteRecord(f"{n}", (replace(image, error=replace(image.error, message=f"m{n}") if image.error else None),))
            for n, image in enumerate(images)
        ),
    )
    text = render_github(many)
    assert MAX_BYTES - 50_000 < len(text.encode()) < MAX_BYTES + 200
    assert text.endswith("see the report itself.\n\n")


# ---- Prometheus -----------------------------------------------------------------------------------------------------

_LABELS = r"\{(?:[a-z_]+=\"(?:[^\"\\\n]|\\[\\n\"])*\"(?:,(?!\})|(?=\})))*\}"
_SAMPLE = re.compile(rf"[a-z_]+(?:{_LABELS})? -?[0-9.e+-]+")


def samples(text: str) -> dict[str, float]:
    """Samples by name and labels; every line is one of the format, no sample comes twice."""
    found: dict[str, float] = {}
    for line in text.split("\n")[:-1]:
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP hpcbake_[a-z_]+ [^\n]+|TYPE hpcbake_[a-z_]+ gauge)", line)
            continue
        assert _SAMPLE.fullmatch(line), line
        name, _, value = line.rpartition(" ")
        assert name not in found
        found[name] = float(value)
    return found


def test_metrics_say_how_it_stands() -> None:
    """Time, outcome, duration and digest of each image at each site."""
    found = samples(render_prometheus(gather([full_report()])))
    assert found["hpcbake_run_exit_code"] == 3
    assert found["hpcbake_run_end_timestamp_seconds"] == 1769860890
    assert found['hpcbake_image_success{image="app",site="alder"}'] == 1
    assert found['hpcbake_image_success{image="app",site="birch"}'] == 0
    assert found['hpcbake_image_outcome{image="app",site="birch",outcome="failed"}'] == 1
    assert found['hpcbake_image_outcome{image="app",site="birch",outcome="ok"}'] == 0
    assert found[f'hpcbake_image_current_info{{image="app",site="alder",digest="sha256:{"1" * 64}"}}'] == 1
    assert found['hpcbake_image_up_to_date{image="app",site="birch"}'] == 0
    assert found['hpcbake_stage_duration_seconds{image="app",site="alder",stage="check"}'] == 1.23456
    assert found['hpcbake_stage_success{image="app",site="birch",stage="smoke"}'] == 0
    assert found['hpcbake_smoke_figure{image="app",site="alder",test="cpu",figure="time",unit="s"}'] == 2


def test_no_runs_are_no_metrics() -> None:
    """And no error."""
    assert render_prometheus(gather([])) == ""


@settings(max_examples=20)
@given(ANY_TEXT, ANY_TEXT)
def test_metrics_are_metrics_whatever_a_site_says(name: str, text: str) -> None:
    """A label cannot end its line or its quotes."""
    image = replace(
        promoted(), target=name, stages=(stage("smoke", jobs=[{**job(), "test": text, "figures": {name: 1}}]),)
    )
    samples(render_prometheus(gather([ShipReport("0", RUN, (), (SiteRecord(text, (image,)),))])))


def test_every_metric_is_documented() -> None:
    """The how-to lists them all, in the words of the code, and no other."""
    page = (ROOT / "docs/how-to/read-the-report.md").read_text()
    assert dict(re.findall(r"^\| `(hpcbake_[a-z_]+)` \| [^|]* \| (.*) \|$", page, flags=re.M)) == METRICS


def test_hostile_texts_are_spelled_out() -> None:
    """No control character in any of the three."""
    report = replace(full_report(), warnings=(HOSTILE,))
    for text in (render_junit(report), render_github(report), render_prometheus(gather([report]))):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
