"""Every way of delivery on both sites: the SIF that arrives is the image, and says how it came."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.chain import SITES, Chain, make_chain, outcomes, stages, write_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """One image, built once; every test delivers it to a store of its own."""
    chain = make_chain(lab, tmp_path_factory.mktemp("ways"))
    chain.run("build", check=True)
    yield chain
    chain.wipe()


def at_root(chain: Chain, word: str, **runtime: Any) -> str:
    """The same project with a store of its own; returns the image's reference."""
    chain.root = f"/scratch/{chain.namespace}-{word}"
    for site in SITES:
        write_site(chain, site, runtime=runtime)
    return f"{chain.image}={chain.lab.registry}/{chain.namespace}/{chain.image}:hpcbake-staging-{chain.image}"


def deliver(chain: Chain, reference: str, *words: str) -> dict[str, Any]:
    done = chain.run("deliver", "--json", *words, reference)
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    report["stderr"] = done.stderr
    return report


def provenance(chain: Chain, site: str) -> dict[str, Any]:
    found = json.loads(chain.lab.ssh(site, f"cat {chain.root}/sif/{chain.image}/*.json").stdout)
    assert isinstance(found, dict)
    return found


def sum_there(chain: Chain, site: str) -> str:
    return chain.lab.ssh(site, f"sha256sum {chain.root}/sif/{chain.image}/*.sif").stdout.split()[0]


@pytest.mark.parametrize("way", ["oras", "docker", "job", "stream"])
def test_both_sites_receive_the_image_by(way: str, built: Chain) -> None:
    """The SIF starts and holds the image's file; its sum, its way and what vouches for its content are recorded."""
    reference = at_root(built, way, way=way)
    report = deliver(built, reference)
    assert outcomes(report) == {"alder": "ok", "birch": "ok"}, report["errors"]
    for site in SITES:
        evidence = stages(report, site)["deliver"]["evidence"]
        assert evidence["way"] == way
        assert evidence["content"] == ("build-host" if way in ("oras", "stream") else "files")
        assert sum_there(built, site) == evidence["sif_sha256"] == provenance(built, site)["sif_sha256"]
        shown = built.lab.ssh(site, f"{load(site)} apptainer exec {evidence['path']} cat /etc/content")
        assert shown.stdout == "first\n"
        assert built.lab.ssh(site, f"ls {built.root}/.hpcbake/incoming").stdout == ""
    if way in ("oras", "stream"):
        assert sum_there(built, "alder") == sum_there(built, "birch")
    again = deliver(built, reference)
    assert outcomes(again) == {"alder": "unchanged", "birch": "unchanged"}


def test_what_this_machine_sends_is_told_while_it_goes(built: Chain) -> None:
    """From nothing to all bytes of the SIF, for programs and the live table; a log has no line of it."""
    reference = at_root(built, "told", way="stream")
    report = deliver(built, reference, "--progress", "rawjson")
    assert outcomes(report) == {"alder": "ok", "birch": "ok"}, report["errors"]
    events = [json.loads(line) for line in report["stderr"].splitlines() if line.startswith("{")]
    for site in SITES:
        moved = [
            event["facts"]["bytes_moved"]
            for event in events
            if (event.get("site"), event.get("status")) == (site, "moved")
        ]
        size = next(
            event["facts"]["bytes"]
            for event in events
            if event.get("site") == site and "bytes" in event.get("facts", {})
        )
        assert (moved[0], moved[-1]) == (0, size)
        assert moved == sorted(moved)
    (log,) = (built.folder / "state/runs" / report["run"]["id"]).glob("log.jsonl")
    assert '"moved"' not in log.read_text()
    plain = deliver(built, at_root(built, "told-plainly", way="stream"), "--progress", "plain")
    assert "sending" not in plain["stderr"]


def load(site: str) -> str:
    return "" if site == "alder" else ". /etc/profile; module load apptainer;"


def test_auto_converts_once_and_says_why(built: Chain) -> None:
    """Two sites, one conversion; `apptainer pull oras://` takes it by tag, too, with the very same bytes."""
    reference = at_root(built, "auto", way="auto")
    shutil.rmtree(built.folder / "cache", ignore_errors=True)
    report = deliver(built, reference)
    assert outcomes(report) == {"alder": "ok", "birch": "ok"}, report["errors"]
    assert len(re.findall("converted and compared with the image", report["stderr"])) == 1
    assert len(re.findall("kept from an earlier conversion", report["stderr"])) == 1
    evidence = stages(report, "alder")["deliver"]["evidence"]
    assert (evidence["way"], evidence["why"]) == ("oras", "converted once on this machine, pulled as it is")
    tag = "sha256-" + report["targets"][0]["digest"].removeprefix("sha256:") + ".sif"
    folder = f"/scratch/{built.namespace}-by-hand"
    uri = f"oras://{built.lab.registry}/{built.namespace}/{built.image}:{tag}"
    built.lab.ssh("alder", f"mkdir {folder} && cd {folder} && apptainer pull --no-https x.sif {uri}")
    assert (
        built.lab.ssh("alder", f"sha256sum {folder}/x.sif; rm -rf {folder}").stdout.split()[0] == evidence["sif_sha256"]
    )


def test_auto_sends_where_there_is_no_route(built: Chain) -> None:
    """A login node that gets no answer from the registry has the SIF sent over the connection."""
    reference = at_root(built, "no-route", way="auto", prelude=without_route(built))
    report = deliver(built, reference, "--site", "alder")
    assert outcomes(report) == {"alder": "ok"}, report["errors"]
    evidence = stages(report, "alder")["deliver"]["evidence"]
    assert evidence["way"] == "stream"
    assert evidence["why"] == f"no route from alder to {built.lab.registry}"


def without_route(chain: Chain) -> str:
    """A prelude after which nothing reaches the registry: what asks it goes to a port where nobody listens."""
    return "curl() { return 7; }; wget() { return 4; }"


def test_auto_without_apptainer_here_leaves_the_conversion_to_the_site(built: Chain) -> None:
    """A laptop has none: the login node converts, and the reason names what is missing."""
    reference = at_root(built, "no-apptainer", way="auto")
    built.environment["HPCBAKE_APPTAINER"] = "/nowhere/apptainer"
    try:
        report = deliver(built, reference, "--site", "alder")
    finally:
        del built.environment["HPCBAKE_APPTAINER"]
    evidence = stages(report, "alder")["deliver"]["evidence"]
    assert evidence["way"] == "docker"
    assert evidence["why"] == "no /nowhere/apptainer on this machine: the login node converts"


def test_a_conversion_of_something_else_is_refused(built: Chain, tmp_path: Path) -> None:
    """An apptainer that exits 0 with another image's content (a poisoned cache does): 43, and nothing is sent."""
    reference = at_root(built, "poisoned", way="stream")
    shutil.rmtree(built.folder / "cache", ignore_errors=True)
    real = built.lab.env["HPCBAKE_APPTAINER"]
    liar = tmp_path / "apptainer"
    other = built.lab.env["BASE_MINIMAL"]
    # The reference is the last word: another one takes its place.
    liar.write_text(
        '#!/bin/sh\nif [ "$1" = build ]; then\n  n=$#\n  for word; do\n    shift\n    n=$((n - 1))\n'
        f'    [ "$n" -gt 0 ] && set -- "$@" "$word" || set -- "$@" "docker://{other}"\n  done\nfi\n'
        f'exec {real} "$@"\n'
    )
    liar.chmod(0o755)
    built.environment["HPCBAKE_APPTAINER"] = str(liar)
    try:
        report = deliver(built, reference, "--site", "alder")
    finally:
        del built.environment["HPCBAKE_APPTAINER"]
    assert report["exit"]["code"] == 43
    assert report["errors"][0]["kind"] == "image.content"
    assert built.files("alder") == [] or not any(name.endswith(".sif") for name in built.files("alder"))
    assert list((built.folder / "cache").rglob("*.sif")) == []


@pytest.mark.parametrize("way", ["docker", "job"])
def test_a_site_that_converts_to_something_else_is_found_out(way: str, built: Chain) -> None:
    """The site's runtime says 0 and the SIF's data is not the image's: 43, and no SIF has its name."""
    liar = f"/scratch/{built.namespace}-program-{way}"
    reference = at_root(built, f"liar-{way}", way=way, program=liar)
    script = (
        '#!/bin/bash\napptainer "$@"; code=$?\n'
        'if [ "$1" = pull ]; then\n  for word; do case $word in *.sif) sif=$word;; esac; done\n'
        "  printf tampered | dd of=$sif bs=1 seek=$(($(stat -c %s $sif) / 2)) conv=notrunc 2>/dev/null\nfi\n"
        "exit $code\n"
    )
    built.lab.ssh("alder", f"cat >{liar} <<'LIAR'\n{script}LIAR\nchmod 755 {liar}")
    try:
        report = deliver(built, reference, "--site", "alder")
    finally:
        built.lab.ssh("alder", f"rm -f {liar}")
    assert report["exit"]["code"] == 43, report["stderr"]
    assert report["errors"][0]["kind"] == "image.content"
    assert [name for name in built.files("alder") if name.endswith(".sif")] == []


def test_a_kept_sif_that_was_damaged_is_made_anew(built: Chain) -> None:
    """The build host's own disk is not trusted either: the kept SIF is summed up before every use."""
    reference = at_root(built, "kept", way="stream")
    first = deliver(built, reference, "--site", "alder")
    assert first["exit"]["code"] == 0, first["errors"]
    (kept,) = (built.folder / "cache").rglob("*.sif")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    at_root(built, "kept-again", way="stream")
    second = deliver(built, reference, "--site", "birch")
    assert second["exit"]["code"] == 0, second["errors"]
    assert "converted and compared with the image" in second["stderr"]
    assert sum_there(built, "birch") == hashlib.sha256(kept.read_bytes()).hexdigest()


def test_a_pull_job_that_does_not_end_leaves_nothing(built: Chain) -> None:
    """At the deadline the job is cancelled, its folder is cleared away, and the next run delivers."""
    reference = at_root(built, "slow", way="job")
    program = f"/scratch/{built.namespace}-program"
    slow = '#!/bin/sh\n[ "$1" != pull ] || sleep 300\nexec apptainer "$@"\n'
    built.lab.ssh("alder", f"cat >{program} <<'SLOW'\n{slow}SLOW\nchmod 755 {program}")
    write_site(built, "alder", runtime={"way": "job", "program": program, "pull_timeout": "20s"})
    report = deliver(built, reference, "--site", "alder")
    assert report["exit"]["code"] != 0
    assert report["errors"][0]["kind"] == "registry.timeout"
    assert built.lab.ssh("alder", f"ls {built.root}/.hpcbake/incoming {built.root}/.hpcbake/leases").stdout.split() == [
        f"{built.root}/.hpcbake/incoming:",
        f"{built.root}/.hpcbake/leases:",
    ]
    assert "hpcbake-pull-" not in built.lab.ssh("alder", "squeue -h -o %j").stdout
    write_site(built, "alder", runtime={"way": "job"})
    assert deliver(built, reference, "--site", "alder")["exit"]["code"] == 0
    built.lab.ssh("alder", f"rm -f {program}")


def test_signed_here_and_verified_there(built: Chain, tmp_path: Path) -> None:
    """A site that wants a signature takes the SIF that this key signed, and neither an unsigned nor another's."""
    lab, keys = built.lab, tmp_path / "keys"
    keys.mkdir(mode=0o700)
    built.environment["APPTAINER_KEYSDIR"] = str(keys)
    environment = {**lab.env, "APPTAINER_KEYSDIR": str(keys), "APPTAINER_CACHEDIR": str(tmp_path / "cache")}
    (tmp_path / "cache").mkdir()

    def key(*words: str) -> str:
        argv = [lab.env["HPCBAKE_APPTAINER"], "key", *words]
        done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True, input="0\n")
        return done.stdout

    key("newpair", "--name", "baker", "--email", "b@example.org", "--comment", "", "--password", "", "--push=false")
    (fingerprint,) = re.findall(r"Fingerprint:\s*([0-9A-F]{40})", key("list", "--secret"))
    key("export", "--armor", str(tmp_path / "public.asc"))
    there = f"/scratch/{built.namespace}-keys"
    prelude = f"export APPTAINER_KEYSDIR={there}"
    public = (tmp_path / "public.asc").read_text()
    lab.ssh("alder", f"mkdir -m 700 {there}; {prelude}; cat >{there}/p.asc; apptainer key import {there}/p.asc", public)
    try:
        reference = at_root(built, "unsigned", way="stream", signed_by=fingerprint, prelude=prelude)
        refused = deliver(built, reference, "--site", "alder")
        assert (refused["exit"]["code"], refused["errors"][0]["kind"]) == (43, "image.signature")
        (built.folder / "hpcbake.yaml").write_text(f"convert: {{sign: {fingerprint}}}\n")
        accepted = deliver(built, reference, "--site", "alder")
        assert accepted["exit"]["code"] == 0, accepted["errors"]
        reference = at_root(built, "other-key", way="oras", signed_by="A" * 40, prelude=prelude)
        other = deliver(built, reference, "--site", "alder")
        assert (other["exit"]["code"], other["errors"][0]["kind"]) == (43, "image.signature")
        assert f"not by {'A' * 40}" in other["errors"][0]["message"]
    finally:
        (built.folder / "hpcbake.yaml").unlink(missing_ok=True)
        del built.environment["APPTAINER_KEYSDIR"]
        lab.ssh("alder", f"rm -rf {there}")
