"""A site that lets nobody in: hpcbake runs on its own login node and follows a tag of the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.integration.chain import Chain, make_chain, stages, write_site
from tests.integration.conftest import RunningLab
from tests.integration.python_there import put_python

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


class PullingSite:
    """A project on the build host that ships to birch, and a folder on alder that pulls the same images."""

    def __init__(self, chain: Chain, program: str, place: str) -> None:
        self.chain = chain
        self.place = place
        self._program = program
        write_site(chain, "birch", runtime={"way": "oras"})
        write_site(chain, "alder")
        config = yaml.safe_load((chain.folder / "site-configs" / "alder.yaml").read_text())
        config["login"] = {"host": "alder", "transport": "local"}
        self.write("site-configs/alder.yaml", yaml.safe_dump(config))
        self.write("hpcbake.yaml", f"nightly:\n  images: [{chain.image}={self.tag}]\n")

    @property
    def tag(self) -> str:
        return f"{self.chain.lab.registry}/{self.chain.namespace}/{self.chain.image}:1.0"

    def write(self, name: str, text: str) -> None:
        path = f"{self.place}/project/{name}"
        self.chain.lab.ssh("alder", f"mkdir -p $(dirname {path}) && cat > {path}", input=text)

    def pull(self, *words: str) -> dict[str, Any]:
        """`hpcbake nightly --pull` as scron would run it."""
        environment = f"env -i HPCBAKE_STATE={self.place}/state XDG_CACHE_HOME={self.place}/cache"
        line = f"cd {self.place}/project && {environment} {self._program} nightly --pull --json {' '.join(words)}"
        done = self.chain.lab.ssh("alder", line, timeout_s=300)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert isinstance(report, dict)
        assert report["exit"]["code"] == done.returncode, done.stderr
        return report


@pytest.fixture(scope="module")
def site(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PullingSite]:
    chain = make_chain(lab, tmp_path_factory.mktemp("pull"))
    place = f"/scratch/pull-{chain.namespace}"
    # Made by the user, so that the user may write there what root unpacks beside it.
    lab.ssh("alder", f"mkdir -p {place}/project")
    program = put_python(lab, "alder", f"{place}/python")
    if not program:
        pytest.skip("this machine's Python does not start on alder")
    yield PullingSite(chain, program, place)
    chain.wipe()
    lab.exec("alder", ["rm", "-rf", place])


def test_a_site_pulls_what_the_tag_names_and_tests_it(site: PullingSite) -> None:
    """The SIF that the build host made is fetched, tested in the site's own Slurm and made current; then nothing."""
    chain = site.chain
    shipped = chain.ship("--site", "birch")
    assert shipped["exit"]["code"] == 0, shipped["stderr"]
    digest = shipped["targets"][0]["digest"].removeprefix("sha256:")

    report = site.pull()
    assert report["exit"]["code"] == 0, report["errors"]
    assert digest in chain.readlink("alder")
    assert stages(report, "alder")["deliver"]["evidence"]["way"] == "oras"
    there = {
        name: chain.lab.ssh(name, f"sha256sum {chain.root}/sif/*/{digest}.sif").stdout.split()[0]
        for name in ("alder", "birch")
    }
    assert there["alder"] == there["birch"], "the very bytes that the build host made"
    assert len(chain.jobs("alder")) == 1

    before = chain.listing("alder")
    assert site.pull()["exit"]["code"] == 0
    assert chain.listing("alder") == before


def test_a_moved_tag_is_followed(site: PullingSite) -> None:
    """The tag names another digest: the site has it after its next night, and tags stay where they are."""
    chain = site.chain
    assert chain.ship("--site", "birch")["exit"]["code"] == 0
    assert site.pull()["exit"]["code"] == 0
    old = chain.readlink("alder")
    chain.environment["CONTENT"] = "moved"
    try:
        moved = chain.ship("--site", "birch")
    finally:
        del chain.environment["CONTENT"]
    assert moved["exit"]["code"] == 0, moved["stderr"]
    report = site.pull()
    assert report["exit"]["code"] == 0, report["errors"]
    assert chain.readlink("alder") != old
    assert moved["targets"][0]["digest"].removeprefix("sha256:") in chain.readlink("alder")


def test_without_a_sif_beside_the_image_the_site_converts(site: PullingSite) -> None:
    """An image that nobody has converted: the login node does it itself."""
    chain = site.chain
    chain.environment["CONTENT"] = "unconverted"
    try:
        chain.run("build", check=True)
    finally:
        del chain.environment["CONTENT"]
    staged = site.tag.replace(":1.0", f":hpcbake-staging-{chain.image}")
    report = site.pull(f"{chain.image}={staged}")
    assert report["exit"]["code"] == 0, report["errors"]
    assert stages(report, "alder")["deliver"]["evidence"]["way"] == "docker"


def test_one_image_that_is_gone_costs_no_other_its_night(site: PullingSite) -> None:
    """Two images, one of which the registry does not have: the other is there, and the exit code says partly."""
    chain = site.chain
    assert chain.ship("--site", "birch")["exit"]["code"] == 0
    report = site.pull(f"{chain.image}={site.tag}", f"gone={chain.lab.registry}/{chain.namespace}/gone:1.0")
    assert report["exit"]["code"] == 3
    assert [error["target"] for error in report["errors"]] == ["gone"]
    assert report["sites"][0]["outcome"] in ("ok", "unchanged")
