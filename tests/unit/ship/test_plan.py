"""Plans over images and sites: what ship would do, told by looking alone, and true when ship then does it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.errors import ExitCode, HpcbakeError, RegistryTempError, SiteTrustError, SiteUnreachableError
from hpcbake.image.manifest import OCI_MANIFEST, Manifest
from hpcbake.model.artefacts import BuiltImage, SmokeTest
from hpcbake.model.ports import RuntimeCommands
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference
from hpcbake.model.site import Login, Runtime, Site, Slurm, Store
from hpcbake.model.verdict import CompatReport, Finding, Severity
from hpcbake.report.page import as_rich
from hpcbake.ship.forecast import Action, Forecast, ImageForecast
from hpcbake.ship.forecast_document import plan_schema, render_plan
from hpcbake.ship.forecast_table import render_forecast
from hpcbake.ship.foresight import AskedConverter
from hpcbake.ship.plan import PlanSettings, plan
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.prospect import Prospect, ReadableRegistry
from tests.fake_site import Fault, failed, said
from tests.unit.ship.test_ship import FakeConverter, Run, fits, image

_VALIDATOR = jsonschema.Draft202012Validator(plan_schema())
_ASKS = {"survey", "reach"}


class Shelf:
    """A registry that can only be read; `sifs` are the sizes of the SIFs that lie beside images."""

    def __init__(self) -> None:
        self.sifs: dict[str, int] = {}
        self.asked: list[str] = []

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        self.asked.append(str(ref))
        return Digest.of(str(ref).encode()) if str(ref) in self.sifs else None

    def fetch_manifest(self, ref: ImageReference) -> Manifest:
        (size,) = (size for tag, size in self.sifs.items() if Digest.of(tag.encode()) == ref.digest)
        blob = {"mediaType": "x", "digest": str(Digest.of(b"x")), "size": size}
        content = json.dumps({"schemaVersion": 2, "config": {**blob, "size": 2}, "layers": [blob]}).encode()
        return Manifest(content, OCI_MANIFEST, Digest.of(content))

    def head_blob(self, ref: ImageReference, digest: Digest) -> int | None:
        return 1


@dataclass(frozen=True)
class Sight:
    """The world as a plan sees it: nothing in it can change anything."""

    registry: ReadableRegistry
    commands: RuntimeCommands
    connect: Callable[[Site], SiteNode]
    check: Callable[[BuiltImage, Site], CompatReport]
    converter: AskedConverter


class Planner:
    """Plans over the fake sites of a run: change what is to be different, then `plan()`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.shelf = Shelf()
        self.way: str | None = None
        self.site_way = "auto"
        self.prospects: list[Prospect] | None = None
        self.detailed = False

    def plan(self) -> Forecast:
        run = self.run
        for site in run.sites.values():
            site.heard.clear()
        prospects = self.prospects if self.prospects is not None else [known(built) for built in run.images]
        names = [prospect.name for prospect in prospects]
        forecast = plan(
            prospects,
            [
                Site(
                    *(name, Login(name), Store("/store")),
                    runtime=Runtime(way=self.site_way),
                    slurm=Slurm(queue_deadline_s=60, run_deadline_s=60),
                )
                for name in run.sites
            ],
            PlanSettings("0", {name: run.tests.get(name, (SmokeTest("cpu"),)) for name in names}, {}, way=self.way),
            world=Sight(self.shelf, SpythonCommands(), run.connect, run.check, run.converter),
            parallel_sites=4,
        )
        forecast = replace(forecast, is_detailed=self.detailed)
        read_back(forecast)
        # Whatever a plan comes to, it has only looked.
        assert all(set(site.heard) <= _ASKS for site in run.sites.values())
        return forecast


def known(built: BuiltImage) -> Prospect:
    """An image that the registry holds."""
    return Prospect(built.name, built.version, built.release_tags[0], image=built)


def to_build(name: str = "app", built: BuiltImage | None = None) -> Prospect:
    """A target of a bake file, with the image that its tag holds, if any."""
    tag = parse_image_reference(f"registry.example.org/team/{name}:1.0")
    return Prospect(name, "1.0", tag, built, needs_build=True, found_at=str(tag) if built else "", tags=(tag,))


def read_back(forecast: Forecast) -> dict[str, Any]:
    """The document as a reader gets it, checked against the schema."""
    document: dict[str, Any] = json.loads(render_plan(forecast))
    _VALIDATOR.validate(document)
    return document


def shown(forecast: Forecast) -> str:
    """The table as a log has it."""
    console = Console(width=200, no_color=True, file=io.StringIO())
    console.print(as_rich(render_forecast(forecast)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def at(forecast: Forecast, site: str = "alder", name: str = "app") -> ImageForecast:
    (found,) = (image for where, image in forecast.images() if where.name == site and image.target == name)
    return found


def actions(forecast: Forecast) -> dict[str, str]:
    return {site.name: image.action.value for site, image in forecast.images()}


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    return Planner(Run(tmp_path))


def changed_image() -> BuiltImage:
    """Another build of the same target."""
    built = image()
    digest = Digest.of(b"second build")
    return replace(built, digest=digest, reference=built.reference.with_digest(digest))


# ---- what ship would do ---------------------------------------------------------------------------------------------


def test_an_image_that_is_nowhere_is_created(planner: Planner) -> None:
    """With the way, the bytes of its layers, and the smoke jobs; two questions to each site and no more."""
    forecast = planner.plan()
    seen = at(forecast)
    assert (seen.action, seen.reason, seen.way) == (Action.CREATE, "not there yet", "docker")
    assert (seen.size_bytes, seen.size_is_exact, seen.jobs, seen.verdict) == (1000, True, ("cpu",), "PASS")
    assert [site.heard for site in planner.run.sites.values()] == [["survey", "reach"]] * 2
    assert [site.closed for site in planner.run.sites.values()] == [1, 1]
    assert forecast.summary() == {"create": 2, "update": 0, "unchanged": 0, "blocked": 0, "bytes": 2000, "jobs": 2}


def test_what_was_shipped_is_unchanged(planner: Planner) -> None:
    """One question to each site; nothing to move, nothing to run, nothing to do."""
    planner.run.ship()
    planner.detailed = True
    forecast = planner.plan()
    assert actions(forecast) == {"alder": "unchanged", "birch": "unchanged"}
    assert [site.heard for site in planner.run.sites.values()] == [["survey"], ["survey"]]
    assert (forecast.summary()["bytes"], forecast.summary()["jobs"], forecast.code) == (0, 0, ExitCode.OK)


def test_another_image_is_an_update(planner: Planner) -> None:
    """The reason names both digests."""
    planner.run.ship()
    planner.run.images = [changed_image()]
    seen = at(planner.plan())
    old, new = image().digest.short, changed_image().digest.short
    assert (seen.action, seen.reason) == (Action.UPDATE, f"from {old} to {new}")
    assert (seen.current, seen.wanted) == (str(image().digest), str(changed_image().digest))


def test_a_plan_is_what_ship_then_does(planner: Planner) -> None:
    """Before each ship its plan names the sites that change, and after it nothing is left to do."""
    for built in (image(), changed_image(), changed_image()):
        planner.run.images = [built]
        would_change = [name for name, action in actions(planner.plan()).items() if action != "unchanged"]
        for site in planner.run.sites.values():
            site.heard.clear()
        planner.run.ship()
        assert [name for name, site in planner.run.sites.items() if site.acts()] == would_change
        assert set(actions(planner.plan()).values()) == {"unchanged"}


def test_a_delivered_image_is_not_moved_again(planner: Planner) -> None:
    """Its tests and its promotion are still to come, and the login node need not be asked."""
    planner.run.until = "deliver"
    planner.run.ship()
    seen = at(planner.plan())
    assert (seen.action, seen.reason) == (Action.CREATE, "delivered, not promoted yet")
    assert (seen.way, seen.size_bytes, seen.jobs) == ("", 0, ("cpu",))
    assert planner.run.sites["alder"].heard == ["survey"]


def test_a_missing_tag_is_an_update(planner: Planner) -> None:
    """`current` is right and the version's link is gone; no test runs again."""
    planner.run.ship()
    del planner.run.sites["alder"].links["app/1.0"]
    seen = at(planner.plan())
    assert (seen.action, seen.reason, seen.jobs) == (Action.UPDATE, "the tag 1.0 is missing", ())


@pytest.mark.parametrize(("state", "reason"), [("absent", "its SIF is gone"), ("changed", "is not what was verified")])
def test_a_sif_that_is_not_there_any_more_comes_again(planner: Planner, state: str, reason: str) -> None:
    """Although `current` names it."""
    planner.run.ship()
    target = f"../sif/app/{image().digest.hex}.sif"
    lines = ["image app", f"sif {state}", f"current {target}", f"tag {target}", "current_sha256 0", "clock 1", "host h"]
    planner.run.sites["alder"].faults["survey"] = said(*lines)
    seen = at(planner.plan())
    assert (seen.action, seen.size_bytes, seen.jobs) == (Action.UPDATE, 1000, ("cpu",))
    assert reason in seen.reason


def test_a_test_that_is_new_is_named(planner: Planner) -> None:
    """What has passed does not run again."""
    planner.run.ship()
    planner.run.tests["app"] = (SmokeTest("cpu"), SmokeTest("answer", "command", ("true",)))
    seen = at(planner.plan())
    assert (seen.action, seen.reason, seen.jobs) == (Action.UPDATE, "not tested yet: answer", ("answer",))


# ---- ways and bytes -------------------------------------------------------------------------------------------------


def test_a_site_without_a_route_gets_a_stream(planner: Planner) -> None:
    """The reason says so, and the other site keeps its way."""
    planner.run.converter = FakeConverter("")
    planner.run.sites["alder"].reach = "no"
    forecast = planner.plan()
    assert at(forecast).reason == "not there yet; no route to registry.example.org: stream"
    assert (at(forecast).way, at(forecast, "birch").way) == ("stream", "oras")
    assert planner.run.converter.asked == []


def test_the_size_of_a_converted_sif_is_known(planner: Planner) -> None:
    """It lies beside the image; before the first conversion the layers' size stands for it. One question for all."""
    planner.run.converter = FakeConverter("")
    assert (at(planner.plan()).size_bytes, at(planner.plan()).size_is_exact) == (1000, False)
    planner.shelf.asked.clear()
    built = image()
    planner.shelf.sifs[f"registry.example.org/team/app:{sif_tag(built)}"] = 4321
    forecast = planner.plan()
    assert (at(forecast).size_bytes, at(forecast, "birch").size_is_exact) == (4321, True)
    assert len(planner.shelf.asked) == 1


def sif_tag(built: BuiltImage) -> str:
    """As registries hold it; spelled out here, because others read it."""
    return f"sha256-{built.digest.hex}.sif"


@pytest.mark.parametrize("by", ["flag", "site"])
def test_a_chosen_way_is_not_questioned(planner: Planner, by: str) -> None:
    """The login node is not asked."""
    planner.way, planner.site_way = ("job", "auto") if by == "flag" else (None, "job")
    assert (at(planner.plan()).way, planner.run.sites["alder"].heard) == ("job", ["survey"])


@pytest.mark.parametrize("way", ["oras", "stream"])
def test_a_way_that_cannot_be_gone_blocks(planner: Planner, way: str) -> None:
    """Without apptainer here nobody makes the SIF."""
    planner.way = way
    forecast = planner.plan()
    assert (at(forecast).action, forecast.code) == (Action.BLOCKED, ExitCode.PREREQ)


def test_the_login_node_is_asked_once_for_all_images(planner: Planner) -> None:
    """They come from one registry."""
    planner.run.images = [image("app"), image("tool"), image("third")]
    planner.plan()
    assert planner.run.sites["alder"].heard == ["survey", "reach"]


# ---- what is blocked ------------------------------------------------------------------------------------------------

FAULTS: list[tuple[str, Fault, ExitCode, str]] = [
    ("survey", SiteUnreachableError("alder: no answer"), ExitCode.SITE_UNREACHABLE, "site unreachable: no answer"),
    ("survey", SiteTrustError("alder: another key"), ExitCode.SITE_TRUST, "another key"),
    ("survey", failed("ledger", "line 3 was changed"), ExitCode.STATE, "line 3 was changed"),
    ("survey", said("Welcome!"), ExitCode.SITE_RESOURCE, "look at the store"),
    ("reach", SiteUnreachableError("alder: lost", kind="ssh.lost"), ExitCode.SITE_UNREACHABLE, "unreachable: lost"),
    ("survey", ZeroDivisionError("unforeseen"), ExitCode.BUG, "ZeroDivisionError: unforeseen"),
]


@pytest.mark.parametrize(("step", "fault", "code", "words"), FAULTS, ids=range(len(FAULTS)))
def test_a_broken_site_leaves_the_others_alone(
    planner: Planner, step: str, fault: Fault, code: ExitCode, words: str
) -> None:
    """It is blocked with its reason and its code; the whole is partly."""
    planner.run.sites["alder"].faults[step] = fault
    forecast = planner.plan()
    assert actions(forecast) == {"alder": "blocked", "birch": "create"}
    assert (at(forecast).code, forecast.code) == (code, ExitCode.PARTIAL)
    assert words in at(forecast).reason
    assert not at(forecast).reason.startswith("alder")


def glibc_finding(severity: Severity = Severity.ERROR) -> Finding:
    evidence = {"glibc": {"needed": "GLIBC_2.34", "by": "/usr/bin/solver", "image": "2.28"}}
    return Finding("glibc-too-new", severity, "/usr/bin/solver", "needs GLIBC_2.34", "rebuild it", evidence=evidence)


SHORT: list[tuple[tuple[Finding, ...], str, ExitCode]] = [
    ((glibc_finding(),), "glibc 2.34 > 2.28", ExitCode.INCOMPATIBLE),
    ((glibc_finding(), glibc_finding()), "glibc 2.34 > 2.28 (and 1 more)", ExitCode.INCOMPATIBLE),
    (
        (Finding("cpu-level", Severity.ERROR, "/a", "m", evidence={"needed": "x86-64-v3", "site": "x86-64-v2"}),),
        "cpu-level: x86-64-v3 > x86-64-v2",
        ExitCode.INCOMPATIBLE,
    ),
    (
        (Finding("cpu-level", Severity.ERROR, "/a", "m", evidence={"needed": "x86-64-v3", "site": "not declared"}),),
        "cpu-level: x86-64-v3",
        ExitCode.INCOMPATIBLE,
    ),
    (
        (Finding("missing-library", Severity.ERROR, "/a", "m", evidence={"library": "libfoo.so.1"}),),
        "no libfoo.so.1",
        ExitCode.INCOMPATIBLE,
    ),
    (
        (
            Finding(
                *("libstdcxx-too-new", Severity.ERROR, "/a", "m"),
                evidence={"needed": ["GLIBCXX_3.4.9", "GLIBCXX_3.4.29"], "offered": ["CXXABI_1.3", "GLIBCXX_3.4.25"]},
            ),
        ),
        "GLIBCXX_3.4.29 > 3.4.25",
        ExitCode.INCOMPATIBLE,
    ),
    (
        (Finding("packed-relocations", Severity.ERROR, "/a", "m", evidence={"needed": ["GLIBC_ABI_DT_RELR"]}),),
        "needs GLIBC_ABI_DT_RELR",
        ExitCode.INCOMPATIBLE,
    ),
    (
        (Finding("architecture", Severity.ERROR, "", "m", evidence={"image": "aarch64", "site": "x86_64"}),),
        "for aarch64, the site has x86_64",
        ExitCode.INCOMPATIBLE,
    ),
    ((Finding("no-interpreter", Severity.ERROR, "/bin/a", "m"),), "no-interpreter: /bin/a", ExitCode.INCOMPATIBLE),
    ((Finding("unread", Severity.UNKNOWN, "", "m"),), "unread", ExitCode.UNCHECKED),
]


@pytest.mark.parametrize(("findings", "reason", "code"), SHORT, ids=range(len(SHORT)))
def test_an_image_that_does_not_fit_is_blocked(
    planner: Planner, findings: tuple[Finding, ...], reason: str, code: ExitCode
) -> None:
    """By the decisive finding in short; the site is not even asked. The whole finding is in the error."""
    planner.run.check = lambda built, site: CompatReport(site.name, str(built.digest), findings)
    forecast = planner.plan()
    assert (at(forecast).reason, forecast.code) == (reason, code)
    assert planner.run.sites["alder"].heard == []
    assert findings[0].message in at(forecast).error.message  # type: ignore[union-attr]


def test_a_warning_blocks_nothing(planner: Planner) -> None:
    """It is told as the verdict."""
    warning = glibc_finding(Severity.WARNING)
    planner.run.check = lambda built, site: CompatReport(site.name, str(built.digest), (warning,))
    assert (at(planner.plan()).action, at(planner.plan()).verdict) == (Action.CREATE, "WARN")


def test_a_check_that_fails_blocks(planner: Planner) -> None:
    """As the failure that it was."""

    def broken(built: BuiltImage, site: Site) -> CompatReport:
        raise RegistryTempError(f"{built.name}: 503")

    planner.run.check = broken
    assert planner.plan().code is ExitCode.REGISTRY_TEMP


def test_a_hold_blocks_what_is_not_current(planner: Planner) -> None:
    """Ship would deliver and test, and not promote; what is current already is unchanged all the same."""
    planner.run.ship()
    planner.run.sites["alder"].holds["app"] = '{"by":"ada@pc","since":"2026-02-01T00:00:00Z"}'
    assert at(planner.plan()).action is Action.UNCHANGED
    planner.run.images = [changed_image()]
    forecast = planner.plan()
    assert at(forecast).reason == f"held at {image().digest.short} by ada@pc since 2026-02-01T00:00:00Z"
    assert (at(forecast).code, at(forecast).jobs, at(forecast, "birch").action) == (
        ExitCode.BUSY,
        ("cpu",),
        Action.UPDATE,
    )
    assert "--release-hold --site alder" in at(forecast).error.remedy  # type: ignore[union-attr]


@pytest.mark.parametrize("tests", [(), (SmokeTest("gpu", "gpu"),), (SmokeTest("cpu", sites=("mars",)),)])
def test_without_a_test_nothing_would_be_promoted(planner: Planner, tests: Sequence[SmokeTest]) -> None:
    """So nothing is promised."""
    planner.run.tests["app"] = tests
    assert "no smoke test" in at(planner.plan()).reason


def test_a_template_that_does_not_exist_blocks(planner: Planner) -> None:
    """Before anything is moved."""
    planner.run.tests["app"] = (SmokeTest("odd", "no-such-template"),)
    assert planner.plan().code is ExitCode.CONFIG


def test_an_image_that_no_registry_tells_of_is_blocked_everywhere(planner: Planner) -> None:
    """No site is asked."""
    planner.prospects = [replace(known(image()), image=None, error=RegistryTempError("registry: 503"))]
    forecast = planner.plan()
    assert (set(actions(forecast).values()), forecast.code) == ({"blocked"}, ExitCode.REGISTRY_TEMP)
    assert planner.run.sites["alder"].heard == []


def test_images_are_blocked_one_by_one(planner: Planner) -> None:
    """What fits goes on."""
    planner.run.images = [image("app"), image("tool")]
    planner.run.check = lambda built, site: (
        CompatReport(site.name, "", (glibc_finding(),)) if built.name == "tool" else fits(built, site)
    )
    forecast = planner.plan()
    assert (at(forecast).action, at(forecast, name="tool").action) == (Action.CREATE, Action.BLOCKED)
    assert (at(forecast, name="tool").code, forecast.code) == (ExitCode.INCOMPATIBLE, ExitCode.PARTIAL)


# ---- before the build -----------------------------------------------------------------------------------------------


def test_a_target_that_nobody_has_built_is_created_after_the_build(planner: Planner) -> None:
    """Nothing is checked, nobody knows the bytes; the site is asked all the same."""
    planner.prospects = [to_build()]
    forecast = planner.plan()
    seen = at(forecast)
    assert (seen.action, seen.reason) == (Action.CREATE, "not there yet (after the build)")
    assert (seen.wanted, seen.verdict, seen.size_bytes, seen.jobs) == ("", "", None, ("cpu",))
    assert "not in the registry yet" in shown(forecast)


def test_a_target_that_lost_its_tag_is_an_update(planner: Planner) -> None:
    """The site has a release of it."""
    planner.run.ship()
    planner.prospects = [to_build()]
    seen = at(planner.plan())
    assert (seen.action, seen.reason) == (Action.UPDATE, f"now {image().digest.short} (after the build)")


def test_a_target_is_judged_by_what_its_tag_holds(planner: Planner) -> None:
    """And every line says that the build decides."""
    planner.prospects = [to_build(built=image())]
    assert at(planner.plan()).reason == f"not there yet (if the build gives {image().digest.short})"
    planner.run.ship()
    forecast = planner.plan()
    assert at(forecast).reason == f"in place (if the build gives {image().digest.short})"
    assert at(forecast).action is Action.UNCHANGED
    assert forecast.targets[0].needs_build
    assert "judged by what registry.example.org/team/app:1.0 holds now" in shown(forecast)


# ---- codes and faces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("detailed", "code"), [(False, ExitCode.OK), (True, ExitCode.CHANGES)])
def test_changes_have_a_code_when_asked_for(planner: Planner, detailed: bool, code: ExitCode) -> None:
    """4, and 0 without the flag."""
    planner.detailed = detailed
    assert (planner.plan().code, read_back(planner.plan())["changes"]) == (code, True)


def test_what_is_blocked_counts_more_than_changes(planner: Planner) -> None:
    """Nobody takes a plan that cannot be done for one that can."""
    planner.detailed = True
    planner.run.sites["alder"].faults["survey"] = SiteUnreachableError("alder: gone")
    assert planner.plan().code is ExitCode.PARTIAL
    planner.run.sites["birch"].faults["survey"] = SiteUnreachableError("birch: gone")
    assert planner.plan().code is ExitCode.SITE_UNREACHABLE


def test_a_plan_reads_well(planner: Planner) -> None:
    """One row per image and site; each cause and each way once; sums at the end."""
    planner.run.check = lambda built, site: (
        CompatReport(site.name, "", (glibc_finding(),)) if site.name == "birch" else fits(built, site)
    )
    text = shown(planner.plan())
    assert re.search(r"app +alder +create +\w{12} +PASS +docker +1\.0 kB +1 +not there yet", text)
    assert re.search(r"app +birch +blocked +\w{12} +FAIL +- +- +- +glibc 2\.34 > 2\.28", text)
    assert "help: rebuild it" in text
    assert "plan: 1 create, 1 blocked · 1.0 kB to move · 1 smoke job · nothing was changed · exit 3 PARTIAL" in text


def test_hostile_words_stay_words(planner: Planner) -> None:
    """Control characters of a site or of a registry reach neither the terminal nor break the document."""
    hostile = "\x1b[31mred\x07 [bold]markup[/bold] \ud800 end"
    planner.run.sites["alder"].faults["survey"] = SiteUnreachableError(
        f"alder: {hostile}", evidence={"output": hostile}
    )
    forecast = planner.plan()
    assert "\x1b" not in shown(forecast)
    assert "[bold]markup[/bold]" in shown(forecast)
    assert read_back(forecast)["sites"][0]["images"][0]["error"]["message"].endswith("end")


def test_no_image_and_no_site_is_nothing_to_do(planner: Planner) -> None:
    """An empty plan is a plan."""
    planner.prospects = []
    forecast = planner.plan()
    assert forecast.code is ExitCode.OK
    assert "plan: nothing to do" in shown(forecast)
    assert planner.run.sites["alder"].heard == []


def test_a_connection_that_cannot_be_made_is_that_sites_own(planner: Planner) -> None:
    """Whatever raises."""
    before = planner.run.connect

    def connect(site: Site) -> SiteNode:
        if site.name == "alder":
            raise HpcbakeError("alder: no such transport")
        return before(site)

    planner.run.connect = connect
    assert actions(planner.plan()) == {"alder": "blocked", "birch": "create"}
