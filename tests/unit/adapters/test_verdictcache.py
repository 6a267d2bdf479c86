"""Verdicts that outlive a run: what comes back is what was judged, by this code, for this profile, or nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import hpcbake
from hpcbake.adapters.verdictcache import VerdictCache, judging_code
from hpcbake.check.judge import judge
from hpcbake.model.reference import Digest
from hpcbake.model.site import Injection, Login, Partition, Profile, Site, Store
from hpcbake.model.verdict import CompatReport, Finding, Severity, Verdict
from hpcbake.model.version import parse_version
from tests.elf_builder import glibc, program
from tests.image_builder import Files, scanned

DIGEST = Digest("sha256:" + "ab" * 32)
PROFILE = Profile(
    glibc=parse_version("2.28"),
    partitions=(Partition("cpu", 3),),
    inject=(Injection("mpi", ("GLIBC_2.28",)),),
    offers=("GLIBC_2.28",),
)
BROKEN: Files = {**glibc("2.28"), "usr/bin/app": program(needs={"libc.so.6": ("GLIBC_2.34",)}), "caf\udce9": program()}


def judged(profile: Profile = PROFILE) -> CompatReport:
    report = judge(scanned(BROKEN), Site("alder", Login("x"), Store("/x"), profile=profile))
    assert report.verdict is Verdict.FAIL
    return report


def test_a_real_report_comes_back_equal(tmp_path: Path) -> None:
    """With every finding, its evidence and its paths, also where a name is no text."""
    odd = Finding("rule", Severity.ERROR, "caf\udce9", "message", paths=("caf\udce9",), evidence={"a": ["b", 1, None]})
    report = replace(judged(), findings=(*judged().findings, odd))
    VerdictCache(tmp_path, "code").store(DIGEST, PROFILE, report)
    assert VerdictCache(tmp_path, "code").load(DIGEST, PROFILE) == report


@pytest.mark.parametrize(
    ("digest", "profile", "code"),
    [
        (Digest("sha256:" + "cd" * 32), PROFILE, "code"),
        (DIGEST, replace(PROFILE, glibc=parse_version("2.34")), "code"),
        (DIGEST, replace(PROFILE, partitions=(Partition("cpu", 2),)), "code"),
        (DIGEST, PROFILE, "other code"),
    ],
)
def test_another_question_has_no_answer_yet(tmp_path: Path, digest: Digest, profile: Profile, code: str) -> None:
    """Another image, another profile, other rules."""
    VerdictCache(tmp_path, "code").store(DIGEST, PROFILE, judged())
    assert VerdictCache(tmp_path, code).load(digest, profile) is None


def test_what_could_not_be_told_is_not_kept(tmp_path: Path) -> None:
    """It is looked at again: what was in the way may have gone."""
    unknown = CompatReport("alder", str(DIGEST), (Finding("unread", Severity.UNKNOWN, "/x", "unread"),))
    cache = VerdictCache(tmp_path, "code")
    cache.store(DIGEST, PROFILE, unknown)
    assert cache.load(DIGEST, PROFILE) is None


def test_what_would_not_come_back_the_same_is_not_kept(tmp_path: Path) -> None:
    """Evidence that JSON cannot carry."""
    finding = Finding("rule", Severity.ERROR, "/x", "message", evidence={"version": parse_version("2.34")})
    cache = VerdictCache(tmp_path, "code")
    cache.store(DIGEST, PROFILE, CompatReport("alder", str(DIGEST), (finding,)))
    assert cache.load(DIGEST, PROFILE) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"findings": 3}'])
def test_damage_costs_a_judgement_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    """A file that is not what was written is removed."""
    cache = VerdictCache(tmp_path, "code")
    cache.store(DIGEST, PROFILE, judged())
    [path] = tmp_path.iterdir()
    path.write_bytes(content)
    assert cache.load(DIGEST, PROFILE) is None
    assert not path.exists()
    cache.store(DIGEST, PROFILE, judged())
    assert cache.load(DIGEST, PROFILE) == judged()


def test_any_change_of_a_rule_makes_other_code(tmp_path: Path) -> None:
    """A rule that is new, gone, or says something else."""
    package = tmp_path / "hpcbake"
    shutil.copytree(Path(hpcbake.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "lab"))
    seen = {judging_code(package)}
    assert seen == {judging_code(Path(hpcbake.__file__).parent)}
    for rule in ("check/rules/new.py", "elf/reader.py", "image/tree.py", "model/site.py", "check/judge.py"):
        with (package / rule).open("a") as file:
            file.write("# one more line\n")
        seen.add(judging_code(package))
    (package / "check/rules/new.py").unlink()
    seen.add(judging_code(package))
    assert len(seen) == 7
