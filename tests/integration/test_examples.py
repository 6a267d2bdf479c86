"""The examples of the repository do on the lab what their READMEs say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.chain import REPOSITORY, SITES, Chain, make_chain
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


def use_example(chain: Chain, name: str) -> None:
    """Put the example's files in the place of the project's; site configs with a store of its own stay."""
    for item in (REPOSITORY / "examples" / name).iterdir():
        if item.is_symlink():
            continue
        if item.is_dir():
            shutil.copytree(item, chain.folder / item.name)
        else:
            shutil.copy2(item, chain.folder / item.name)


def test_hpc_app_is_promoted_on_both_sites_with_a_right_result(chain: Chain) -> None:
    """Two images × two sites: all promoted, and on every compute node the solver converged with second order."""
    use_example(chain, "hpc-app")
    report = chain.ship()
    assert report["exit"]["code"] == 0, report["errors"]
    assert [target["name"] for target in report["targets"]] == ["hpc-app-serial", "hpc-app-openmp"]
    threads = set()
    for site in report["sites"]:
        assert [image["outcome"] for image in site["images"]] == ["ok", "ok"]
        for image in site["images"]:
            smoke = next(stage for stage in image["stages"] if stage["name"] == "smoke")
            solver = next(job for job in smoke["evidence"]["jobs"] if job["test"] == "solver")
            assert abs(float(solver["figures"]["order"]) - 2.0) < 0.05
            threads.add((image["target"], int(solver["figures"]["threads"]) > 1))
    assert threads == {("hpc-app-serial", False), ("hpc-app-openmp", True)}
    for site_name in SITES:
        load = f"module use {chain.root}/modules; module load hpc-app-openmp; hpc-app 31"
        assert '"n": 31' in chain.lab.ssh(site_name, f"bash -lc '{load}'").stdout


def test_broken_glibc_is_stopped_with_file_version_and_remedy(chain: Chain) -> None:
    """The check names the file, the version it needs, the version it gets, where it came from, and what to do."""
    use_example(chain, "broken-glibc")
    done = chain.run("ship")
    assert done.returncode == 30
    for words in ("/usr/local/bin/greet", "GLIBC_2.38", "2.31", "COPY", "help:", "alder, birch"):
        assert words in done.stdout
    for site in SITES:
        assert chain.files(site) == []
