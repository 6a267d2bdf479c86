"""The exercises of the guides on real parts: caches that are used, children of one base, and the way into a SIF."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.chain import SITES, Chain, make_chain, outcomes, write_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture
def project(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    chain = make_chain(lab, tmp_path)
    yield chain
    chain.wipe()


def write(project: Chain, bake: str, **dockerfiles: str) -> None:
    """Replace the project's bake file and Dockerfiles; NAMESPACE is this test's own."""
    text = textwrap.dedent(bake).replace("NAMESPACE", f"{project.lab.registry}/{project.namespace}")
    (project.folder / "docker-bake.hcl").write_text(text)
    for name, content in dockerfiles.items():
        (project.folder / name.replace("_", ".")).write_text(textwrap.dedent(content))


CACHED = """\
    variable "CI" { default = "" }
    variable "BASE" {}
    target "default" {
      tags       = ["NAMESPACE/cached:1"]
      args       = { BASE = BASE }
      cache-from = ["type=registry,ref=NAMESPACE/cached:cache"]
      cache-to   = CI != "" ? ["type=registry,ref=NAMESPACE/cached:cache,mode=max"] : []
    }
"""


def manifest(project: Chain, name: str, tag: str) -> int:
    """What the registry says to a question for a tag: 200 or 404."""
    url = f"http://{project.lab.registry}/v2/{project.namespace}/{name}/manifests/{tag}"
    accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", accept, url]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def test_a_cache_is_written_in_ci_only_and_then_used(project: Chain) -> None:
    """Without CI there is no cache in the registry; with it there is, and a build that lost its own takes it."""
    write(project, CACHED, Dockerfile="ARG BASE\nFROM ${BASE}\nRUN date +%s%N > /stamp\n")
    project.run("build", check=True)
    assert manifest(project, "cached", "cache") == 404
    project.environment["CI"] = "true"
    first = json.loads(project.run("build", "--json", check=True).stdout)
    assert manifest(project, "cached", "cache") == 200
    again = json.loads(project.run("build", "--json", check=True).stdout)
    assert digests(first) == digests(again)


def digests(document: object) -> set[str]:
    return set(re.findall(r"sha256:[0-9a-f]{64}", json.dumps(document)))


CHILDREN = """\
    variable "BASE_MINIMAL" {}
    target "toolchain" {
      dockerfile = "Dockerfile.toolchain"
      args       = { BASE = BASE_MINIMAL }
    }
    target "app" {
      name       = "app-${tool}"
      matrix     = { tool = ["mesh", "solve", "plot"] }
      dockerfile = "Dockerfile.app"
      contexts   = { toolchain = "target:toolchain" }
      args       = { TOOL = tool }
      tags       = ["NAMESPACE/${tool}:1"]
    }
    group "default" { targets = ["app"] }
"""


def test_three_children_of_one_base_go_to_both_sites(project: Chain) -> None:
    """Base plus children through `contexts`: the base is built once, the children are what is shipped."""
    write(
        project,
        CHILDREN,
        Dockerfile_toolchain="ARG BASE\nFROM ${BASE}\nRUN date +%s%N > /opt/toolchain-stamp\n",
        Dockerfile_app="FROM toolchain\nARG TOOL\nRUN echo ${TOOL} > /opt/tool\n",
    )
    for site in SITES:
        write_site(project, site, runtime={"way": "oras"})
    report = project.ship()
    assert outcomes(report) == {"alder": "ok", "birch": "ok"}, report["stderr"]
    assert sorted(target["name"] for target in report["targets"]) == ["app-mesh", "app-plot", "app-solve"]
    look = f"apptainer exec {project.root}/$i/current cat /opt/tool /opt/toolchain-stamp"
    for site in SITES:
        loop = f"module load apptainer 2>/dev/null; for i in app-mesh app-plot app-solve; do {look}; done"
        said = project.lab.ssh(site, f"bash -lc '{loop}'")
        tools, stamps = said.stdout.split()[::2], said.stdout.split()[1::2]
        assert tools == ["mesh", "plot", "solve"], said
        assert len(set(stamps)) == 1


def test_the_round_trip_into_a_sif(project: Chain) -> None:
    """What the guides do by hand, push, `apptainer pull docker://`, `apptainer run`, gives what ship delivered."""
    report = project.ship("--site", "alder")
    digest = report["targets"][0]["digest"]
    by_hand = f"{project.root}-by-hand.sif"
    uri = f"docker://{project.lab.registry}/{project.namespace}/{project.image}@{digest}"
    project.lab.ssh("alder", f"apptainer pull --no-https {by_hand} {uri}")
    theirs = project.lab.ssh("alder", f"echo cat /etc/content | apptainer run {by_hand}; rm -f {by_hand}")
    ours = project.lab.ssh("alder", f"apptainer exec {project.root}/{project.image}/current cat /etc/content")
    assert theirs.stdout == "first\n", theirs.stderr
    assert ours.stdout == "first\n", ours.stderr
