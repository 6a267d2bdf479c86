"""A run brings an image to the sites that the project sends it to, and to no other."""

from __future__ import annotations

from pathlib import Path

from hpcbake.report.records import Outcome
from hpcbake.ship.project_parts import DeployRule, Destinations
from tests.unit.ship.test_ship import Run, image


def test_an_image_reaches_its_own_sites_only(tmp_path: Path) -> None:
    """Others do not hear of it: nothing is checked, asked or written there for it."""
    run = Run(tmp_path, "alder", "birch")
    run.images = [image("solver"), image("viewer")]
    run.destinations = Destinations((DeployRule(("solver",)), DeployRule(("viewer",), ("birch",))))
    result = run.ship()
    went = {site.name: [record.target for record in site.images] for site in result.sites}
    assert went == {"alder": ["solver"], "birch": ["solver", "viewer"]}
    assert {record.outcome for site in result.sites for record in site.images} == {Outcome.OK}


def test_a_tag_waits_for_the_sites_of_its_image_alone(tmp_path: Path) -> None:
    """A site that an image does not go to cannot hold its tags back."""
    run = Run(tmp_path, "alder", "birch")
    run.images = [image("viewer")]
    run.destinations = Destinations((DeployRule(("viewer",), ("birch",)),))
    result = run.ship()
    assert [target.tags_moved for target in result.targets] == [True]
