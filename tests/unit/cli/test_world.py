"""What a run shares among its sites: scans, verdicts, sums, and the program that converts."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from hpcbake.adapters.verdictcache import VerdictCache
from hpcbake.check.policy import Policy, SeverityChoice
from hpcbake.cli.world import Checker, OncePerImage, with_program
from hpcbake.deliver.convert import ConvertSettings
from hpcbake.image.scan import ScannedImage
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Login, Profile, Site, Store
from hpcbake.model.verdict import CompatReport, Finding, Severity, Verdict

DIGEST = Digest("sha256:" + "ab" * 32)
IMAGE = BuiltImage("app", "1", parse_image_reference(f"reg/app@{DIGEST}"), DIGEST, 1)


def site(name: str, **profile: Any) -> Site:
    return Site(name, Login(name), Store("/store"), profile=Profile(**profile))


def test_one_scan_and_one_verdict_per_profile() -> None:
    """Sixteen sites of one kind cost one verdict; a site of another kind has its own; each report names its site."""
    scans: list[str] = []
    judged: list[str] = []

    def scan(image: BuiltImage) -> ScannedImage:
        scans.append(image.name)
        return cast("ScannedImage", None)

    def judge(_: ScannedImage, where: Site) -> CompatReport:
        judged.append(where.name)
        return CompatReport(where.name, str(DIGEST), ())

    check = Checker(scan, Policy(), judge)
    names = [f"site{number}" for number in range(16)]
    reports: dict[str, CompatReport] = {}
    threads = [
        threading.Thread(target=lambda name=name: reports.update({name: check(IMAGE, site(name))})) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(scans), len(judged)) == (1, 1)
    assert {name: report.site for name, report in reports.items()} == {name: name for name in names}
    assert check(IMAGE, site("other", arch="aarch64")).site == "other"
    assert (len(scans), judged[-1]) == (1, "other")
    check(replace(IMAGE, digest=Digest("sha256:" + "cd" * 32)), site("site0"))
    assert (len(scans), len(judged)) == (2, 3)


def test_a_sum_is_asked_for_once() -> None:
    """However many sites want it."""
    asked: list[str] = []
    once = OncePerImage(lambda image: asked.append(image.name) or "sum")  # type: ignore[func-returns-value]
    assert [once(IMAGE), once(IMAGE)] == ["sum", "sum"]
    assert asked == ["app"]


def test_the_environment_names_the_program() -> None:
    """HPCBAKE_APPTAINER wins over the project file."""
    settings = ConvertSettings(program="singularity", processors=3)
    assert with_program(settings, {}) == settings
    assert with_program(settings, {"HPCBAKE_APPTAINER": "/opt/a"}) == replace(settings, program="/opt/a")


def test_what_an_earlier_run_has_found_is_not_judged_again(tmp_path: Path) -> None:
    """Not even scanned, and each site gets its own name; a policy is applied to what was kept."""
    finding = Finding("glibc-too-new", Severity.ERROR, "/usr/bin/app", "needs GLIBC_2.34")

    def judge(_: ScannedImage, where: Site) -> CompatReport:
        return CompatReport(where.name, str(DIGEST), (finding,))

    def scan(image: BuiltImage) -> ScannedImage:
        scans.append(image.name)
        return cast("ScannedImage", None)

    scans: list[str] = []
    first = Checker(scan, Policy(), judge, VerdictCache(tmp_path, "code"))(IMAGE, site("alder"))
    mild = Policy((SeverityChoice("glibc-too-new", Severity.WARNING, "known"),))
    second = Checker(scan, mild, judge, VerdictCache(tmp_path, "code"))(IMAGE, site("birch"))
    assert scans == ["app"]
    assert (first.site, first.verdict) == ("alder", Verdict.FAIL)
    assert (second.site, second.verdict) == ("birch", Verdict.WARN)
