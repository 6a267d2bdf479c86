"""Site configs: every mistake of every file at once, each with its place; nothing guessed, nothing silently absent."""

from __future__ import annotations

import json
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from hpcbake.datafiles import data_folder
from hpcbake.errors import ConfigError, HpcbakeError, UsageError
from hpcbake.model.site import Site
from hpcbake.sites import find_sites, parse_site, render_site_schema
from hpcbake.sites.read import expand_variables

MINIMAL = "name: alder\nlogin: {host: alder}\nstore: {root: /scratch}\n"


def read(text: str, *, path: str = "alder.yaml", **environment: str) -> Site:
    return parse_site(text, path, environment=environment)


def shown(text: str) -> str:
    """Everything that the reader says of a config that is wrong."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    return f"{caught.value.message}\n{caught.value.evidence.get('output', '')}"


def write_sites(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_minimal_config_has_the_models_defaults() -> None:
    """Host and root are enough; all else is what the model says."""
    site = read(MINIMAL)
    assert (site.login.host, site.store.root, site.login.transport) == ("alder", "/scratch", "fabric")
    assert site.runtime.program == "apptainer"
    assert site.path == "alder.yaml"


def test_the_oldest_partition_is_the_sites_level() -> None:
    """Levels by partition give the level that everything must fit, unless something older was declared."""
    partitions = "partitions: [{name: cpu, cpu_level: 3}, {name: old, cpu_level: 2}]"
    profile = read(MINIMAL + f"profile: {{{partitions}}}\n").profile
    assert (profile.cpu_level, [p.name for p in profile.partitions]) == (2, ["cpu", "old"])
    assert read(MINIMAL + f"profile: {{cpu_level: 1, {partitions}}}\n").profile.cpu_level == 1
    assert "`cpu_level` is missing" in shown(MINIMAL + "profile: {partitions: [{name: cpu}]}\n")


def test_durations_have_units() -> None:
    """`15m` is what people write, seconds are what programs take."""
    text = (
        MINIMAL + "runtime: {pull_timeout: 1h}\nslurm: {queue_deadline: 15m, run_deadline: 90, poll_interval: 0.5s}\n"
    )
    site = read(text)
    assert (site.runtime.pull_timeout_s, site.slurm.queue_deadline_s) == (3600.0, 900.0)
    assert (site.slurm.run_deadline_s, site.slurm.poll_interval_s) == (90.0, 0.5)


@pytest.mark.parametrize("glibc", ["2.30", "'2.30'", '"2.30"'])
def test_versions_are_text(glibc: str) -> None:
    """YAML would read 2.30 as the number 2.3."""
    assert str(read(MINIMAL + f"profile: {{glibc: {glibc}}}").profile.glibc) == "2.30"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("- a\n- b\n", "expected a mapping"),
        ("a text", "expected a mapping"),
        ("name: [alder\n", "not valid YAML"),
        ("name: \x00\n", "not valid YAML"),
        (MINIMAL + "---\n" + MINIMAL, "not valid YAML"),
        (MINIMAL + "name: birch\n", "`name` is given twice"),
        (MINIMAL + "runtme: {}\n", "did you mean `runtime`?"),
        (MINIMAL + "slurm: {partition: [a]}\n", "expected a word"),
        (MINIMAL + "slurm: {partition: }\n", "expected a word"),
        (MINIMAL + "slurm: {partition: 'a b'}\n", "got 'a b'"),
        (MINIMAL + 'slurm: {partition: "a\\nb"}\n', "on one line"),
        (MINIMAL + "slurm: {partition: --wait}\n", "got '--wait'"),
        (MINIMAL + "slurm: {account: 'x; rm -rf /'}\n", "got 'x; rm -rf /'"),
        (MINIMAL + "slurm: {time_limit: 5m}\n", "a time such as 00:05:00"),
        (MINIMAL + "slurm: {queue_deadline: -5}\n", "a duration"),
        (MINIMAL + "slurm: {queue_deadline: 0}\n", "a duration"),
        (MINIMAL + "slurm: {queue_deadline: inf}\n", "a duration"),
        (MINIMAL + "slurm: {queue_deadline: 9999d}\n", "a duration"),
        (MINIMAL + "profile: {glibc: banana}\n", "a version number"),
        (MINIMAL + "profile: {glibc: true}\n", "a version number"),
        (MINIMAL + "profile: {cpu_level: 9}\n", "from 1 to 4"),
        (MINIMAL + "profile: {cpu_level: 1e0}\n", "from 1 to 4"),
        (MINIMAL + "profile: {gpu: {mode: nvcli}}\n", "did you mean"),
        (MINIMAL + "profile: {inject: [{needs: [GLIBC_2.34]}]}\n", "`name` is missing"),
        (MINIMAL + "profile: {inject: [{name: mpi, execstack: yes}]}\n", "`true` or `false`"),
        (MINIMAL + "profile: {binds: /a}\n", "expected a list"),
        (MINIMAL + "profile: {binds: [relative]}\n", "an absolute path"),
        (MINIMAL + "runtime: &a {program: x}\nslurm: *a\n", "aliases"),
        (MINIMAL + "<<: {description: x}\n", "unknown key `<<`"),
        (MINIMAL + "? [a, b]\n: c\n", "unknown key"),
        (MINIMAL.replace("host: alder", "host: -oProxyCommand=x"), "a host name"),
        (MINIMAL.replace("host: alder", "host: alder, port: 0"), "from 1 to 65535"),
        (MINIMAL.replace("host: alder", "host: alder, port: 022"), "from 1 to 65535"),
        (MINIMAL.replace("host: alder", "host: alder, port: 22:22"), "from 1 to 65535"),
        (MINIMAL.replace("{root: /scratch}", "{}"), "`root` is missing"),
        (MINIMAL.replace("{root: /scratch}", ""), "`root` is missing"),
        (MINIMAL.replace("/scratch", "scratch"), "an absolute path"),
        (MINIMAL.replace("/scratch", "/scratch/$USER"), "an absolute path of letters"),
        (MINIMAL.replace("/scratch", "'/my scratch'"), "an absolute path of letters"),
        (MINIMAL.replace("/scratch", '"/a\'b"'), "an absolute path of letters"),
        (MINIMAL.replace("/scratch", "'/a|b&c'"), "an absolute path of letters"),
        (MINIMAL.replace("/scratch}", "/scratch, mode: 644}"), "an octal mode"),
        (MINIMAL.replace("/scratch}", "/scratch, mode: 0999}"), "an octal mode"),
        (MINIMAL.replace("alder\n", "Alder\n", 1), "lower-case letters"),
    ],
)
def test_a_mistake_is_told(text: str, says: str) -> None:
    """What is wrong is refused with what was expected; nothing is reinterpreted."""
    assert says in shown(text)


def test_all_mistakes_come_at_once_with_their_places() -> None:
    """One run shows everything to mend, in the file's order, with line and column and the source line."""
    text = "name: alder\nlogin: {hots: x}\nstore:\n  root: relative\nslurm:\n  partition: 'a b'\n"
    said = shown(text)
    assert said.index("alder.yaml:2:9: unknown key `hots`") < said.index("alder.yaml:4:9:") < said.index(":6:14:")
    assert "login: {hots: x}\n            ^" in said
    assert "alder.yaml:2:8: `host` is missing" in said
    assert "4 mistakes" in said


def test_a_name_must_be_its_files() -> None:
    """A copied file that keeps the old name would answer for another site."""
    with pytest.raises(ConfigError, match="does not fit the file's name"):
        read(MINIMAL, path="configs/birch.yaml")


def test_shell_lines_are_kept_as_they_stand() -> None:
    """A prelude is code: quotes, dollars and newlines are the owner's."""
    prelude = "module load 'a b'\nexport X=$(id)"
    assert read(
        MINIMAL + f"runtime:\n  prelude: |\n    {prelude.replace(chr(10), chr(10) + '    ')}\n"
    ).runtime.prelude == (prelude + "\n")


@pytest.mark.parametrize(
    "text",
    ["[" * 20_000, "{a: " * 20_000, "- " * 20_000, "a: &x [" + "1," * 1000 + "]\nb: [" + "*x," * 1000 + "]"],
    ids=["lists", "mappings", "blocks", "aliases"],
)
def test_monsters_are_refused_in_time(text: str) -> None:
    """Deep or exploding documents cost seconds at most, and no crash."""
    began = time.monotonic()
    with pytest.raises(ConfigError):
        read(text)
    assert time.monotonic() - began < 10


def test_a_document_that_is_too_large_is_refused() -> None:
    """Nobody wrote a megabyte of config."""
    assert "more than a config file may have" in shown("#" * (1 << 20) + "\n" + MINIMAL)


# ---- variables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${HERE}/x", "/here/x"),
        ("${NOWHERE:-/there}/x", "/there/x"),
        ("${HERE:-/there}", "/here"),
        ("${NOWHERE:-}x", "x"),
        ("${EMPTY:-filled}", "filled"),
        ("$HERE ${} ${1}", "$HERE ${} ${1}"),
    ],
)
def test_variables_are_replaced(text: str, value: str) -> None:
    """${NAME} and ${NAME:-default}, and nothing else."""
    assert expand_variables(text, "x.yaml", {"HERE": "/here", "EMPTY": ""}) == value


def test_a_variable_without_value_is_told() -> None:
    """An empty text in its place would be a guess."""
    with pytest.raises(ConfigError, match="NOWHERE"):
        read(MINIMAL.replace("host: alder", "host: alder, ssh_config: '${NOWHERE}'"))


# ---- folders --------------------------------------------------------------------------------------------------------


def test_sites_come_by_name(tmp_path: Path) -> None:
    """All of a folder in the order of their names; those that were asked for in the order of asking, each once."""
    write_sites(tmp_path, birch=MINIMAL.replace("alder", "birch"), alder=MINIMAL)
    assert [site.name for site in find_sites(tmp_path, environment={})] == ["alder", "birch"]
    assert [site.name for site in find_sites(tmp_path, ["birch", "alder", "birch"], environment={})] == [
        "birch",
        "alder",
    ]


def test_the_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    """One broken file does not hide the other's mistakes."""
    write_sites(tmp_path, alder="name: alder\n", birch="name: [", cedar=MINIMAL.replace("alder", "cedar"))
    with pytest.raises(ConfigError, match="2 site configs are wrong") as caught:
        find_sites(tmp_path, environment={})
    assert "alder.yaml" in str(caught.value.evidence["output"])
    assert "birch.yaml" in str(caught.value.evidence["output"])


def test_a_broken_file_that_was_not_asked_for_is_not_read(tmp_path: Path) -> None:
    """One may go on with the others by naming them."""
    write_sites(tmp_path, alder=MINIMAL, birch="name: [")
    assert [site.name for site in find_sites(tmp_path, ["alder"], environment={})] == ["alder"]


@pytest.mark.parametrize("name", ["bich", "../birch", "", "birch.yaml", "-x"])
def test_a_site_that_no_file_has_is_a_mistake_of_the_command_line(tmp_path: Path, name: str) -> None:
    """The name is shown, and those that exist."""
    write_sites(tmp_path, birch=MINIMAL.replace("alder", "birch"))
    with pytest.raises(UsageError) as caught:
        find_sites(tmp_path, [name], environment={})
    assert "birch" in caught.value.remedy


def test_editors_leftovers_are_no_sites(tmp_path: Path) -> None:
    """Lock files and the files that macOS leaves beside each are hidden ones."""
    write_sites(tmp_path, alder=MINIMAL)
    (tmp_path / "._alder.yaml").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / ".#alder.yaml").symlink_to("nobody@nowhere.1")
    assert [site.name for site in find_sites(tmp_path, environment={})] == ["alder"]


def test_a_file_with_the_other_suffix_is_told(tmp_path: Path) -> None:
    """A site that is passed over in silence would be missed by nobody until it matters."""
    write_sites(tmp_path, alder=MINIMAL)
    (tmp_path / "birch.yml").write_text(MINIMAL.replace("alder", "birch"))
    with pytest.raises(ConfigError, match=r"birch\.yml"):
        find_sites(tmp_path, environment={})


@pytest.mark.parametrize("kind", ["absent", "empty", "a file"])
def test_a_folder_without_sites_is_told(tmp_path: Path, kind: str) -> None:
    """No sites is a mistake, not a run over nothing."""
    folder = tmp_path / "configs"
    if kind == "empty":
        folder.mkdir()
    if kind == "a file":
        folder.write_text("")
    with pytest.raises(ConfigError):
        find_sites(folder, environment={})


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name: \xe9\n"])
def test_a_file_that_is_no_utf8_is_told(tmp_path: Path, content: bytes) -> None:
    """Its name is in the message."""
    (tmp_path / "alder.yaml").write_bytes(content)
    with pytest.raises(HpcbakeError, match=r"alder\.yaml"):
        find_sites(tmp_path, environment={})


# ---- the schema -----------------------------------------------------------------------------------------------------


EXAMPLES = sorted([*data_folder("site-configs").glob("*.yaml"), *data_folder("site-configs").glob("examples/*.yaml")])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_read_and_fit_the_schema(path: Path) -> None:
    """What we show works, in hpcbake and in an editor that knows the schema."""
    assert find_sites(path.parent, [path.stem], environment={})
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(render_site_schema()))


def test_the_committed_schema_is_the_codes() -> None:
    """site-configs/site.schema.json is made from the table that the reader uses."""
    committed = (data_folder("site-configs") / "site.schema.json").read_text()
    assert committed == render_site_schema(), "write it anew: python tests/golden/regenerate.py"


@pytest.mark.parametrize("text", [MINIMAL + "runtme: {}\n", MINIMAL.replace("/scratch", "/a b"), "name: alder\n"])
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    """An editor shows the same mistakes."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), json.loads(render_site_schema()))
    with pytest.raises(ConfigError):
        read(text)


def test_null_is_not_declared() -> None:
    """A key that is said to be nothing is as good as a key left away."""
    plain = "name: alder\nlogin: {host: alder}\nstore: {root: /scratch}\n"
    spoken = plain + "slurm: {partition: null, account: ~}\nprofile: {glibc: null, gpu: null, inject: null}\n"
    assert parse_site(spoken, "alder.yaml", environment={}) == parse_site(plain, "alder.yaml", environment={})


def test_wrong_files_can_be_left_out(tmp_path: Path) -> None:
    """When asked, the sites that can be read are returned and the mistakes of the others handed over."""
    (tmp_path / "alder.yaml").write_text("name: alder\nlogin: {host: alder}\nstore: {root: /scratch}\n")
    (tmp_path / "birch.yaml").write_text("name: birch\nlogin: {hots: birch}\n")
    left_out: list[ConfigError] = []
    assert [site.name for site in find_sites(tmp_path, environment={}, left_out=left_out)] == ["alder"]
    assert [failure.message.split(":")[0] for failure in left_out] == [str(tmp_path / "birch.yaml")]
    with pytest.raises(ConfigError):
        find_sites(tmp_path, environment={})
    with pytest.raises(ConfigError):
        find_sites(tmp_path, ["birch"], environment={}, left_out=[])


def test_folders_below_are_no_sites(tmp_path: Path) -> None:
    """Examples and profiles kept beside the sites are never shipped to."""
    (tmp_path / "examples").mkdir()
    for path in (tmp_path / "alder.yaml", tmp_path / "examples/birch.yaml"):
        path.write_text(f"name: {path.stem}\nlogin: {{host: x}}\nstore: {{root: /scratch}}\n")
    assert [site.name for site in find_sites(tmp_path, environment={})] == ["alder"]
    with pytest.raises(UsageError):
        find_sites(tmp_path, ["birch"], environment={})


def test_examples_are_for_copying_and_never_targets() -> None:
    """Nobody ships to an example by standing in this folder."""
    folder = data_folder("site-configs")
    targets = {site.name for site in find_sites(folder, environment={})}
    examples = {path.stem for path in (folder / "examples").glob("*.yaml")}
    assert len(examples) >= 5
    assert not targets & examples


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_modeline_finds_the_schema(path: Path) -> None:
    """Editors check the file while it is written."""
    first = path.read_text().splitlines()[0]
    prefix, _, schema = first.partition("$schema=")
    assert prefix == "# yaml-language-server: "
    assert (path.parent / schema).resolve() == (data_folder("site-configs") / "site.schema.json").resolve()


def test_a_login_can_only_ask_by_openssh() -> None:
    """paramiko has nobody to ask."""
    text = "name: a\nlogin: {host: x, ask: true}\nstore: {root: /s}\n"
    with pytest.raises(ConfigError, match="openssh"):
        parse_site(text, "a.yaml", environment={})
    assert parse_site(text.replace("ask", "transport: openssh, ask"), "a.yaml", environment={}).login.ask


def test_the_schema_takes_null_where_the_reader_does() -> None:
    """Editors complain of what hpcbake complains of, and of nothing else."""
    schema = json.loads(render_site_schema())
    text = "name: a\nlogin: {host: x, user: null, transport: null}\nstore: {root: /s, group: ~}\nslurm: null\n"
    parse_site(text, "a.yaml", environment={})
    jsonschema.validate(yaml.safe_load(text), schema)
    for wrong in ("name: null\nlogin: {host: x}", "name: a\nlogin: {host: null}"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(f"{wrong}\nstore: {{root: /s}}"), schema)
