"""What a probe saw, as values: what was not told stays unknown."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.model.version import parse_version
from hpcbake.sites.facts import SiteFacts, level_of_features, level_of_flags, parse_facts, parse_partitions
from hpcbake.sites.scripts import parse_answer_lines


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def said(word: str, text: str) -> str:
    return f"{word} {b64(text)}"


def facts_of(*lines: str) -> SiteFacts:
    return parse_facts(parse_answer_lines("\n".join(lines)))


V2 = "fpu sse2 cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.parametrize(
    ("flags", "level"), [("fpu sse2", 1), (V2, 2), (V3, 3), (V4, 4), (V4.replace(" abm", ""), 2), ("avx512f avx2", 1)]
)
def test_a_level_needs_every_flag_of_it_and_those_below(flags: str, level: int) -> None:
    """A processor that lacks one instruction of a level does not have it."""
    assert level_of_flags(flags.split()) == level


@pytest.mark.parametrize(
    ("features", "level"),
    [
        (("haswell",), 3),
        (("skylake_gold", "ib"), 4),
        (("zen3", "rome"), 3),
        (("Zen4",), 4),
        (("westmere",), 2),
        (("ib", "gpu", "bigmem"), None),
        ((), None),
        (("x86-64-v3",), 3),
    ],
)
def test_features_tell_a_level_or_nothing(features: tuple[str, ...], level: int | None) -> None:
    """Names of processors and instruction sets; any other word tells nothing."""
    assert level_of_features(features) == level


PARTITIONS = (
    "PartitionName=debug AllowAccounts=ALL Default=YES MaxTime=00:30:00 Nodes=n[1-4] State=UP TRES=cpu=4,mem=1500M\n"
    "PartitionName=gpu AllowAccounts=proj,other Default=NO MaxTime=UNLIMITED Nodes=g1 State=UP\n"
    "PartitionName=old Default=NO MaxTime=1-00:00:00 Nodes=o1 State=DOWN\n"
)
NODES = (
    "debug|2|haswell,ib|(null)|4|1500|n[1-2]\ndebug|2|skylake|(null)|4|1500|n[3-4]\ngpu|1|ib|gpu:a100:4(S:0,1)|8|9|g1\n"
)


def test_partitions_have_the_level_of_their_oldest_node() -> None:
    """And none where one kind of node does not say what it is."""
    debug, gpu, old = parse_partitions(PARTITIONS, NODES)
    assert (debug.name, debug.is_default, debug.is_up, debug.max_time, debug.cpu_level) == (
        *("debug", True, True, "00:30:00"),
        3,
    )
    assert debug.features == ("haswell", "ib", "skylake")
    assert (gpu.accounts, gpu.gres, gpu.cpu_level) == ("proj,other", ("gpu:a100:4(S:0,1)",), None)
    assert (old.is_up, old.cpu_level, old.features) == (False, None, ())


def test_a_whole_answer() -> None:
    """Each word in its place."""
    facts = facts_of(
        said("os_release", 'NAME=x\nPRETTY_NAME="Rocky Linux 8.10 (Green Obsidian)"\n'),
        "arch x86_64",
        "kernel 4.18.0-553.el8_10.x86_64",
        "glibc ldd (GNU libc) 2.28",
        f"cpu_flags {V3}",
        "nvidia_kernel NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024",
        said("nvidia_smi", "NVIDIA A100-SXM4-40GB, 550.54.15\n"),
        "cuda 12.4",
        "runtime apptainer|/usr/bin/apptainer|prelude",
        "runtime_version apptainer version 1.4.5-3.el8",
        "setuid yes",
        said("slurm_config", "AccountingStorageType   = accounting_storage/slurmdbd\nClusterName = c\n"),
        said("associations", "proj||normal|\nother|gpu|x|\nproj||y|\n"),
        "place SCRATCH|lustre|999999999|5|yes||/scratch/a b",
        "place HOME|nfs4|10|5|yes|ro|/home/me",
        "registry docker.io https 401",
        "registry inner:5000 none no answer to curl",
        "library 12|/lib64/libc.so.6|/lib64/libc-2.28.so",
        "modules /etc/profile.d/lmod.sh|Modules based on Lua: Version 8.7.60 2025",
    )
    assert (facts.os, facts.glibc, facts.cpu_level) == ("Rocky Linux 8.10 (Green Obsidian)", parse_version("2.28"), 3)
    assert (facts.driver, facts.cuda, facts.gpus) == (
        parse_version("550.54.15"),
        parse_version("12.4"),
        ("NVIDIA A100-SXM4-40GB",),
    )
    assert (facts.runtime.version, facts.runtime.is_setuid) == (parse_version("1.4.5"), True)
    assert (facts.slurm.has_accounting, facts.slurm.accounts) == (True, ("proj", "other"))
    assert [place.is_writable for place in facts.places] == [True, False]
    assert [registry.scheme for registry in facts.registries] == ["https", ""]
    assert facts.libraries[0].real_path == "/lib64/libc-2.28.so"
    assert facts.modules == "Lmod 8.7.60"


def test_musl_is_no_glibc() -> None:
    """Its version number means something else."""
    assert facts_of("glibc musl libc (x86_64) Version 1.2.3").glibc is None


def test_a_driver_without_its_tool() -> None:
    """The kernel module tells the driver where nvidia-smi is not installed, open or not."""
    line = "nvidia_kernel NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build"
    assert facts_of(line).driver == parse_version("575.57.08")


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    """A login node may print anything after any word."""
    words = (
        "os_release glibc cpu_flags nvidia_smi nvidia_kernel runtime runtime_version place registry library partitions"
    )
    for word in words.split():
        facts_of(f"{word} {text}", f"{word} {b64(text)}")
