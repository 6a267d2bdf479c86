"""Which way a delivery takes, and why: from what the site says, what its login node tells, what the build host can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.deliver.bring import Means, bring
from hpcbake.deliver.deliver import DeliverRequest, render_deliver_script, sbatch_argv
from hpcbake.deliver.ways import LoginFacts, choose_way
from hpcbake.errors import BugError, ConfigError, HpcbakeError, IntegrityError, PrereqError, RegistryTempError
from hpcbake.model.artefacts import BuiltImage, ConvertedSif
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Login, Runtime, Site, Slurm, Store
from tests.fake_site import FakeSite, said, script_values, sif_sha256

DIGEST = Digest("sha256:" + "ab" * 32)
REFERENCE = parse_image_reference(f"reg.example.org/team/app@{DIGEST}")
IMAGE = BuiltImage("app", "1.0", REFERENCE, DIGEST, 10_000_000)
SIF = ConvertedSif(Path("/kept.sif"), sif_sha256(DIGEST.hex), 3_000_000, REFERENCE.with_digest(Digest.of(b"m")))
NO_APPTAINER = "no apptainer on this machine"


def site(**runtime: object) -> Site:
    return Site("alder", Login("alder"), Store("/store"), runtime=Runtime(**runtime))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "cannot", "way", "why"),
    [
        (LoginFacts(True, 8_000_000), "", "oras", "converted once on this machine, pulled as it is"),
        (LoginFacts(None, None), "", "oras", "converted once on this machine, pulled as it is"),
        (LoginFacts(False, 8_000_000), "", "stream", "no route from alder to reg.example.org"),
        (LoginFacts(True, 8_000_000), NO_APPTAINER, "docker", f"{NO_APPTAINER}: the login node converts"),
        (LoginFacts(True, None), NO_APPTAINER, "docker", f"{NO_APPTAINER}: the login node converts"),
        (LoginFacts(True, 524_288), NO_APPTAINER, "job", f"{NO_APPTAINER}, and the login node allows 512 MB"),
    ],
)
def test_auto(facts: LoginFacts, cannot: str, way: str, why: str) -> None:
    """The cheapest way that works there, and its reason in one line."""
    chosen = choose_way("auto", site(), REFERENCE, facts, cannot_convert=cannot)
    assert (chosen.name, chosen.why) == (way, why)


@pytest.mark.parametrize("way", ["oras", "docker", "job", "stream"])
def test_a_chosen_way_is_taken(way: str) -> None:
    """What somebody chose is not argued with, and has no other way behind it."""
    chosen = choose_way(way, site(), REFERENCE, LoginFacts(False, 1), cannot_convert=NO_APPTAINER)
    assert (chosen.name, chosen.fallback) == (way, "")


def test_a_job_needs_a_scheduler() -> None:
    """Where smoke jobs run without Slurm, `auto` never takes `job`, and who chose it is told."""
    local = replace(site(), slurm=Slurm(scheduler="local"))
    small = LoginFacts(True, 1)
    assert choose_way("auto", local, REFERENCE, small, cannot_convert=NO_APPTAINER).name == "docker"
    with pytest.raises(ConfigError, match="needs Slurm"):
        choose_way("job", local, REFERENCE, small, cannot_convert="")


class Converter:
    """A build host: whether it can convert, what goes wrong, and what it was asked for."""

    def __init__(self, cannot: str = "", failure: HpcbakeError | None = None) -> None:
        self.cannot = cannot
        self.failure = failure
        self.asked: list[bool] = []

    def why_not(self) -> str:
        return self.cannot

    def convert(self, image: BuiltImage, *, publish: bool) -> ConvertedSif:
        self.asked.append(publish)
        if self.failure is not None:
            raise self.failure
        return SIF


def take(node: FakeSite, converter: Converter, *, wanted: str = "auto") -> tuple[str, list[str]]:
    """Deliver; returns the way that is recorded and what was said."""
    told: list[str] = []
    means = Means(node, SpythonCommands(), converter, lambda _: "feed" * 16, told.append, lambda _: None)
    deployment = bring(
        DeliverRequest(IMAGE, run="R", created="", tool_version="0"),
        site(),
        means,
        wanted=wanted,
    )
    return deployment.why, told


def test_a_broken_apptainer_here_leaves_it_to_the_site() -> None:
    """The build host's runtime fails for a reason of its own: `auto` lets the site convert, and says why."""
    node, converter = FakeSite(), Converter(failure=PrereqError("it cannot unpack here"))
    why, told = take(node, converter)
    assert node.ways == ["docker"]
    assert why == "it cannot unpack here: the login node converts"
    assert told[0].startswith("by oras") and told[-1].startswith("by docker")


def test_a_broken_apptainer_here_is_told_when_its_way_was_chosen() -> None:
    """Who chose `oras` gets the reason, not another way."""
    with pytest.raises(PrereqError, match="cannot unpack"):
        take(FakeSite(), Converter(failure=PrereqError("it cannot unpack here")), wanted="oras")


def test_a_registry_that_cannot_be_pulled_from_after_all() -> None:
    """`auto` sends the SIF when the site's pull finds no route; a damaged image is no reason to."""

    def refuse(values: dict[str, str]) -> object:
        if values["way"] != "oras":
            return None
        return said("log " + "Y29ubmVjdGlvbiByZWZ1c2Vk", "pull_exit 255", "error pull ended with 255", code=9)

    node, converter = FakeSite(faults={"deliver": refuse}), Converter()  # type: ignore[dict-item]
    why, _ = take(node, converter)
    assert (node.ways, converter.asked) == (["stream"], [True, False])
    assert why == "alder could not pull it from the registry"
    with pytest.raises(IntegrityError):
        take(FakeSite(), Converter(failure=IntegrityError("damaged")))
    with pytest.raises(RegistryTempError):
        take(FakeSite(faults={"deliver": refuse}), Converter(), wanted="oras")  # type: ignore[dict-item]


def test_each_way_has_what_it_needs() -> None:
    """By oras the artefact's digest and the SIF's sum; by docker the image's digest and content; by stream no pull."""

    def values(way: str, *, sif: bool) -> dict[str, str]:
        request = DeliverRequest(
            IMAGE, "R", "", "0", way=way, converted=SIF if sif else None, expected_content="" if sif else "feed"
        )
        return script_values(render_deliver_script(request, site(), SpythonCommands()))

    by_oras, by_docker, by_stream = values("oras", sif=True), values("docker", sif=False), values("stream", sif=True)
    assert f"oras://reg.example.org/team/app@{Digest.of(b'm')}" in by_oras["pull_command"]
    assert f"docker://reg.example.org/team/app@{DIGEST}" in by_docker["pull_command"]
    assert by_stream["pull_command"] == ""
    assert by_oras["expected_sha256"] == by_stream["expected_sha256"] == SIF.sha256
    assert (by_docker["expected_sha256"], by_docker["expected_content"]) == ("", "feed")
    assert int(by_oras["need_kb"]) < int(by_docker["need_kb"])
    with pytest.raises(BugError):
        values("oras", sif=False)


def test_a_pull_job_asks_for_what_the_site_says() -> None:
    """Account and partition of the site, the pull's own time, and never a requeue."""
    asks = Site(
        "alder",
        Login("alder"),
        Store("/store"),
        runtime=Runtime(pull_timeout_s=90, pull_cpus=4, pull_memory="8G"),
        slurm=Slurm(partition="debug", account="proj"),
    )
    assert sbatch_argv(asks) == [
        *("sbatch", "--parsable", "--no-requeue", "--ntasks=1", "--partition=debug", "--account=proj"),
        *("--cpus-per-task=4", "--mem=8G", "--time=2"),
    ]
