"""Drafted site configs: what was seen, honestly, and always a config that reads."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.model.site import Login, Runtime, Site, Store
from hpcbake.model.version import parse_version
from hpcbake.sites import parse_site
from hpcbake.sites.draft import render_draft, site_name
from hpcbake.sites.facts import Partition, Place, Registry, RuntimeFacts, SiteFacts, SlurmFacts
from hpcbake.sites.probe import Probed

SEEN = SiteFacts(
    os="Rocky Linux 8.10",
    arch="x86_64",
    kernel="4.18.0-553.el8",
    host="login1",
    user="me",
    glibc=parse_version("2.28"),
    cpu_model="Xeon",
    cpu_level=4,
    user_namespaces="yes",
    runtime=RuntimeFacts("apptainer", "/usr/bin/apptainer", "prelude", parse_version("1.4.5")),
    slurm=SlurmFacts(
        version="23.11.4",
        has_accounting=True,
        default_account="proj",
        accounts=("proj", "other"),
        partitions=(
            Partition("old", False, False, "1:00", "o1"),
            Partition("debug", True, True, "00:30:00", "n[1-2]", cpu_level=3),
        ),
    ),
    places=(
        Place("/home/me", "HOME", "nfs4", 9 << 20, True),
        Place("/scratch/me", "SCRATCH", "lustre", 900 << 20, True),
        Place("/tmp", "", "xfs", 2000 << 20, True),
    ),
)
THERE = Site("x", Login("login.example.org", user="me"), Store("/"))


def drafted(facts: SiteFacts, there: Site = THERE) -> tuple[Site, str]:
    text = render_draft(Probed(facts, ()), there, name="x", day="2026-01-31")
    return parse_site(text, "x.yaml", environment={}), text


def test_what_was_seen_is_declared() -> None:
    """The default partition and account, the folder with room, versions as text."""
    site, _ = drafted(SEEN)
    assert site.login == THERE.login
    assert site.store.root == "/scratch/me/hpcbake"
    assert (site.slurm.partition, site.slurm.account) == ("debug", "proj")
    assert (str(site.profile.glibc), site.profile.cpu_level, str(site.profile.kernel)) == ("2.28", 3, "4.18.0")
    assert site.runtime == Runtime()


def test_nothing_seen_is_a_config_that_says_so() -> None:
    """Not a guess anywhere."""
    site, text = drafted(SiteFacts())
    assert (site.profile.glibc, site.profile.cpu_level, site.slurm.partition) == (None, None, None)
    for remark in ("No folder was found", "Neither apptainer", "No sbatch", "compute nodes were not seen", "none seen"):
        assert remark in text


def test_the_login_node_s_processor_is_not_the_compute_nodes() -> None:
    """It is shown, and not declared."""
    slurm = dataclasses.replace(SEEN.slurm, partitions=(Partition("debug", True, True, "1:00", "n1"),))
    site, text = drafted(dataclasses.replace(SEEN, slurm=slurm))
    assert site.profile.cpu_level is None
    assert "x86-64-v4" in text


def test_partitions_that_differ_are_declared() -> None:
    """Those whose nodes say what they are; where all are alike one level is enough."""
    parts = (Partition("a", True, True, "1:00", "n1", cpu_level=3), Partition("b", False, True, "1:00", "n2"))
    alike = dataclasses.replace(SEEN, slurm=dataclasses.replace(SEEN.slurm, partitions=parts))
    assert drafted(alike)[0].profile.partitions == ()
    other = (*parts, Partition("c", False, True, "1:00", "n3", cpu_level=4))
    differ = dataclasses.replace(SEEN, slurm=dataclasses.replace(SEEN.slurm, partitions=other))
    profile = drafted(differ)[0].profile
    assert profile.cpu_level == 3
    assert [(item.name, item.cpu_level) for item in profile.partitions] == [("a", 3), ("c", 4)]


@pytest.mark.parametrize(
    ("found_by", "prelude"),
    [
        ("prelude", ""),
        ("module /etc/profile.d/lmod.sh", ". /etc/profile.d/lmod.sh\nmodule load apptainer\n"),
        ("login shell", "PATH=$PATH:/opt/bin\n"),
    ],
)
def test_the_way_to_the_runtime_that_worked_is_the_prelude(found_by: str, prelude: str) -> None:
    """A module, or a folder that only a login shell has on PATH."""
    runtime = RuntimeFacts("apptainer", "/opt/bin/apptainer", found_by, parse_version("1.4.5"))
    site, _ = drafted(dataclasses.replace(SEEN, runtime=runtime))
    assert site.runtime.prelude == prelude


def test_a_prelude_that_the_site_has_is_kept() -> None:
    """Probing a declared site again loses nothing that made it work."""
    there = dataclasses.replace(THERE, runtime=Runtime(prelude="module load apptainer\n"))
    site, _ = drafted(SEEN, there)
    assert site.runtime.prelude == "module load apptainer\n"


def test_singularity_is_named() -> None:
    """The program is what was found."""
    runtime = RuntimeFacts("singularity", "/usr/bin/singularity", "prelude", parse_version("3.8.7"))
    assert drafted(dataclasses.replace(SEEN, runtime=runtime))[0].runtime.program == "singularity"


def test_registries_by_plain_http_are_declared() -> None:
    """The others are told only."""
    registries = (Registry("inner:5000", "http", "200"), Registry("ghcr.io", "https", "401"), Registry("far", "", "no"))
    site, text = drafted(dataclasses.replace(SEEN, registries=registries))
    assert site.runtime.plain_http == ("inner:5000",)
    assert "registry far: NOT reached" in text


def test_a_driver_is_declared_and_gpus_alone_are_not() -> None:
    """A login node without GPUs says nothing of the driver of the nodes that have them."""
    site, _ = drafted(dataclasses.replace(SEEN, driver=parse_version("550.54"), cuda=parse_version("12.4")))
    assert (site.profile.gpu.mode, str(site.profile.gpu.driver), str(site.profile.gpu.cuda)) == ("nv", "550.54", "12.4")
    slurm = dataclasses.replace(SEEN.slurm, partitions=(Partition("g", True, True, "1", "g1", gres=("gpu:a100:4",)),))
    site, text = drafted(dataclasses.replace(SEEN, slurm=slurm))
    assert site.profile.gpu.mode == "none"
    assert "no driver on the login node" in text


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("alder", "alder"),
        ("login.cluster.example.org", "cluster"),
        ("login1.hpc.Big_Iron.edu", "big-iron"),
        ("10.0.0.1", "10"),
        ("login", "login"),
    ],
)
def test_a_site_is_named_after_its_host(host: str, name: str) -> None:
    """By the part that tells it from others."""
    assert site_name(host) == name


_TEXTS = st.text(min_size=0, max_size=30)


@given(_TEXTS, _TEXTS, _TEXTS, _TEXTS)
def test_whatever_a_site_says_the_draft_reads(os: str, user: str, path: str, word: str) -> None:
    """A comment cannot become a line of the config, whatever it holds."""
    facts = dataclasses.replace(
        SEEN,
        os=os,
        user=user,
        host=word,
        cpu_model=word,
        kernel=word,
        modules=word,
        places=(Place(f"/{path}", "", word, 1 << 40, True),),
        registries=(Registry("r", "", word),),
        runtime=RuntimeFacts(word, f"/{path}", "module /x" + word, settings=(f"bind path = {word}",)),
        slurm=dataclasses.replace(SEEN.slurm, answer=word, partitions=(Partition("p", True, True, word, word),)),
    )
    site, _ = drafted(facts)
    assert site.slurm.partition == "p"
