"""Lint reports for people, programs and code hosts; ignore comments; going online."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from hpcbake.bakefile import BakeRequest
from hpcbake.bakefile.lint import LintReport, lint
from hpcbake.bakefile.lint.bases import find_base
from hpcbake.bakefile.lint.ignores import find_ignores
from hpcbake.bakefile.lint.report import render_text, report_as_json, report_as_sarif
from hpcbake.bakefile.lint.rules.secret_in_image import looks_secret
from hpcbake.bakefile.lint.rules.unreadable_mode import is_closed
from hpcbake.bakefile.resolve import plan_of, read_request
from hpcbake.bakefile.source import SourceFile
from hpcbake.model.reference import ImageReference, parse_image_reference


class Catalogue:
    """A registry with one image; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_digest(self, reference: ImageReference) -> str | None:
        self.asked.append(str(reference))
        return "sha256:" + "a" * 64 if reference.repository.endswith("/ubuntu") else None


def report(folder: Path, bake: str, dockerfile: str, catalogue: Catalogue | None = None) -> LintReport:
    (folder / "docker-bake.hcl").write_text(bake)
    (folder / "Dockerfile").write_text(dockerfile)
    request = BakeRequest()
    read = read_request(request, folder=folder, environment={})
    plan = plan_of(read, request, folder=folder, environment={})
    return lint(read, plan, folder=folder, today=date(2026, 6, 1), catalogue=catalogue)


BAKE = 'target "default" {\n  tags = ["registry.example.org/a:1"]\n}\n'


def test_a_finding_is_shown_with_its_line_and_a_way_out(tmp_path: Path) -> None:
    """Place, severity, sentence, code and name; the source; the help."""
    text = render_text(report(tmp_path, BAKE, "FROM rockylinux:8.10\n"))
    assert text.startswith("Dockerfile:1:1: error: rockylinux:8.10 was never published")
    assert "[HB-LINT-001 base-missing]" in text
    assert "help: use docker.io/rockylinux/rockylinux:8.10" in text
    assert text.endswith("1 error in 1 target (docker-bake.hcl, Dockerfile)")


def test_the_json_document_says_what_it_is(tmp_path: Path) -> None:
    """Kind and version first; every finding with its place."""
    document = report_as_json(report(tmp_path, BAKE, "FROM rockylinux:8.10\n"))
    assert (document["kind"], document["version"]) == ("LintReport", 1)
    findings = document["findings"]
    assert isinstance(findings, list)
    assert [f["code"] for f in findings if isinstance(f, dict)] == ["HB-LINT-001"]


def test_sarif_has_rules_results_and_suppressions(tmp_path: Path) -> None:
    """What was ignored is there, marked as suppressed in the source."""
    dockerfile = "# hpcbake: ignore=base-floating the mirror keeps it\nFROM ubuntu:24.04\nWORKDIR /root\n"
    document = json.loads(json.dumps(report_as_sarif(report(tmp_path, BAKE, dockerfile))))
    run = document["runs"][0]
    assert document["version"] == "2.1.0"
    assert [(r["ruleId"], r["level"], "suppressions" in r) for r in run["results"]] == [
        ("HB-LINT-013", "warning", False),
        ("HB-LINT-004", "note", True),
    ]
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 1, "endLine": 3}
    assert {r["ruleId"] for r in run["results"]} <= {r["id"] for r in run["tool"]["driver"]["rules"]}


def test_a_comment_above_a_target_is_about_all_of_it(tmp_path: Path) -> None:
    """In a bake file one comment may accept what a whole target does."""
    bake = (
        "# hpcbake: ignore=platform-not-amd64,unused-argument for the Grace nodes only\n"
        'target "default" {\n  tags = ["r.example.org/a:1"]\n  platforms = ["linux/arm64"]\n  args = { X = "1" }\n}\n'
    )
    found = report(tmp_path, bake, "FROM ubuntu@sha256:" + "0" * 64 + "\n")
    assert found.findings == ()
    assert sorted(f.name for f in found.silenced) == ["platform-not-amd64", "unused-argument"]


def test_a_comment_at_the_end_of_a_line_is_about_that_line(tmp_path: Path) -> None:
    """`//` comments count as well."""
    bake = 'target "default" {\n  args = { X = "1" } // hpcbake: ignore=unused-argument a later stage will\n}\n'
    assert not report(tmp_path, bake, "FROM ubuntu@sha256:" + "0" * 64 + "\n").findings


def test_warnings_of_the_bake_file_are_findings_too(tmp_path: Path) -> None:
    """A misspelt attribute shows up in the same list, under its own code."""
    found = report(tmp_path, 'target "default" {\n  tagz = ["x"]\n}\n', "FROM ubuntu@sha256:" + "0" * 64 + "\n")
    assert [(f.code, f.line) for f in found.findings] == [("HB-BAKE-061", 2)]


def test_online_each_base_is_asked_for_once(tmp_path: Path) -> None:
    """A missing image is an error, an existing one is offered with its digest."""
    catalogue = Catalogue()
    found = report(
        tmp_path,
        BAKE,
        "FROM ubuntu:24.04 AS a\nFROM ubuntu:24.04 AS b\nFROM nope:1\nCOPY --from=a / /a\nCOPY --from=b / /b\n",
        catalogue,
    )
    assert sorted(catalogue.asked) == ["docker.io/library/nope:1", "docker.io/library/ubuntu:24.04"]
    assert [(f.name, f.line) for f in found.findings if f.name == "base-missing"] == [("base-missing", 3)]
    assert any("FROM ubuntu:24.04@sha256:aaaa" in f.help for f in found.findings)


def test_inherited_attributes_are_blamed_where_they_stand(tmp_path: Path) -> None:
    """And once, however many targets inherit them."""
    bake = (
        'group "default" {\n  targets = ["a", "b"]\n}\ntarget "p" {\n  args = { X = "1" }\n}\n'
        'target "a" {\n  inherits = ["p"]\n}\ntarget "b" {\n  inherits = ["p"]\n}\n'
    )
    found = report(tmp_path, bake, "FROM ubuntu@sha256:" + "0" * 64 + "\n")
    assert [(f.name, f.line) for f in found.findings] == [("unused-argument", 5)]


@pytest.mark.parametrize(
    ("comment", "rules", "reason"),
    [
        ("# hpcbake: ignore=A why not", ("A",), "why not"),
        ("#hpcbake:ignore=A,b-c", ("A", "b-c"), ""),
        ("x = 1 // hpcbake: ignore = A because", ("A",), "because"),
    ],
)
def test_ignore_comments_are_read_in_every_spelling(comment: str, rules: tuple[str, ...], reason: str) -> None:
    """Blanks do not matter."""
    (ignore,) = find_ignores(SourceFile("f", f"{comment}\ny\n"))
    assert (ignore.rules, ignore.reason) == (rules, reason)


@pytest.mark.parametrize(
    ("image", "distribution", "glibc"),
    [
        ("rockylinux/rockylinux:8.10-minimal", "Rocky Linux 8", "2.28"),
        ("registry.access.redhat.com/ubi9/ubi-minimal:9.4", "UBI 9", "2.34"),
        ("nvidia/cuda:12.4.1-devel-ubuntu22.04", "Ubuntu 22.04", "2.35"),
        ("nvidia/cuda:12.4.1-devel-rockylinux8", "Rocky Linux 8", "2.28"),
        ("python:3.11-slim-bullseye", "Debian 11", "2.31"),
        ("python:3.13", "the current Debian", "2.36"),
        ("debian:12-slim", "Debian 12", "2.36"),
        ("ubuntu:jammy", "Ubuntu 22.04", "2.35"),
        ("quay.io/pypa/manylinux_2_28_x86_64", "manylinux 2.28", "2.28"),
        ("node:20-alpine", "Alpine", None),
        ("spack/rockylinux8:latest", "Rocky Linux 8", "2.28"),
        ("opensuse/leap:15.6", "openSUSE Leap 15.6", "2.38"),
    ],
)
def test_base_images_are_known_by_name(image: str, distribution: str, glibc: str | None) -> None:
    """Distribution and C library, without fetching anything."""
    base = find_base(parse_image_reference(image))
    assert base is not None
    assert (base.distribution, str(base.glibc) if base.glibc else None) == (distribution, glibc)


def test_an_unknown_base_is_unknown() -> None:
    """No guess is better than a wrong one."""
    assert find_base(parse_image_reference("registry.example.org/team/tool:1")) is None


@pytest.mark.parametrize("name", ["TOKEN", "GITHUB_TOKEN", "db_password", "AWS_SECRET_ACCESS_KEY", "API_KEY", "MY-PAT"])
def test_names_that_hold_secrets(name: str) -> None:
    """In any case, at either end."""
    assert looks_secret(name, "x")


@pytest.mark.parametrize(
    "name", ["TOKENIZER", "PATH", "PWD", "KEYBOARD", "TOKEN_FILE", "SECRET_NAME", "COMPAT", "MONKEY"]
)
def test_names_that_do_not(name: str) -> None:
    """A false alarm costs trust."""
    assert not looks_secret(name, "x")


@pytest.mark.parametrize(
    ("mode", "closed"),
    [("700", True), ("0640", True), ("755", False), ("644", False), ("o-r", True), ("go=", True), ("u+x", False),
     ("a=rx", False), ("=r", False), ("g-w,o-rwx", True), ("0711", True)],
)  # fmt: skip
def test_modes_that_close_a_file_to_others(mode: str, closed: bool) -> None:
    """Octal and symbolic modes."""
    assert is_closed(mode) is closed
