"""`hpcbake check` as users call it: verdicts, exit codes, documents, and what it does with damage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import CliRunner, Result

from hpcbake.check.schema import check_schema
from hpcbake.cli.check import command
from hpcbake.cli.diff import command as diff_command
from hpcbake.errors import HpcbakeError, IntegrityError, RegistryError, UncheckedError, UsageError
from tests.elf_builder import AARCH64, program
from tests.fake_registry import FakeRegistry, running_registry
from tests.image_builder import Files, MemoryImage, make_layer
from tests.unit.adapters.test_localimage import write_layout
from tests.unit.check.bases import debian, el8

BROKEN: Files = {"usr/local/bin/app": program(needs={"libc.so.6": ("GLIBC_2.34",)})}
SITE = "name: {name}\nlogin: {{host: {name}}}\nstore: {{root: /scratch}}\nprofile:\n  {profile}\n"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_registry() as running:
        yield running


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, or takes a bake file of this repository for its own."""
    monkeypatch.setenv("HPCBAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HPCBAKE_SITE_CONFIGS", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def make_sites(folder: Path, **profiles: str) -> Path:
    configs = folder / "sites"
    configs.mkdir(exist_ok=True)
    for name, profile in profiles.items():
        (configs / f"{name}.yaml").write_text(SITE.format(name=name, profile=profile))
    return configs


def make_image(folder: Path, *layers: Files, name: str = "image", **options: object) -> Path:
    history = [f"COPY layer {number}" for number in range(len(layers))]
    image = MemoryImage([make_layer(layer) for layer in layers], history=history, **options)  # type: ignore[arg-type]
    return write_layout(folder / name, ("1", image))


def push(registry: FakeRegistry, *layers: Files) -> str:
    """The image in the registry; its reference."""
    image = MemoryImage([make_layer(layer) for layer in layers])
    registry.blobs.update(image.blobs)
    registry.add_manifest(json.loads(image.top.content))
    return str(registry.ref())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)


def failure(result: Result) -> HpcbakeError:
    assert isinstance(result.exception, HpcbakeError), result.exception
    return result.exception


def test_an_image_that_fits(tmp_path: Path) -> None:
    """Exit 0, and the verdict per site."""
    result = run(make_image(tmp_path, el8()), "--site-configs", make_sites(tmp_path, alder='glibc: "2.28"'))
    assert (result.return_value, result.exception) == (0, None)
    assert "alder" in result.stdout and "PASS" in result.stdout


def test_an_image_that_does_not(tmp_path: Path) -> None:
    """Exit 30; file, version, instruction and fix are all on the screen."""
    sites = make_sites(tmp_path, alder='glibc: "2.28"', birch='glibc: "2.34"')
    result = run(make_image(tmp_path, el8(), BROKEN), "--site-configs", sites)
    assert result.return_value == 30
    for text in ("FAIL", "/usr/local/bin/app", "GLIBC_2.34", "layer 2: COPY layer 1", "fix", "alder, birch"):
        assert text in result.stdout, text
    assert result.stdout.count("glibc-too-new") == 1, "one cause, told once for both sites"


def test_sites_that_differ(tmp_path: Path) -> None:
    """Fits one site and not the other: exit 3."""
    layer: Files = {"usr/bin/app": program(isa_needed=0b100)}
    sites = make_sites(tmp_path, alder="cpu_level: 3", birch="cpu_level: 2")
    result = run(make_image(tmp_path, el8(), layer), "--site-configs", sites)
    assert result.return_value == 3
    assert (
        run(make_image(tmp_path, el8(), layer, name="b"), "--site-configs", sites, "--site", "birch").return_value == 30
    )
    assert (
        run(make_image(tmp_path, el8(), layer, name="c"), "--site-configs", sites, "--site", "alder").return_value == 0
    )


def test_unknown_is_31(tmp_path: Path) -> None:
    """A damaged program on PATH leaves the verdict open."""
    image = make_image(tmp_path, el8(), {"usr/bin/app": program()[:90]})
    assert run(image, "--profile", "rocky-8.10").return_value == 31


def test_shipped_profile_instead_of_a_site(tmp_path: Path) -> None:
    """No site configs are needed."""
    assert run(make_image(tmp_path, el8()), "--profile", "rocky-8.10").return_value == 0


def test_json(tmp_path: Path) -> None:
    """One document with kind and version, the exit code, and everything that the screen shows."""
    result = run(make_image(tmp_path, el8(), BROKEN), "--profile", "rocky-8.10", "--json")
    document = json.loads(result.stdout)
    assert (document["kind"], document["version"], document["exit"]) == ("hpcbake.check", 1, 30)
    [site] = document["sites"]
    assert (site["name"], site["verdict"]) == ("rocky-8.10", "FAIL")
    [finding] = [finding for finding in site["findings"] if finding["severity"] == "error"]
    assert finding["rule"] == "glibc-too-new" and finding["evidence"]["glibc"]["needed"] == "GLIBC_2.34"
    assert document["image"]["digest"].startswith("sha256:")
    assert [layer["instruction"] for layer in document["image"]["layers"]] == ["COPY layer 0", "COPY layer 1"]
    jsonschema.validate(document, check_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "sites": [{**site, "verdict": "FINE"}]}, check_schema())


def test_files_below_one_another(tmp_path: Path) -> None:
    """Six files are all shown, of forty the first five and how many more there are; the ways to mend it one by one."""
    for count, last in ((6, "/usr/local/bin/app5"), (40, "… and 35 more (all with --json)")):
        files: Files = {f"usr/local/bin/app{n}": program(needs={"libc.so.6": ("GLIBC_2.34",)}) for n in range(count)}
        lines = run(make_image(tmp_path, el8(), files, name=f"i{count}"), "--profile", "rocky-8.10").stdout.splitlines()
        assert f"         {last}" in lines
        ways = [line for line in lines if line.startswith("         or ")]
        assert len(ways) == 2 and "manylinux_2_28" in ways[0] and "newer base" in ways[1]


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    """A file name with escape sequences and broken bytes neither reaches the terminal nor breaks the JSON."""
    name = "usr/bin/\x1b[31mapp\udcff\n"
    image = make_image(tmp_path, el8(), {name: program(needs={"libc.so.6": ("GLIBC_2.34",)})})
    shown = run(image, "--profile", "rocky-8.10")
    assert "\x1b" not in shown.stdout and "\\x1b[31mapp\\udcff\\n" in shown.stdout
    assert json.loads(run(image, "--profile", "rocky-8.10", "--json").stdout)["exit"] == 30


def test_sarif_and_junit(tmp_path: Path) -> None:
    """Files for code hosts and CI systems, beside the usual output."""
    sarif, junit = tmp_path / "out.sarif", tmp_path / "out.xml"
    result = run(make_image(tmp_path, el8(), BROKEN), "--profile", "rocky-8.10", "--sarif", sarif, "--junit", junit)
    assert result.return_value == 30
    document = json.loads(sarif.read_text())
    assert document["version"] == "2.1.0"
    [entry] = [entry for entry in document["runs"][0]["results"] if entry["level"] == "error"]
    assert entry["ruleId"] == "glibc-too-new"
    assert entry["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "usr/local/bin/app"
    rules = {rule["id"] for rule in document["runs"][0]["tool"]["driver"]["rules"]}
    assert {entry["ruleId"] for entry in document["runs"][0]["results"]} <= rules
    suite = ElementTree.parse(junit).getroot()[0]
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert (suite.get("failures"), failed) == ("1", ["glibc-too-new"])


def test_explain(tmp_path: Path) -> None:
    """How one file is resolved: what it is, what it loads from where, which versions are met."""
    image = make_image(tmp_path, el8(), BROKEN)
    result = run(image, "--profile", "rocky-8.10", "--explain", "usr/local/bin/app")
    assert result.return_value == 0
    for text in (
        "layer 2: COPY layer 1",
        "a program for x86_64",
        "/lib64/ld-linux-x86-64.so.2",
        "libc.so.6 => /lib64/libc.so.6  (default folder, for app)",
        "app needs GLIBC_2.34 NOT OFFERED BY /lib64/libc.so.6",
    ):
        assert text in result.stdout, text
    library = run(image, "--profile", "rocky-8.10", "--explain", "/usr/lib64/libm.so.6").stdout
    assert "libm.so.6 needs GLIBC_PRIVATE, GLIBC_2.2.5 from /lib64/libc.so.6" in library, "a line for each library"
    with pytest.raises(UsageError, match="/none"):
        raise failure(run(image, "--profile", "rocky-8.10", "--explain", "/none"))


def test_tree(tmp_path: Path) -> None:
    """The programs and what they load."""
    app = program(needed=("libnone.so.1", "libc.so.6"))
    result = run(make_image(tmp_path, el8(), {"usr/bin/app": app}), "--profile", "rocky-8.10", "--tree")
    assert "/usr/bin/app\n  libc.so.6 => /lib64/libc.so.6\n  libnone.so.1 => NOT FOUND" in result.stdout


def test_image_in_a_registry(registry: FakeRegistry) -> None:
    """A reference is read from its registry; the second time from the cache."""
    reference = push(registry, el8(), BROKEN)
    assert run(reference, "--profile", "rocky-8.10").return_value == 30
    registry.requests.clear()
    assert run(f"docker://{reference}", "--profile", "rocky-8.10").return_value == 30
    assert sum("/blobs/" in request for request in registry.requests) == 1, "only the config"
    registry.requests.clear()
    assert run(reference, "--profile", "rocky-8.10", "--no-cache").return_value == 30
    assert sum("/blobs/" in request for request in registry.requests) == 3


def test_target_of_the_bake_file(registry: FakeRegistry) -> None:
    """A bare word is a target where there is a bake file."""
    reference = push(registry, el8())
    Path("docker-bake.hcl").write_text(f'target "app" {{\n  tags = ["{reference}"]\n}}\ntarget "bare" {{}}\n')
    assert run("app", "--profile", "rocky-8.10").return_value == 0
    assert "without tags" in failure(run("bare", "--profile", "rocky-8.10")).message


def test_damaged_blob_is_an_integrity_error(registry: FakeRegistry) -> None:
    """A flipped layer is never compatible: exit 43."""
    reference = push(registry, el8())
    digest = max(registry.blobs, key=lambda key: len(registry.blobs[key]))
    content = bytearray(registry.blobs[digest])
    content[len(content) // 2] ^= 1
    registry.blobs[digest] = bytes(content)
    assert isinstance(failure(run(reference, "--profile", "rocky-8.10")), IntegrityError)


def test_registry_without_the_image(registry: FakeRegistry) -> None:
    """Not found is the registry's answer: exit 21."""
    error = failure(run(registry.ref("team/none"), "--profile", "rocky-8.10"))
    assert isinstance(error, RegistryError) and error.kind == "registry.not-found"


@pytest.mark.stand
def test_registry_that_does_not_answer() -> None:
    """Nobody there: unchecked, exit 31, never compatible."""
    with running_registry() as gone:
        reference = gone.ref()
    error = failure(run(reference, "--profile", "rocky-8.10"))
    assert isinstance(error, UncheckedError) and error.retryable


def test_arm64_only_index(tmp_path: Path) -> None:
    """An index without linux/amd64 does not fit: exit 30, not a crash."""
    layer: Files = {"bin/sh": program(machine=AARCH64)}
    image = make_image(tmp_path, layer, architecture="arm64", index=[("linux", "arm64")])
    result = run(image, "--profile", "rocky-8.10")
    assert result.return_value == 30 and "linux/arm64" in result.stdout


def test_information_is_shown_on_request(tmp_path: Path) -> None:
    """Mere information is counted, and shown with --all."""
    image = make_image(tmp_path, debian(), {"usr/bin/tool": "#!/usr/bin/perl\n"})
    assert "--all shows" in run(image, "--profile", "rocky-8.10").stdout
    assert "broken-entry" in run(image, "--profile", "rocky-8.10", "--all").stdout


def test_diff(tmp_path: Path) -> None:
    """What the new image needs and offers that the old one did not, as text and as JSON."""
    old = make_image(tmp_path, el8(), name="old")
    new = make_image(
        tmp_path, debian("2.36"), {"usr/bin/tool": program(needs={"libc.so.6": ("GLIBC_2.34",)})}, name="new"
    )
    shown = CliRunner().invoke(diff_command, [str(old), str(new)], standalone_mode=False)
    for text in (
        "- glibc 2.28",
        "+ glibc 2.36",
        "+ GLIBC_2.34 (by /usr/bin/tool)",
        "+ /usr/bin/tool",
        "- libstdc++.so.6",
    ):
        assert text in shown.stdout, text
    same = CliRunner().invoke(diff_command, [str(old), str(old)], standalone_mode=False)
    assert (same.return_value, same.stdout.startswith("no difference")) == (0, True)
    document = json.loads(
        CliRunner().invoke(diff_command, [str(old), str(new), "--json"], standalone_mode=False).stdout
    )
    assert (document["kind"], document["version"]) == ("hpcbake.diff", 1)
    assert {entry["aspect"] for entry in document["differences"]} >= {"platform", "programs on PATH"}


def test_policy_of_the_project(tmp_path: Path) -> None:
    """A known finding that the project accepts does not fail the check."""
    image = make_image(tmp_path, el8(), BROKEN)
    Path("hpcbake-check.yaml").write_text("accept:\n  - {rule: glibc-too-new, until: 2999-01-01, reason: known}\n")
    result = run(image, "--profile", "rocky-8.10", "--all")
    assert result.return_value == 0 and "accepted until 2999-01-01: known" in result.stdout
    sarif = tmp_path / "accepted.sarif"
    brief = run(image, "--profile", "rocky-8.10", "--sarif", sarif)
    assert "accepted: /usr/local/bin/app needs GLIBC_2.34" in brief.stdout, "accepted is not out of sight"
    results = json.loads(sarif.read_text())["runs"][0]["results"]
    assert [entry["ruleId"] for entry in results if entry.get("suppressions")] == ["glibc-too-new"]
    other = tmp_path / "other.yaml"
    other.write_text("accept: []\n")
    assert run(image, "--profile", "rocky-8.10", "--policy", other).return_value == 30
