"""Settings on the command line: flags before variables before files, and `hpcbake config show`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hpcbake.cli.configuration import config_files, read_configuration, setting_option, state_folder
from hpcbake.cli.group import hpcbake
from hpcbake.cli.main import run
from hpcbake.cli.options import bake_words
from hpcbake.errors import ConfigError, UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, away from whatever this machine's user has configured."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    return project


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@click.command()
@setting_option("ship.parallel_sites", "--jobs", type=click.IntRange(min=1))
@setting_option("ship.lock_wait", "--lock-wait", type=click.IntRange(min=0), fallback=60)
@setting_option("report.junit", "--junit", type=click.Path(dir_okay=False, path_type=Path))
@setting_option("report.github", "--github", is_flag=False, flag_value="$GITHUB_STEP_SUMMARY")
def verb(**values: object) -> None:
    click.echo(repr(values))


def call(*words: str, **environment: str) -> str:
    outcome = CliRunner().invoke(verb, words, env=environment, catch_exceptions=False)
    return outcome.output


def test_a_flag_comes_first(folder: Path, tmp_path: Path) -> None:
    """Then the variable, the project, the user, the machine, the verb's own default."""
    assert "'jobs': 16, 'lock_wait': 60, 'junit': None" in call()
    write(tmp_path / "xdg/hpcbake/config.yaml", "ship: {parallel_sites: 2, lock_wait: 1m}")
    assert "'jobs': 2, 'lock_wait': 60" in call()
    write(tmp_path / "config/hpcbake/config.yaml", "ship: {parallel_sites: 3, lock_wait: 2m}")
    assert "'jobs': 3, 'lock_wait': 120" in call()
    write(folder / "hpcbake.yaml", "ship: {parallel_sites: 4}\nreport: {junit: out.xml}")
    assert "'jobs': 4, 'lock_wait': 120" in call()
    assert "PosixPath('out.xml')" in call()
    assert "'jobs': 5," in call(HPCBAKE_JOBS="5")
    assert "'jobs': 6," in call("--jobs", "6", HPCBAKE_JOBS="5")
    assert "'lock_wait': 0" in call(HPCBAKE_LOCK_WAIT="0")


def test_a_callback_hears_the_value_that_counts(folder: Path) -> None:
    """Once, whoever said it."""
    heard: list[object] = []

    @click.command()
    @setting_option("log.level", "--log-level", expose_value=False, callback=lambda _c, _o, value: heard.append(value))
    def other() -> None:
        pass

    write(folder / "hpcbake.yaml", "log: {level: debug}")
    CliRunner().invoke(other, [], catch_exceptions=False)
    CliRunner().invoke(other, ["--log-level", "error"], catch_exceptions=False)
    CliRunner().invoke(other, [], env={"HPCBAKE_LOG_LEVEL": "warning"}, catch_exceptions=False)
    assert heard == ["debug", "error", "warning"]


def test_outside_of_github_a_configured_summary_is_none(folder: Path) -> None:
    """The same project file serves the laptop and the workflow."""
    write(folder / "hpcbake.yaml", "report: {github: $GITHUB_STEP_SUMMARY}")
    assert "'github': None" in call(GITHUB_STEP_SUMMARY="")
    assert "'github': '/tmp/summary'" in call(GITHUB_STEP_SUMMARY="/tmp/summary")


def test_a_value_that_the_option_cannot_take_names_its_place(folder: Path) -> None:
    """File, line and column, where the file is at fault."""
    write(folder / "hpcbake.yaml", "report:\n  junit: /tmp\n")
    with pytest.raises(ConfigError, match=r"hpcbake\.yaml:2:10: .*directory"):
        call()


def test_a_broken_file_does_not_hide_the_help(folder: Path) -> None:
    """It is what somebody reads who tries to mend it."""
    write(folder / "hpcbake.yaml", "ship: [")
    assert CliRunner().invoke(hpcbake, ["ship", "--help"]).exit_code == 0


@pytest.mark.parametrize("words", [["ship"], ["plan"], ["status"], ["gc"], ["config", "show"], ["report"], ["history"]])
def test_a_broken_file_stops_every_verb(folder: Path, words: list[str]) -> None:
    """No verb goes on with settings that nobody wanted."""
    (folder / "site-configs").mkdir()
    write(folder / "hpcbake.yaml", "ship: {parallel_sites: many}")
    write(folder / "docker-bake.hcl", 'target "default" { tags = ["registry.example.org/a:1"] }')
    with pytest.raises(ConfigError, match=r"hpcbake\.yaml:1:24"):
        CliRunner().invoke(hpcbake, words, catch_exceptions=False)


def test_a_json_verb_keeps_its_promise(folder: Path) -> None:
    """One document, also where the settings are wrong."""
    outcome = CliRunner().invoke(hpcbake, ["ship", "--json"], env={"HPCBAKE_JOBS": "many"})
    assert json.loads(outcome.stdout)["errors"][0]["kind"] == "config.environment"


def test_files_stand_where_xdg_says() -> None:
    """Relative folders do not count, as the specification has it."""
    found = list(config_files({"XDG_CONFIG_HOME": "/c", "XDG_CONFIG_DIRS": "/a:b:/d"}, system=Path("/e")))
    assert [(kind, str(path)) for kind, path in found] == [
        ("user", "/c/hpcbake/config.yaml"),
        ("system", "/a/hpcbake/config.yaml"),
        ("system", "/d/hpcbake/config.yaml"),
        ("system", "/e/hpcbake/config.yaml"),
    ]


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """Whichever it is."""
    write(tmp_path / "etc/hpcbake/config.yaml", "").write_bytes(b"\xff")
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "c")}
    with pytest.raises(ConfigError, match="etc/hpcbake/config"):
        read_configuration(tmp_path, environment, system=tmp_path / "etc")


def test_bake_files_and_targets_are_the_projects_unless_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """buildx's own variable comes before the project file, as every variable does."""
    write(folder / "hpcbake.yaml", "bake: {files: [a.hcl], targets: [x]}")
    assert bake_words((), ()) == (("a.hcl",), ("x",))
    assert bake_words(("b.hcl",), ("y", "z")) == (("b.hcl",), ("y", "z"))
    monkeypatch.setenv("BUILDX_BAKE_FILE", "c.hcl")
    assert bake_words((), ()) == ((), ("x",))
    monkeypatch.setenv("HPCBAKE_BAKE_FILES", "d.hcl,e.hcl")
    assert bake_words((), ()) == (("d.hcl", "e.hcl"), ("x",))


def test_the_state_folder_can_be_configured(folder: Path, tmp_path: Path) -> None:
    """By the variable, else by a file."""
    write(tmp_path / "config/hpcbake/config.yaml", "state: /var/lib/hpcbake")
    assert state_folder({"HPCBAKE_STATE": "/s"}) == Path("/s")
    assert state_folder({}) == Path("/var/lib/hpcbake")


def show(*words: str, **environment: str) -> str:
    return CliRunner().invoke(hpcbake, ["config", "show", *words], env=environment, catch_exceptions=False).output


def test_show_says_who_said_so(folder: Path) -> None:
    """Variable, or file with line and column."""
    write(folder / "hpcbake.yaml", "ship:\n  way: stream\n")
    text = show("--origin", HPCBAKE_JOBS="3", COLUMNS="200")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line.strip()}
    assert lines["ship.way"] == "stream project: hpcbake.yaml:2:8"
    assert lines["ship.parallel_sites"] == "3 environment: HPCBAKE_JOBS"
    assert lines["ship.progress"] == "auto default"


def test_show_never_shows_a_secret(folder: Path) -> None:
    """Of an address only the host; of a variable or a file only its name."""
    text = (
        "notifications: {webhooks: [{name: a, url: 'https://hooks.example.org/T0/hidden', secret_env: KEY}], "
        "healthcheck: {url_env: PING}}"
    )
    write(folder / "hpcbake.yaml", text)
    for output in (show(KEY="hidden", PING="http://x/hidden"), show("--json", KEY="hidden", PING="http://x/hidden")):
        assert "hidden" not in output
        assert "https://hooks.example.org/…" in json.dumps(output, ensure_ascii=False).replace("\\\\u2026", "…")


def test_show_as_json(folder: Path) -> None:
    """One document with kind and version."""
    document = json.loads(show("ship.parallel_sites", "--json", HPCBAKE_JOBS="3"))
    assert (document["kind"], document["version"]) == ("hpcbake.config", 1)
    (setting,) = document["settings"]
    assert (setting["value"], setting["origin"], setting["place"]) == (3, "environment", "HPCBAKE_JOBS")


def test_show_of_an_unknown_key_is_a_mistake(folder: Path) -> None:
    """And not an empty table."""
    with pytest.raises(UsageError, match="there is no setting"):
        show("ship.jobs")


def test_print_shows_what_ship_would_take(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The project's bake files and targets, unless others are named."""
    write(folder / "other.hcl", 'target "x" {}\ntarget "y" {}')
    write(folder / "hpcbake.yaml", "bake: {files: [other.hcl], targets: [y]}")
    run(["print"])
    assert list(json.loads(capfdbinary.readouterr().out)["target"]) == ["y"]
    run(["print", "x"])
    assert list(json.loads(capfdbinary.readouterr().out)["target"]) == ["x"]
