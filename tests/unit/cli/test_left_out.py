"""Sites that --keep-going-sites leaves out are told in the report as the sites that they are."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from hpcbake.cli.left_out import expect_left_out, left_out_records, with_left_out
from hpcbake.cli.options import read_sites
from hpcbake.errors import ConfigError, ExitCode
from hpcbake.report.document import report_document
from hpcbake.report.records import ImageRecord, Outcome, RunRecord, ShipReport, SiteRecord

GOOD = "name: NAME\nlogin: {host: here}\nstore: {root: /s}\nprofile: {arch: x86_64}\n"
RUN = RunRecord("01R", ("hpcbake",), "h", "u", 1, "b", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", 1.0)


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    for name in ("alder", "birch"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.replace("NAME", name))
    (tmp_path / "bent.yaml").write_text("name: bent\n")
    return tmp_path


@pytest.mark.parametrize("names", [(), ("bent", "alder"), ("alder", "bent", "bent")])
def test_a_site_left_out_is_a_site_that_failed(configs: Path, names: tuple[str, ...]) -> None:
    """With its name, its mistake and every image; report and process end with the same code."""
    with click.Context(click.Command("ship")) as context:
        expect_left_out(context)
        served = read_sites(configs, names)
        assert with_left_out(0, context) == 3
        records = left_out_records(["app", "tool"])
        done = tuple(SiteRecord(site.name, (ImageRecord("app", "", Outcome.OK),)) for site in served)
        report = ShipReport("0", RUN, (), (*done, *records))
        assert with_left_out(int(report.code), context) == int(report.code) == int(ExitCode.PARTIAL)
        assert with_left_out(20, context) == 20  # what a report says of itself is not said again
    (bent,) = records
    assert (bent.name, bent.outcome, bent.code) == ("bent", Outcome.FAILED, ExitCode.CONFIG)
    assert [image.target for image in bent.images] == ["app", "tool"]
    shown = next(site for site in report_document(report)["sites"] if site["name"] == "bent")
    assert (shown["outcome"], shown["code"]) == ("failed", 10)


def test_nothing_is_left_out_unasked(configs: Path) -> None:
    """A broken config starts nothing, and no report has a site that nobody wanted left out."""
    with click.Context(click.Command("ship")) as context:
        with pytest.raises(ConfigError):
            read_sites(configs, ())
        assert left_out_records(["app"]) == ()
        assert with_left_out(0, context) == 0
    assert left_out_records(["app"]) == ()
