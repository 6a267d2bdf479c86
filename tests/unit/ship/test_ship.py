"""The chain over images and sites: what one site does to another (nothing), and what moves when (last)."""

from __future__ import annotations

import _thread
import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.build.document import Shipment
from hpcbake.errors import (
    ExitCode,
    InterruptedByUserError,
    RegistryError,
    SiteTrustError,
    SiteUnreachableError,
)
from hpcbake.image.manifest import OCI_MANIFEST, Manifest
from hpcbake.model.artefacts import BuiltImage, ConvertedSif, SmokeTest
from hpcbake.model.plan import Plan, Target
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference
from hpcbake.model.site import Login, Site, Slurm, Store
from hpcbake.model.verdict import CompatReport, Finding, Severity
from hpcbake.report.records import ImageRecord, Outcome, RunRecord, ShipReport
from hpcbake.ship.journal import Journal
from hpcbake.ship.plan_board import ShowPlan
from hpcbake.ship.ports import SiteNode, World
from hpcbake.ship.project_parts import Destinations, TagPolicy
from hpcbake.ship.settings import ShipSettings
from hpcbake.ship.ship import ShipResult, ship
from tests.clocks import FastClock
from tests.fake_site import FakeSite, Fault, failed, said, sif_sha256
from tests.reports import read_back


class Registry:
    """A registry of manifests by reference; `moves` notes every tag that was put."""

    def __init__(self) -> None:
        self.tags: dict[str, Digest] = {}
        self.moves: list[str] = []
        self.fault: BaseException | None = None

    def fetch_manifest(self, ref: ImageReference) -> Manifest:
        assert ref.digest is not None
        return Manifest(b"{}", OCI_MANIFEST, ref.digest)

    def head_blob(self, ref: ImageReference, digest: Digest) -> int | None:
        return 1

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        if self.fault is not None:
            raise self.fault
        return self.tags.get(str(ref))

    def put_manifest(self, ref: ImageReference, content: bytes, media_type: str) -> Digest:
        self.moves.append(str(ref))
        return Digest.of(content)


class Builder:
    """A builder that pushes what it was told, or fails."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault = fault

    def pushes_by_digest(self) -> bool:
        return True

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        if self.fault is not None:
            raise self.fault
        return {name: {"containerimage.digest": str(Digest.of(name.encode()))} for name in targets}


@dataclass
class Lines:
    """A listener that keeps what it hears."""

    heard: list[str] = field(default_factory=list)

    def step(
        self,
        stage: str,
        text: str,
        *,
        site: str = "",
        image: str = "",
        status: str = "note",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        self.heard.append(f"{stage} {site} {image} {text}")


def image(name: str = "app") -> BuiltImage:
    tag = parse_image_reference(f"registry.example.org/team/{name}:1.0")
    digest = Digest.of(name.encode())
    return BuiltImage(name, "1.0", tag.with_digest(digest), digest, 1000, (tag,), 2)


def fits(image: BuiltImage, site: Site) -> CompatReport:
    return CompatReport(site.name, str(image.digest), ())


class FakeConverter:
    """A build host; it has no apptainer unless a test gives it one."""

    def __init__(self, cannot: str = "no apptainer on this machine") -> None:
        self.cannot = cannot
        self.asked: list[tuple[str, bool]] = []

    def why_not(self) -> str:
        return self.cannot

    def convert(self, image: BuiltImage, *, publish: bool) -> ConvertedSif:
        self.asked.append((image.name, publish))
        return ConvertedSif(Path("/sif"), sif_sha256(image.digest.hex), 4096, image.reference)


class Run:
    """A run over fake sites: change what is to be different, then `ship()`."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.sites = {name: FakeSite(name) for name in names or ("alder", "birch")}
        self.images = [image()]
        self.registry = Registry()
        self.check: Callable[[BuiltImage, Site], CompatReport] = fits
        self.tests: dict[str, Sequence[SmokeTest]] = {}
        self.clock = FastClock()
        self.lines = Lines()
        self.until = "promote"
        self.detach = False
        self.only = False
        self.all_or_none = False
        self.show_plan: ShowPlan | None = None
        self.patience_s = 5.0
        self.destinations = Destinations()
        self.tags = TagPolicy()
        self.builder: Builder | None = None
        self.parallel = 16
        self.connect: Callable[[Site], SiteNode] = lambda site: self.sites[site.name]
        self.converter = FakeConverter()
        self.number = 0

    def ship(self) -> ShipResult:
        self.number += 1
        names = [built.name for built in self.images]
        settings = ShipSettings(
            run=f"01RUN{self.number}",
            created="2026-01-31T12:00:00Z",
            tool_version="0",
            tests={name: self.tests.get(name, (SmokeTest("cpu"),)) for name in names},
            expose={},
            until=self.until,
            detach=self.detach,
            only=self.only,
            all_or_none=self.all_or_none,
            destinations=self.destinations,
            tags=self.tags,
        )
        world = World(
            builder=self.builder or Builder(),
            registry=self.registry,
            commands=SpythonCommands(),
            connect=self.connect,
            check=self.check,
            login_for=lambda _: None,
            clock=self.clock,
            converter=self.converter,
            content_of=lambda _: "",
        )
        targets = {built.name: Target(built.name, {"context": "."}) for built in self.images}
        journal = Journal(self.folder / f"{self.number}/journal.jsonl")
        result = ship(
            Plan(targets, {}),
            [Shipment(targets[built.name], built.release_tags) for built in self.images],
            [
                Site(name, Login(name), Store("/store"), slurm=Slurm(queue_deadline_s=60, run_deadline_s=60))
                for name in self.sites
            ],
            settings,
            world=world,
            journal=journal,
            listener=self.lines,
            parallel_sites=self.parallel,
            show_plan=self.show_plan,
            patience_s=self.patience_s,
            images=None if self.builder else self.images,
        )
        journal.close()
        assert_valid(result)
        return result


def assert_valid(result: ShipResult) -> None:
    """Every report of every test fits the schema, and says what the run says."""
    stopped = result.interrupted
    times = ("2026-01-31T12:00:00Z", "2026-01-31T12:00:09Z")
    report = ShipReport(
        "0",
        RunRecord(
            "01RUN",
            ("hpcbake", "ship"),
            "h",
            "u",
            1,
            "b",
            *times,
            9.0,
            interrupted_by=stopped.message if stopped else None,
        ),
        result.targets,
        result.sites,
        error=result.error,
        interrupted_code=stopped.exit_code if stopped else None,
    )
    document = read_back(report)
    assert sum(document["summary"].values()) == len(result.sites)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def record(result: ShipResult, site: str = "alder", name: str = "app") -> ImageRecord:
    (found,) = (r for s in result.sites if s.name == site for r in s.images if r.target == name)
    return found


def outcomes(result: ShipResult) -> dict[str, str]:
    return {site.name: site.outcome.value for site in result.sites}


# ---- all goes well --------------------------------------------------------------------------------------------------


def test_an_image_reaches_every_site(run: Run) -> None:
    """Check, deliver, smoke, promote at each; the tag of the registry last."""
    result = run.ship()
    assert outcomes(result) == {"alder": "ok", "birch": "ok"}
    for site in run.sites.values():
        assert site.heard == ["survey", "reach", "deliver", "submit", "poll", "promote"]
        assert site.closed == 1
    assert run.registry.moves == ["registry.example.org/team/app:1.0"]
    assert result.targets[0].tags_moved
    assert [stage.name for stage in record(result).stages] == ["check", "deliver", "smoke", "promote"]


def test_after_is_read_back_from_the_site(run: Run) -> None:
    """What is current is what the site said after the rename."""
    done = record(run.ship())
    digest = image().digest
    assert done.before is None
    assert done.after is not None
    assert (done.after.digest, done.after.sif_sha256) == (str(digest), sif_sha256(digest.hex))
    assert done.changed


def test_a_second_run_does_nothing(run: Run) -> None:
    """Everything is found in place: no pull, no job, no promotion, no tag."""
    run.ship()
    run.registry.tags["registry.example.org/team/app:1.0"] = image().digest
    for site in run.sites.values():
        site.heard.clear()
    result = run.ship()
    assert outcomes(result) == {"alder": "unchanged", "birch": "unchanged"}
    assert [site.acts() for site in run.sites.values()] == [[], []]
    assert len(run.registry.moves) == 1
    assert [stage.status for stage in record(result).stages] == ["ok", "unchanged", "unchanged", "unchanged"]
    assert not record(result).changed


def test_a_tag_link_that_is_missing_is_made(run: Run) -> None:
    """`current` is right and the tag's link is gone: it is promoted again, and `current` has not changed."""
    run.ship()
    del run.sites["alder"].links["app/1.0"]
    result = run.ship()
    assert run.sites["alder"].links["app/1.0"] == run.sites["alder"].links["app/current"]
    assert not record(result).changed


@pytest.mark.parametrize(
    ("until", "acts"),
    [
        ("check", []),
        ("deliver", ["deliver"]),
        ("smoke", ["deliver", "submit"]),
        ("promote", ["deliver", "submit", "promote"]),
    ],
)
def test_a_run_may_end_after_a_stage(run: Run, until: str, acts: list[str]) -> None:
    """What comes later is not touched; the tag moves with the promotion only."""
    run.until = until
    result = run.ship()
    assert run.sites["alder"].acts() == acts
    assert outcomes(result)["alder"] == "ok"
    assert bool(run.registry.moves) is (until == "promote")


# ---- isolation ------------------------------------------------------------------------------------------------------


FAULTS: list[tuple[str, Fault, ExitCode, str]] = [
    ("survey", SiteUnreachableError("alder: gone"), ExitCode.SITE_UNREACHABLE, "failed"),
    ("survey", SiteUnreachableError("alder: silent", kind="ssh.timeout"), ExitCode.SITE_UNREACHABLE, "inconclusive"),
    ("survey", SiteTrustError("alder: another key"), ExitCode.SITE_TRUST, "failed"),
    ("survey", said("Welcome!"), ExitCode.SITE_RESOURCE, "failed"),
    ("survey", failed("ledger"), ExitCode.STATE, "failed"),
    ("deliver", failed("space"), ExitCode.SITE_RESOURCE, "failed"),
    ("deliver", failed("busy"), ExitCode.BUSY, "blocked"),
    ("deliver", failed("architecture"), ExitCode.INTEGRITY, "failed"),
    ("deliver", said("state created"), ExitCode.SITE_RESOURCE, "failed"),
    ("deliver", failed("integrity"), ExitCode.INTEGRITY, "failed"),
    ("submit", failed("slurm-refused"), ExitCode.SITE_RESOURCE, "failed"),
    ("submit", failed("slurm-down"), ExitCode.SMOKE_UNKNOWN, "inconclusive"),
    ("submit", SiteUnreachableError("alder: lost", kind="ssh.lost"), ExitCode.SITE_UNREACHABLE, "inconclusive"),
    ("poll", SiteTrustError("alder: another key"), ExitCode.SITE_TRUST, "failed"),
    ("poll", said("squeue ok"), ExitCode.SITE_RESOURCE, "failed"),
    ("promote", failed("changed"), ExitCode.BUSY, "blocked"),
    ("promote", failed("integrity"), ExitCode.INTEGRITY, "failed"),
    ("promote", failed("promote"), ExitCode.PROMOTE, "failed"),
    ("promote", said(""), ExitCode.SITE_RESOURCE, "failed"),
]


@pytest.mark.parametrize(("stage", "fault", "code", "word"), FAULTS, ids=range(len(FAULTS)))
def test_a_broken_site_leaves_the_others_alone(run: Run, stage: str, fault: Fault, code: ExitCode, word: str) -> None:
    """Whatever goes wrong at one site is that site's own; nothing is promoted there, no tag moves anywhere."""
    run.sites["alder"].faults[stage] = fault
    result = run.ship()
    assert outcomes(result) == {"alder": word, "birch": "ok"}
    assert record(result).code is code
    assert run.sites["alder"].links == {}
    assert run.sites["birch"].acts() == ["deliver", "submit", "promote"]
    assert run.registry.moves == []


@pytest.mark.parametrize("stage", ["survey", "deliver", "submit", "poll", "promote"])
def test_a_bug_at_one_site_is_that_sites_failure(run: Run, stage: str) -> None:
    """Even what we did not foresee stays within its site, with the traceback as evidence."""
    run.sites["alder"].faults[stage] = ZeroDivisionError("unforeseen")
    result = run.ship()
    assert (outcomes(result)["birch"], record(result).code) == ("ok", ExitCode.BUG)
    error = record(result).error
    assert error is not None
    assert "ZeroDivisionError: unforeseen" in str(error.evidence["output"])


def test_a_bug_after_an_image_was_done_leaves_that_image(run: Run) -> None:
    """What had been promoted before is not called failed."""
    run.images = [image("app"), image("tool")]
    fail_second(run.sites["alder"], "promote", ZeroDivisionError("unforeseen"))
    result = run.ship()
    assert record(result, name="app").outcome is Outcome.OK
    assert record(result, name="tool").outcome is Outcome.FAILED


def test_one_image_does_not_stop_the_other(run: Run) -> None:
    """Each image has an end of its own; only the tags of those that are everywhere move."""
    run.images = [image("app"), image("tool")]
    run.tests = {"app": (SmokeTest("bad"),), "tool": (SmokeTest("good"),)}
    run.sites["alder"].results["bad"] = "exit-code-3"
    result = run.ship()
    assert record(result, name="app").code is ExitCode.SMOKE_FAILED
    assert record(result, name="tool").outcome is Outcome.OK
    assert record(result, "birch", "app").outcome is Outcome.OK
    assert run.registry.moves == ["registry.example.org/team/tool:1.0"]


def test_a_slow_site_does_not_delay_the_others(run: Run) -> None:
    """While one waits the other is brought to its end."""
    go = threading.Event()

    def wait(_: dict[str, str]) -> None:
        assert go.wait(20)

    run.sites["alder"].faults["deliver"] = wait
    thread = threading.Thread(target=run.ship)
    thread.start()
    until(lambda: "app/current" in run.sites["birch"].links)
    go.set()
    thread.join()
    assert "app/current" in run.sites["alder"].links


@pytest.mark.parametrize("parallel", [1, 0, -3])
def test_sites_may_be_taken_one_by_one(run: Run, parallel: int) -> None:
    """One thread does them all; a nonsensical number is one."""
    run.parallel = parallel
    assert outcomes(run.ship()) == {"alder": "ok", "birch": "ok"}


# ---- nothing without its checks --------------------------------------------------------------------------------------


def judged(severity: Severity) -> Callable[[BuiltImage, Site], CompatReport]:
    finding = Finding("rule", severity, "/lib/x", "it wants too much", remedy="want less", paths=("/lib/x",))
    return lambda image, site: CompatReport(site.name, str(image.digest), (finding,))


@pytest.mark.parametrize(
    ("severity", "code", "word"),
    [
        (Severity.ERROR, ExitCode.INCOMPATIBLE, "failed"),
        (Severity.UNKNOWN, ExitCode.UNCHECKED, "inconclusive"),
    ],
)
def test_an_image_that_does_not_fit_never_reaches_the_site(
    run: Run, severity: Severity, code: ExitCode, word: str
) -> None:
    """The site is not even connected to; not knowing is not fitting."""
    run.check = judged(severity)

    def connect(site: Site) -> SiteNode:
        raise AssertionError(f"{site.name} was connected to")

    run.connect = connect
    result = run.ship()
    assert (outcomes(result)["alder"], record(result).code) == (word, code)
    error = record(result).error
    assert error is not None
    assert "it wants too much" in error.message


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.INFO])
def test_a_warning_is_a_note(run: Run, severity: Severity) -> None:
    """It fits; what is odd is told."""
    run.check = judged(severity)
    result = run.ship()
    assert outcomes(result)["alder"] == "ok"
    assert any("it wants too much" in note for note in result.sites[0].notes) is (severity is Severity.WARNING)


def test_a_check_that_breaks_is_no_check(run: Run) -> None:
    """A registry that fails in the middle of the scan: the image goes nowhere."""

    def check(image: BuiltImage, site: Site) -> CompatReport:
        raise RegistryError("cut")

    run.check = check
    result = run.ship()
    assert record(result).code is ExitCode.REGISTRY
    assert run.sites["alder"].heard == []


@pytest.mark.parametrize(
    ("why", "code", "word"),
    [
        ("exit-code-3", ExitCode.SMOKE_FAILED, "failed"),
        ("time-limit", ExitCode.SMOKE_FAILED, "failed"),
        ("terminated", ExitCode.SMOKE_UNKNOWN, "inconclusive"),
        ("nothing", ExitCode.SMOKE_UNKNOWN, "inconclusive"),
        ("sif-changed", ExitCode.INTEGRITY, "failed"),
    ],
)
def test_nothing_is_promoted_without_a_passed_test(run: Run, why: str, code: ExitCode, word: str) -> None:
    """Failed, unknown, or another SIF: what ran yesterday runs on."""
    run.sites["alder"].links["app/current"] = "../sif/app/old.sif"
    run.sites["alder"].results["cpu"] = why
    result = run.ship()
    assert (outcomes(result)["alder"], record(result).code) == (word, code)
    assert run.sites["alder"].links == {"app/current": "../sif/app/old.sif"}
    assert "promote" not in run.sites["alder"].heard
    assert run.registry.moves == []


def test_one_failed_test_of_many_is_enough(run: Run) -> None:
    """All of an image's tests must pass."""
    run.tests = {"app": (SmokeTest("one"), SmokeTest("two"), SmokeTest("three"))}
    run.sites["alder"].results["two"] = "exit-code-1"
    assert record(run.ship()).code is ExitCode.SMOKE_FAILED
    assert "promote" not in run.sites["alder"].heard


def test_a_job_that_never_starts_is_cancelled_and_unknown(run: Run) -> None:
    """At the queue's deadline, with Slurm's reason."""
    run.sites["alder"].states["cpu"] = "PENDING"
    result = run.ship()
    assert record(result).code is ExitCode.SMOKE_UNKNOWN
    assert run.sites["alder"].acts() == ["deliver", "submit", "cancel"]


def test_a_tag_that_cannot_move_is_told(run: Run) -> None:
    """Sites are promoted; the registry refuses its tag: that is the target's failure."""
    run.registry.fault = RegistryError("denied")
    result = run.ship()
    assert outcomes(result) == {"alder": "ok", "birch": "ok"}
    assert result.targets[0].error is not None
    assert not result.targets[0].tags_moved


def test_a_build_that_fails_touches_no_site(run: Run) -> None:
    """Nothing is connected to, and the report says which stage it was."""
    run.builder = Builder(RegistryError("refused", kind="registry.auth"))
    result = run.ship()
    assert result.error is not None
    assert (result.error.stage, result.error.kind, result.sites) == ("build", "registry.auth", ())
    assert result.targets[0].build_status == "failed"
    assert [site.heard for site in run.sites.values()] == [[], []]


# ---- interruption ---------------------------------------------------------------------------------------------------

INTERRUPT = InterruptedByUserError("SIGTERM", signal_number=15)


def test_an_interrupted_build_gives_a_report(run: Run) -> None:
    """Signal and all."""
    run.builder = Builder(INTERRUPT)
    result = run.ship()
    assert result.interrupted is INTERRUPT
    assert result.targets[0].build_status == "skipped"


def test_an_interrupted_tag_move_ends_the_run(run: Run) -> None:
    """A signal is no failure of the registry: it is not swallowed, and no other tag moves."""
    run.registry.fault = INTERRUPT
    result = run.ship()
    assert result.interrupted is INTERRUPT
    assert run.registry.moves == []
    assert outcomes(result) == {"alder": "ok", "birch": "ok"}


def test_images_on_their_way_are_not_called_ok(run: Run) -> None:
    """What a signal found unfinished is skipped, with what may go on at the site; what was done is done."""
    go = threading.Event()

    def wait(_: dict[str, str]) -> None:
        go.wait(20)

    run.sites["alder"].faults["deliver"] = wait
    result = interrupted_by(run, lambda: run.sites["birch"].closed == 1)
    go.set()
    assert outcomes(result) == {"alder": "skipped", "birch": "ok"}
    assert any("deliver of app" in line for line in result.sites[0].left_behind)
    assert run.registry.moves == []


# ---- the journal ----------------------------------------------------------------------------------------------------


def test_the_journal_tells_every_act_before_and_after(run: Run) -> None:
    """From it the next run learns where this one died."""
    run.ship()
    entries = [json.loads(line) for line in (run.folder / "1/journal.jsonl").read_text().splitlines()]
    told = [(entry["act"], entry["stage"]) for entry in entries if entry.get("site") == "alder"]
    for stage in ("check", "deliver", "promote"):
        assert told.index(("do", stage)) < told.index(("done", stage))


def test_a_journal_that_cannot_be_written_stops_the_site(run: Run) -> None:
    """What cannot be noted is not begun."""
    run.folder.joinpath("1").mkdir()
    run.folder.joinpath("1/journal.jsonl").symlink_to("/dev/full")
    result = run.ship()
    assert record(result).code is ExitCode.CANTWRITE
    assert run.sites["alder"].links == {}


# ---- helpers of the tests -------------------------------------------------------------------------------------------


def fail_second(site: FakeSite, stage: str, error: BaseException) -> None:
    """The second call of a kind of script fails."""
    calls: list[int] = []

    def fault(_: dict[str, str]) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise error

    site.faults[stage] = fault


def until(is_so: Callable[[], bool], timeout_s: float = 10.0) -> None:
    for _ in range(int(timeout_s * 200)):
        if is_so():
            return
        time.sleep(0.005)
    raise AssertionError("it never came to be")


def interrupted_by(run: Run, moment: Callable[[], bool]) -> ShipResult:
    """Ship, and let the waiting thread be interrupted as a signal handler would, once the moment has come."""

    def handler(_number: int, _frame: object) -> None:
        raise INTERRUPT

    before = signal.signal(signal.SIGINT, handler)

    def watch() -> None:
        until(moment)
        time.sleep(0.05)
        _thread.interrupt_main()

    threading.Thread(target=watch, daemon=True).start()
    try:
        return run.ship()
    finally:
        signal.signal(signal.SIGINT, before)


def detached(run: Run) -> ShipResult:
    run.detach = True
    return run.ship()


def test_jobs_may_be_left_to_themselves(run: Run) -> None:
    """Submitted and no more: exit code 0, the jobs' numbers in the report, nothing promoted, no tag moved."""
    result = detached(run)
    assert_valid(result)
    assert outcomes(result) == {"alder": "submitted", "birch": "submitted"}
    assert record(result).code is ExitCode.OK
    assert run.sites["alder"].acts() == ["deliver", "submit"]
    assert run.registry.moves == []
    stage = record(result).stage("smoke")
    assert stage is not None
    assert stage.evidence["jobs"][0]["id"] == "100"  # type: ignore[index]
    assert result.sites[0].left_behind == ("job 100 of app goes on; the next run takes it up",)


def test_a_test_that_cannot_run_at_a_site_is_skipped_there(run: Run) -> None:
    """In the report with its reason; it neither hinders nor makes a promotion."""
    run.tests["app"] = (SmokeTest("cpu"), SmokeTest("gpu", "gpu"))
    result = run.ship()
    assert outcomes(result) == {"alder": "ok", "birch": "ok"}
    stage = record(result).stage("smoke")
    assert stage is not None
    found = {job["test"]: (job["status"], job["reason"]) for job in stage.evidence["jobs"]}  # type: ignore[attr-defined]
    assert found["cpu"] == ("passed", "")
    assert found["gpu"] == ("skipped", "the site's profile has no GPU (profile.gpu.mode)")
    assert outcomes(run.ship()) == {"alder": "unchanged", "birch": "unchanged"}


@pytest.mark.parametrize("tests", [(SmokeTest("gpu", "gpu"),), (SmokeTest("x", sites=("elsewhere",)),)])
def test_a_site_where_no_test_runs_promotes_nothing(run: Run, tests: tuple[SmokeTest, ...]) -> None:
    """Skipped is not passed."""
    run.tests["app"] = tests
    result = run.ship()
    assert outcomes(result) == {"alder": "inconclusive", "birch": "inconclusive"}
    assert record(result).code is ExitCode.SMOKE_UNKNOWN


def test_a_test_that_has_become_slower_is_a_note(run: Run) -> None:
    """With the figures of both releases; at the site where it is so, and nothing else changes."""
    run.ship()
    newer = Digest.of(b"the next release")
    run.images = [replace(image(), digest=newer, reference=image().reference.with_digest(newer))]
    run.sites["alder"].took = 60
    result = run.ship()
    assert outcomes(result) == {"alder": "ok", "birch": "ok"}
    line = "app: WARN smoke test 'cpu' took 60.0 s, 2.0 s in the last release, 30.0 times as much"
    assert [line in site.notes for site in result.sites] == [True, False]
