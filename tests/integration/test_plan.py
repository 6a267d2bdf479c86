"""Plans on both sites of the lab: true before a ship and after it, and nothing anywhere is changed by looking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hpcbake.ship.forecast_document import plan_schema
from tests.integration.chain import DOCKERFILE, SITES, Chain, make_chain, outcomes, write_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


def plan(chain: Chain, *words: str) -> dict[str, Any]:
    """`hpcbake plan --json --detailed-exitcode`: the document, checked against its schema and the exit code.

    No store is touched by it, and no run is noted on this machine.
    """
    before, state = [chain.listing(site) for site in SITES], chain.folder / "state"
    runs = sorted(state.rglob("*"))
    done = chain.run("plan", "--json", "--detailed-exitcode", *words)
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    jsonschema.Draft202012Validator(plan_schema()).validate(document)
    assert document["exit"]["code"] == done.returncode, done.stderr
    assert [chain.listing(site) for site in SITES] == before
    assert sorted(state.rglob("*")) == runs
    return document


def cells(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Action and reason of the only image, by site."""
    return {site["name"]: (image["action"], image["reason"]) for site in document["sites"] for image in site["images"]}


def actions(document: dict[str, Any]) -> dict[str, str]:
    return {site: action for site, (action, _) in cells(document).items()}


def test_a_plan_is_true_before_and_after_a_ship(chain: Chain) -> None:
    """Create, ship, unchanged; another image is an update, which ship then does; one that does not fit is blocked."""
    first = plan(chain)
    assert (actions(first), first["exit"]["code"]) == ({"alder": "create", "birch": "create"}, 4)
    assert (first["targets"][0]["digest"], first["targets"][0]["needs_build"]) == (None, True)
    assert outcomes(chain.ship()) == {"alder": "ok", "birch": "ok"}

    shipped = plan(chain)
    assert (actions(shipped), shipped["exit"]["code"]) == ({"alder": "unchanged", "birch": "unchanged"}, 0)
    assert (shipped["summary"]["bytes"], shipped["summary"]["jobs"]) == (0, 0)

    chain.environment["CONTENT"] = "second"
    # Where builds are pushed by digest alone no tag tells of them: the digest does.
    reference = built_reference(chain)
    changed = plan(chain, f"{chain.image}={reference}")
    assert (actions(changed), changed["exit"]["code"]) == ({"alder": "update", "birch": "update"}, 4)
    image = changed["sites"][0]["images"][0]
    assert (image["way"], image["bytes_exact"], image["jobs"]) == ("docker", True, ["cpu"])
    assert image["bytes"] > 500_000
    assert outcomes(chain.ship()) == {"alder": "ok", "birch": "ok"}
    assert set(actions(plan(chain)).values()) == {"unchanged"}
    assert set(actions(plan(chain, released(chain))).values()) == {"unchanged"}

    does_not_fit = plan(chain, f"{chain.image}={misfit(chain)}")
    assert does_not_fit["exit"] == {"code": 30, "name": "INCOMPATIBLE", "retryable": False}
    for action, reason in cells(does_not_fit).values():
        assert action == "blocked"
        assert reason.startswith("glibc 2.")
        assert "> 2.31" in reason


def test_a_dead_site_and_a_held_image_are_blocked(chain: Chain) -> None:
    """Each with its reason; the other site's plan stands."""
    chain.ship()
    chain.environment["CONTENT"] = "second"
    chain.ship()
    chain.run("rollback", chain.image, "--site", "alder", check=True)
    write_site(chain, "birch", login={"host": "127.0.0.1", "port": "1"})
    document = plan(chain, released(chain))
    told = cells(document)
    assert told["alder"][0] == told["birch"][0] == "blocked"
    assert told["alder"][1].startswith("held at ")
    assert told["birch"][1].startswith("site unreachable: ")
    assert document["exit"]["code"] == 3
    codes = {site["name"]: site["images"][0]["code"] for site in document["sites"]}
    assert codes == {"alder": 75, "birch": 40}


def released(chain: Chain) -> str:
    """The only image by its release tag."""
    return f"{chain.image}={chain.lab.registry}/{chain.namespace}/{chain.image}:1.0"


def built_reference(chain: Chain) -> str:
    """What `build` prints for the only image: its repository, pinned."""
    done = chain.run("build", check=True)
    (line,) = (line for line in done.stdout.splitlines() if "@sha256:" in line)
    return line.split()[-1]


def misfit(chain: Chain) -> str:
    """The same image with a program of a newer distribution in it, built and pinned."""
    newer = chain.lab.env["NEWER_BASE"]
    text = DOCKERFILE.replace("FROM scratch", f"FROM {newer} AS newer\n    FROM scratch")
    text = text.replace('    CMD ["/bin/sh"]', '    COPY --from=newer /usr/bin/cat /bin/newer\n    CMD ["/bin/sh"]')
    lines = (line.removeprefix("    ") for line in text.splitlines())
    (chain.folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    return built_reference(chain)
