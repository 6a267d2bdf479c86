"""Twenty sites, five of them dead in five ways: fifteen are served, and each cause is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.chain import Chain, make_chain
from tests.integration.conftest import RunningLab
from tests.integration.fleet import DEAD, dead_ports, write_fleet

pytestmark = [pytest.mark.lab, pytest.mark.alone]

HEALTHY = 15


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


def test_fifteen_of_twenty_sites_are_served(chain: Chain) -> None:
    """With places for four only, dead sites keep nobody: exit 3, every cause by its name, every living site done."""
    with dead_ports() as dead:
        write_fleet(
            chain.folder,
            ssh_config=chain.lab.state / "ssh_config",
            registry=chain.lab.registry,
            root=chain.root,
            healthy=HEALTHY,
            dead=dead,
        )
        done = chain.run("ship", "--json", "--jobs", "4", "--progress", "rawjson", timeout_s=580)
    report = json.loads(done.stdout)
    assert done.returncode == 3, done.stderr
    sites = {site["name"]: site for site in report["sites"]}
    assert [name for name, site in sites.items() if site["outcome"] == "ok"] == [
        f"site{number:02d}" for number in range(HEALTHY)
    ]
    for name, (code, word) in DEAD.items():
        (error,) = [error for error in report["errors"] if error["site"] == name]
        assert (error["code"], word in error["message"].lower()) == (code, True), error
    assert not report["targets"][0]["tags_moved"]
    # A site that never answers is given up while the others are served, not before and not after all of them.
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [event["event"] for event in (events[0], events[-1])] == ["begin", "end"]
    promoted = {event["site"] for event in events if event.get("stage") == "promote" and event.get("status") == "done"}
    assert len(promoted) == HEALTHY
