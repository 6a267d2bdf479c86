"""`hpcbake validate`: every file, every mistake, each at its place; and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.check import policy
from hpcbake.cli.validate import command
from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.artefacts import BuiltImage, Deployment, SmokeTest
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Login, Site, Store
from hpcbake.smoke.job import VALUES, render_job
from hpcbake.validation import Validation, files, render_validation, validate

BAKE = 'group "default" {\n  targets = ["app"]\n}\ntarget "app" {\n  tags = ["r.example.org/app:1"]\n}\n'
SITE = "name: alder\nlogin: {host: login.example.org}\nstore: {root: /scratch/hpcbake}\n"
#: Every file that validate reads, right.
PROJECT = {
    "docker-bake.hcl": BAKE,
    "hpcbake.yaml": "smoke:\n  - name: cpu\n    targets: [app]\n    sites: [alder]\n",
    "hpcbake-check.yaml": "severities:\n  - {rule: large-image, severity: info, reason: known}\n",
    "site-configs/alder.yaml": SITE,
    "slurm/own.sbatch.j2": '{% include "_head.j2" %}\n{{ sif | sh }}\n',
}


def write(folder: Path, **changes: str | bytes | None) -> None:
    """The right project with some files changed; a file's name is its stem here, None leaves it away."""
    for name, text in PROJECT.items():
        found = changes.get(Path(name).name.split(".")[0].replace("-", "_"), text)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if found is not None:
            path.write_bytes(found if isinstance(found, bytes) else found.encode())
        elif path.exists():
            path.unlink()


def look(folder: Path, *paths: Path, environment: dict[str, str] | None = None) -> Validation:
    return validate(
        paths,
        folder=folder,
        site_configs=Path("site-configs"),
        environment=environment or {},
        local_platform="linux/amd64",
    )


def places(found: Validation, folder: Path) -> list[tuple[str, int, int]]:
    return [(str(Path(p.path).relative_to(folder)), p.line, p.column) for p in found.problems if p.is_error]


def call(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(command, list(words), standalone_mode=False)


def test_a_right_project_has_nothing_wrong(tmp_path: Path) -> None:
    """Every kind of file is looked at."""
    write(tmp_path)
    found = look(tmp_path)
    assert found.problems == ()
    assert {file.kind.value for file in found.files} == {"bake", "project", "policy", "site", "template"}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"docker_bake": BAKE + 'target "b" {\n  inherits = ["c"]\n}\n'}, ("docker-bake.hcl", 8, 14)),
        ({"docker_bake": BAKE.replace('["app"]', '["app", "ap"]')}, ("docker-bake.hcl", 1, 1)),
        ({"docker_bake": b"\n  \xff"}, ("docker-bake.hcl", 2, 3)),
        ({"hpcbake": "smoke:\n  - name: cpu\n    targets: [ap]\n"}, ("hpcbake.yaml", 3, 15)),
        ({"hpcbake": "smoke:\n  - name: cpu\n    sites: ['adler']\n"}, ("hpcbake.yaml", 3, 14)),
        ({"hpcbake": "smoke:\n  - name: cpu\n    template: onw\n"}, ("hpcbake.yaml", 3, 15)),
        ({"hpcbake": "smoke:\n  - name: cpu\n  - name: cpu\n"}, ("hpcbake.yaml", 3, 11)),
        ({"hpcbake": "smoke:\n  - name: x\n    template: command\n"}, ("hpcbake.yaml", 2, 11)),
        ({"hpcbake": "deploy:\n  - {targets: [aap], sites: [alder]}\n"}, ("hpcbake.yaml", 2, 16)),
        ({"hpcbake": "bake: {targets: [defalt]}\n"}, ("hpcbake.yaml", 1, 18)),
        ({"hpcbake": "convert: {compression: zst}\n"}, ("hpcbake.yaml", 1, 24)),
        ({"hpcbake": ""}, ("hpcbake.yaml", 1, 1)),
        ({"hpcbake": "a: &a 1\nb: *a\n"}, ("hpcbake.yaml", 2, 4)),
        ({"hpcbake": "a:\n  b: \x07\n"}, ("hpcbake.yaml", 2, 6)),
        ({"hpcbake": "[" * 200}, ("hpcbake.yaml", 1, 1)),
        ({"hpcbake": b"# " + b"x" * (1 << 20)}, ("hpcbake.yaml", 1, 1)),
        ({"hpcbake_check": PROJECT["hpcbake-check.yaml"].replace("large", "larg")}, ("hpcbake-check.yaml", 2, 12)),
        ({"alder": SITE.replace("alder", "adler", 1)}, ("site-configs/alder.yaml", 1, 7)),
        ({"alder": SITE.replace("login:", "logn:")}, ("site-configs/alder.yaml", 2, 1)),
        ({"alder": SITE.replace("host:", "ask: true, host:")}, ("site-configs/alder.yaml", 2, 14)),
        (
            {"alder": SITE.replace("host:", "ssh_config: '${NOWHERE}/x', host:")},
            ("site-configs/alder.yaml", 2, 21),
        ),
        ({"alder": b"name: \xe9\n"}, ("site-configs/alder.yaml", 1, 7)),
        ({"own": "{% if %}"}, ("slurm/own.sbatch.j2", 1, 1)),
        ({"own": "a\n  {{ sfi }}\n"}, ("slurm/own.sbatch.j2", 2, 6)),
        ({"own": "a\n{{ sif | quote }}\n"}, ("slurm/own.sbatch.j2", 2, 1)),
        ({"own": "{% include 'gone.j2' %}\n"}, ("slurm/own.sbatch.j2", 1, 13)),
    ],
)
def test_a_mistake_is_told_at_its_place(
    tmp_path: Path, changes: dict[str, str | bytes | None], place: tuple[str, int, int]
) -> None:
    """File, line and column; in the text a caret stands below the source line."""
    write(tmp_path, **changes)
    found = look(tmp_path)
    assert place in places(found, tmp_path)
    assert f"{tmp_path / place[0]}:{place[1]}:{place[2]}: " in render_validation(found)


def test_the_policy_is_the_file_that_the_check_reads() -> None:
    """Its name stands twice, because the check takes long to load."""
    assert files.POLICY_FILE == policy.POLICY_FILE


def test_mistakes_of_all_files_are_told_in_one_run(tmp_path: Path) -> None:
    """Five files, five mistakes, in the order of the files."""
    write(
        tmp_path,
        docker_bake=BAKE + "x = \n",
        hpcbake="smok: []\n",
        hpcbake_check="acept: []\n",
        alder="name: alder\n",
        own="{{",
    )
    assert len({path for path, _, _ in places(look(tmp_path), tmp_path)}) == 5


def test_contradictions_between_right_values_are_told_together(tmp_path: Path) -> None:
    """A reader stops at the first of them; validate does not."""
    tests = "smoke:\n  - name: cpu\n  - name: cpu\n  - name: x\n    template: command\n  - name: python\n"
    days = 'accept:\n  - {rule: large-imge, until: "2027-01-01", reason: a}\n'
    days += '  - rule: large-image\n    until: "2027-13-01"\n    reason: b\n'
    write(tmp_path, hpcbake=tests, hpcbake_check=days)
    assert places(look(tmp_path), tmp_path) == [
        ("hpcbake.yaml", 3, 11),
        ("hpcbake.yaml", 4, 11),
        ("hpcbake.yaml", 6, 11),
        ("hpcbake-check.yaml", 2, 12),
        ("hpcbake-check.yaml", 4, 12),
    ]


def test_every_target_is_resolved_and_not_only_the_default(tmp_path: Path) -> None:
    """A mistake in a target that nobody ships today is a mistake, each of several is told once."""
    more = "".join(f'target "{name}" {{\n  inherits = ["{name}-gone"]\n}}\n' for name in ("one", "two"))
    write(tmp_path, docker_bake=BAKE + more)
    assert places(look(tmp_path), tmp_path) == [("docker-bake.hcl", 8, 14), ("docker-bake.hcl", 11, 14)]


def test_a_pattern_that_fits_nothing_is_a_warning(tmp_path: Path) -> None:
    """Patterns are written for what may come; a name is a promise."""
    write(tmp_path, hpcbake='smoke:\n  - name: cpu\n    targets: ["gpu-*", "a*"]\n')
    found = look(tmp_path)
    assert [(p.line, p.is_error) for p in found.problems] == [(3, False)]
    assert not found.has_errors


def test_names_are_not_doubted_where_nothing_is_known(tmp_path: Path) -> None:
    """Without a bake file that reads, or without site configs, a name may well be right."""
    write(tmp_path, docker_bake="x = \n", alder=None)
    assert {path for path, _, _ in places(look(tmp_path), tmp_path)} == {"docker-bake.hcl"}


def test_a_named_file_is_compared_with_its_project_and_told_alone(tmp_path: Path) -> None:
    """The mistakes of the others are not told then."""
    write(tmp_path, hpcbake="smoke:\n  - name: cpu\n    targets: [ap]\n", alder="name: alder\n")
    assert places(look(tmp_path, tmp_path / "hpcbake.yaml"), tmp_path) == [("hpcbake.yaml", 3, 15)]
    assert places(look(tmp_path, tmp_path / "docker-bake.hcl"), tmp_path) == []


def test_a_named_folder_is_a_project_of_its_own(tmp_path: Path) -> None:
    """Several can be named."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, hpcbake="smok: []\n")
    found = places(look(tmp_path, tmp_path / "one", tmp_path / "two"), tmp_path)
    assert found == [("one/hpcbake.yaml", 1, 1), ("two/hpcbake.yaml", 1, 1)]


def test_the_project_file_may_name_bake_files_and_the_folder_of_sites(tmp_path: Path) -> None:
    """They are the ones that a run would read."""
    write(
        tmp_path, docker_bake="x = \n", hpcbake="bake: {files: [other.hcl]}\nsite_configs: clusters\n", alder="x: 1\n"
    )
    (tmp_path / "other.hcl").write_text(BAKE)
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/alder.yaml").write_text(SITE)
    found = look(tmp_path)
    assert found.problems == ()
    names = {str(Path(file.path).relative_to(tmp_path)) for file in found.files}
    assert {"other.hcl", "clusters/alder.yaml"} <= names
    assert "docker-bake.hcl" not in names


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """An empty folder, a path that is not there, a file that nobody reads."""
    with pytest.raises(ConfigError, match="no config file"):
        look(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        look(tmp_path, tmp_path / "gone.yaml")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(UsageError, match="no file of this kind"):
        look(tmp_path, tmp_path / "x.txt")


def test_an_old_copy_of_a_schema_is_a_warning(tmp_path: Path) -> None:
    """Editors would go by it; the help is the command that renews it."""
    write(tmp_path)
    copy = tmp_path / "site-configs/site.schema.json"
    copy.write_text("{}\n")
    (problem,) = look(tmp_path).problems
    assert not problem.is_error
    assert problem.help == f"hpcbake validate --schema site >{copy}"


def test_the_user_s_own_settings_are_looked_at_beside_the_project(tmp_path: Path) -> None:
    """Those of the machine, too; one of comments alone says nothing, and keys of a project do not belong there."""
    write(tmp_path)
    files = [tmp_path / "mine.yaml", tmp_path / "machine.yaml", tmp_path / "not-there.yaml"]
    files[0].write_text("# nothing yet\n")
    files[1].write_text("ship: {parallel_sites: 0}\nsmoke: []\n")
    found = validate(
        [],
        folder=tmp_path,
        site_configs=Path("site-configs"),
        environment={},
        local_platform="linux/amd64",
        settings=files,
    )
    assert places(found, tmp_path) == [("machine.yaml", 1, 24), ("machine.yaml", 2, 1)]


def test_site_configs_that_end_otherwise_are_told(tmp_path: Path) -> None:
    """`.yml` would be passed over in silence."""
    write(tmp_path)
    (tmp_path / "site-configs/birch.yml").write_text(SITE)
    assert places(look(tmp_path), tmp_path) == [("site-configs/birch.yml", 1, 1)]


def test_the_values_of_templates_are_those_that_jobs_are_rendered_with(tmp_path: Path) -> None:
    """A template that asks for every one of them renders."""
    text = "".join("{{ " + name + " }}\n" for name in VALUES)
    (tmp_path / "all.sbatch.j2").write_text(text)
    digest = Digest("sha256:" + "0" * 64)
    image = BuiltImage("app", "1.0", parse_image_reference("registry.example.org/app").with_digest(digest), digest, 1)
    deployment = Deployment("alder", image, "/store/a.sif", "0" * 64, 1, changed=True)
    site = Site("alder", Login("login"), Store("/store"))
    test = SmokeTest("all", template="all")
    job = render_job(test, deployment, site, comment="", commands=SpythonCommands(), template_folders=[tmp_path])
    assert job.script.count("\n") >= len(VALUES)


# ---- the verb -------------------------------------------------------------------------------------------------------


def test_the_exit_code_is_10_for_errors_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are told and do not stop a CI job."""
    write(tmp_path, hpcbake='smoke:\n  - name: cpu\n    targets: ["x*"]\n')
    assert call(tmp_path, monkeypatch).return_value == 0
    write(tmp_path, hpcbake="smok: []\n")
    done = call(tmp_path, monkeypatch)
    assert done.return_value == 10
    assert "hpcbake.yaml:1:1: unknown key `smok`" in done.stdout
    assert "did you mean `smoke`?" in done.stdout


def test_the_json_fits_its_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same facts, for programs."""
    write(tmp_path, hpcbake="smok: []\n")
    document = json.loads(call(tmp_path, monkeypatch, "--json").stdout)
    jsonschema.validate(document, json.loads(call(tmp_path, monkeypatch, "--schema", "validation").stdout))
    assert document["exit"] == 10
    assert [(p["path"], p["line"], p["column"]) for p in document["problems"]] == [("hpcbake.yaml", 1, 1)]


def test_an_empty_folder_is_a_problem_in_json_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked for JSON gets it."""
    done = call(tmp_path, monkeypatch, "--json")
    document = json.loads(done.stdout)
    assert (done.return_value, document["files"], len(document["problems"])) == (10, [], 1)


@pytest.mark.parametrize("name", ["project", "site", "policy"])
def test_schemas_are_schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each is one by JSON Schema's own rules, and refuses an unknown key."""
    schema = json.loads(call(tmp_path, monkeypatch, "--schema", name).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"no-such-key": 1}, schema)


# ---- whatever lies there --------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *(b"smoke:", b"\n", b"  ", b"- ", b"name: ", b"*a", b"&a ", b"{", b"}", b"[", b"]", b"!!int ", b"? ", b"|\n"),
        *(b"\xff", b"\x00", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"'", b'"', b"${X}", b"{{ ", b" }}", b"{% if ", b" %}"),
        *(b"#", b"\t", b'target "a" ', b"= ", b"login:", b"store:", b"<<: ", b"%YAML 9\n", b"---\n", b"...\n"),
        *(b"1", b"null", b"\r"),
    ]
)
_BYTES = st.one_of(st.binary(max_size=60), st.lists(_PIECES, max_size=25).map(b"".join))


@pytest.mark.parametrize("name", sorted(PROJECT))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_BYTES)
def test_arbitrary_bytes_are_no_traceback(tmp_path: Path, name: str, content: bytes) -> None:
    """Whatever a file holds, the answer is a report: all fine, or mistakes with a place in a file."""
    write(tmp_path)
    (tmp_path / name).write_bytes(content)
    found = look(tmp_path)
    for problem in found.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.path.startswith(str(tmp_path))
    assert render_validation(found)
