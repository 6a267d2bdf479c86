"""A project file in force on the lab: where targets go, which tags move, what is kept, who is told."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hook_server import Hook, serving
from tests.integration.chain import Chain, make_chain, outcomes
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab

PROJECT = """\
deploy:
  - {{sites: [alder]}}
tags: {{add: ["{{tag}}-{{digest}}"]}}
retention: {{releases: 1, days: 0}}
report: {{html: public}}
notifications:
  webhooks:
    - {{name: chat, url: "{url}", events: [changed, failed]}}
    - {{name: gone, url: "http://127.0.0.1:1/", events: [changed]}}
  healthcheck: {{url: "{url}"}}
  give_up_after: 20s
"""


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


def tags(chain: Chain) -> set[str]:
    """The tags of the image, by plain HTTP."""
    url = f"http://{chain.lab.registry}/v2/{chain.namespace}/{chain.image}/tags/list"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return {tag for tag in json.load(answer)["tags"] if "hpcbake" not in tag and not tag.startswith("sha256-")}


def test_a_project_file_is_obeyed(chain: Chain) -> None:
    """Two releases: birch hears of neither, the first is cleared at alder, tags are added, and the hook is told."""
    with serving(Hook()) as hook:
        (chain.folder / "hpcbake.yaml").write_text(PROJECT.format(url=hook.url))
        # Digests that no other test has: gc keeps what any job or process on the site names, whosever store it is in.
        chain.environment["CONTENT"] = f"first of {chain.namespace}"
        first = chain.ship()
        assert outcomes(first) == {"alder": "ok"}
        chain.environment["CONTENT"] = f"second of {chain.namespace}"
        second = chain.ship()
        refused = chain.run("ship", "--site", "birch")
    digests = [report["targets"][0]["digest"].removeprefix("sha256:") for report in (first, second)]
    assert tags(chain) == {"1.0", *(f"1.0-{digest[:12]}" for digest in digests)}

    assert chain.listing("birch") == ""
    assert (refused.returncode, "sends" in refused.stderr, "alder only" in refused.stderr) == (2, True, True)
    assert "alder: cleared" in second["stderr"], second["stderr"]
    sifs = [path.rsplit("/", 1)[1] for path in chain.files("alder") if path.endswith(".sif")]
    assert sifs == [f"{digests[1]}.sif"]

    told = [json.loads(body) for method, _, _, body in hook.requests if method == "POST"]
    assert [(notice["event"], notice["run"]["id"]) for notice in told] == [
        ("changed", first["run"]["id"]),
        ("changed", second["run"]["id"]),
    ]
    pings = [path.rsplit("/", 1)[1] for method, path, _, _ in hook.requests if method == "GET"]
    assert pings == ["start", "secret-part"] * 2
    assert {item["to"]: item["status"] for item in second["notifications"]}["gone"] == "failed"
    assert "gone was not told (changed): connection refused" in second["stderr"]

    runs = json.loads(chain.run("history", "--runs", "--json", check=True).stdout)["runs"]
    assert [run["id"] for run in runs] == [second["run"]["id"], first["run"]["id"]]
    assert (chain.folder / "public/index.html").is_file()
