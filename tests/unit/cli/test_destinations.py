"""What the project sends where, cut with what the command line names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpcbake.cli.destinations import Asked, choose_destinations, choose_looked_at
from hpcbake.cli.group import hpcbake
from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.site import Login, Site, Store
from hpcbake.ship.project_parts import DeployRule, Destinations

RULES = Destinations((DeployRule(("solver",), ("alder", "birch")), DeployRule(("viewer",), ("birch",))))


def sites(*names: str) -> list[Site]:
    return [Site(name, Login(name), Store("/store")) for name in names]


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """Three sites as files."""
    for name in ("alder", "birch", "cedar"):
        text = f"name: {name}\nlogin: {{host: {name}.invalid, transport: local}}\nstore: {{root: /tmp/nowhere}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_the_sites_of_a_run_are_those_that_something_goes_to(configs: Path) -> None:
    """Nobody knocks at the others."""
    names, chosen = choose_destinations(RULES, ["solver", "viewer"], sites("alder", "birch", "cedar"), Asked(), configs)
    assert (names, [site.name for site in chosen]) == (["solver", "viewer"], ["alder", "birch"])


def test_what_is_left_out_is_told(configs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With where it goes instead; the rest goes on."""
    asked = Asked(("solver", "viewer"), ("alder",))
    names, chosen = choose_destinations(RULES, ["solver", "viewer"], sites("alder"), asked, configs)
    assert (names, [site.name for site in chosen]) == (["solver"], ["alder"])
    assert "viewer is left out: `deploy` of hpcbake.yaml sends viewer to birch only" in capsys.readouterr().err


def test_a_site_that_was_named_in_vain_is_told(configs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever names it expects something there."""
    choose_destinations(RULES, ["solver"], sites("alder", "cedar"), Asked((), ("alder", "cedar")), configs)
    assert "note: cedar: `deploy` of hpcbake.yaml sends none of these images there" in capsys.readouterr().err


def test_nothing_left_names_both_sides(configs: Path) -> None:
    """What was asked for, and what the project says."""
    with pytest.raises(UsageError) as caught:
        choose_destinations(RULES, ["viewer"], sites("alder"), Asked(("viewer",), ("alder",)), configs)
    for word in ("image viewer", "site alder", "`deploy` of hpcbake.yaml", "birch"):
        assert word in caught.value.message


def test_a_project_that_sends_nothing_anywhere_is_wrong(configs: Path) -> None:
    """It is the file that is to be mended, not the command."""
    rules = Destinations((DeployRule(("other",)),))
    with pytest.raises(ConfigError, match=r"hpcbake\.yaml sends none of solver"):
        choose_destinations(rules, ["solver"], sites("alder"), Asked(), configs)


def test_a_look_is_at_the_sites_of_the_project() -> None:
    """Or at those that are named: what lies at a site that is no longer served is still to be seen."""
    assert [site.name for site in choose_looked_at(RULES, sites("alder", "cedar"), ())] == ["alder"]
    assert [site.name for site in choose_looked_at(RULES, sites("cedar"), ("cedar",))] == ["cedar"]
    assert [site.name for site in choose_looked_at(Destinations(), sites("alder"), ())] == ["alder"]


PROJECT = "deploy: [{targets: [app], sites: [alder]}, {targets: [viewer], sites: [birch]}]"


@pytest.fixture
def project(configs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = configs / "project"
    folder.mkdir()
    (folder / "hpcbake.yaml").write_text(PROJECT)
    (folder / "docker-bake.hcl").write_text(
        'group "default" { targets = ["app", "viewer"] }\n'
        'target "app" { tags = ["registry.invalid/app:1"] }\ntarget "viewer" { tags = ["registry.invalid/viewer:1"] }\n'
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HPCBAKE_STATE", str(configs / "state"))
    monkeypatch.setenv("HPCBAKE_SITE_CONFIGS", str(configs))
    return folder


def test_ship_refuses_an_empty_choice(project: Path) -> None:
    """In the report, too."""
    outcome = CliRunner().invoke(hpcbake, ["ship", "--target", "app", "--site", "birch", "--json"])
    (error,) = json.loads(outcome.stdout)["errors"]
    assert "image app and site birch" in error["message"]
    assert isinstance(outcome.exception, UsageError)


@pytest.mark.stand
def test_plan_shows_the_images_of_each_site(project: Path) -> None:
    """And no others; a registry that nobody finds is a reason, not a failure of the plan."""
    outcome = CliRunner().invoke(hpcbake, ["plan", "--json"])
    document = json.loads(outcome.stdout)
    assert {site["name"]: [image["target"] for image in site["images"]] for site in document["sites"]} == {
        "alder": ["app"],
        "birch": ["viewer"],
    }


def test_images_by_reference_keep_to_it(project: Path) -> None:
    """A name that no item of deploy fits goes nowhere."""
    outcome = CliRunner().invoke(hpcbake, ["plan", "other=registry.invalid/other:1"])
    assert isinstance(outcome.exception, UsageError)
    assert "sends other to no site" in outcome.exception.message
