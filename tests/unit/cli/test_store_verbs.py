"""history, rollback, gc and status as they are typed: a site on this machine, one document, the right exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpcbake.cli.main import run
from hpcbake.errors import HpcbakeError
from tests.site_stand import SiteStand
from tests.unit.slurm.conftest import stand, stand_of_two, store_of_two
from tests.unit.slurm.releases import A, B, link

pytestmark = pytest.mark.stand

__all__ = ["stand", "stand_of_two", "store_of_two"]


@pytest.fixture
def here(stand_of_two: SiteStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteStand:
    """The stand as the site `here`, and beside it a site that nobody can reach."""
    configs = tmp_path / "project" / "site-configs"
    configs.mkdir(parents=True)
    document = {
        "name": "here",
        "login": {"host": "localhost", "transport": "local"},
        "store": {"root": str(stand_of_two.root)},
        "runtime": {"prelude": stand_of_two.prelude},
        "slurm": {"prelude": stand_of_two.prelude},
    }
    (configs / "here.yaml").write_text(yaml.safe_dump(document))
    away = {
        "name": "away",
        "login": {"host": "127.0.0.1", "port": "1", "transport": "openssh", "connect_timeout": "1s"},
        "store": {"root": "/nowhere"},
    }
    (configs / "away.yaml").write_text(yaml.safe_dump(away))
    monkeypatch.chdir(tmp_path / "project")
    return stand_of_two


def ask(capsys: pytest.CaptureFixture[str], *words: str, site: str = "here") -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON document."""
    capsys.readouterr()
    code = run([*words, "--json", *(["--site", site] if site else [])])
    assert isinstance(code, int)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["exit"] == code
    return code, document


def test_the_whole_story(here: SiteStand, capsys: pytest.CaptureFixture[str]) -> None:
    """Back, held, told, pinned, cleared, let go."""
    code, document = ask(capsys, "rollback", "app", "--dry-run")
    assert (code, document["sites"][0]["to"], document["sites"][0]["changed"]) == (0, str(A), False)
    assert B.hex in link(here)
    code, document = ask(capsys, "rollback", "app")
    assert (code, document["sites"][0]["after"], document["sites"][0]["held"]) == (0, str(A), True)
    assert A.hex in link(here)
    code, document = ask(capsys, "history", "app")
    told = document["sites"][0]
    assert [event["act"] for event in told["events"]] == ["promoted", "promoted", "rolled-back"]
    assert told["held"][0]["instead_of"] == str(B)
    assert ask(capsys, "gc", "--pin", f"app@{B}")[1]["sites"][0]["marks"][0]["changed"]
    code, document = ask(capsys, "gc", "--keep", "1", "--days", "0")
    assert (code, document["sites"][0]["removed"]) == (0, [])
    assert {item["reason"] for item in document["sites"][0]["kept"]} == {"is current", "is pinned"}
    ask(capsys, "gc", "--unpin", f"app@{B}")
    code, document = ask(capsys, "gc", "--keep", "1", "--days", "0", "--dry-run")
    assert [item["digest"] for item in document["sites"][0]["removed"]] == [str(B)]
    assert ask(capsys, "rollback", "app", "--release-hold")[1]["sites"][0]["released"] is True
    code, document = ask(capsys, "status", "--verify")
    image = document["sites"][0]["images"][0]
    assert (code, image["hold"], image["current"]) == (0, None, str(A))


def test_they_read_well(here: SiteStand, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables for people, with what to do next."""
    assert here
    for words in (
        ["history"],
        ["rollback", "app"],
        ["history"],
        ["status"],
        ["gc", "--dry-run"],
        ["gc", "--pin", "app@1.0"],
    ):
        assert run([*words, "--site", "here"]) == 0
    shown = capsys.readouterr().out
    for text in ("rolled-back", "is held", "is back at 1.0", "me@pc", "101 on n1", "of the last 3 promoted", "pinned"):
        assert text in shown


def test_a_site_that_does_not_answer(here: SiteStand, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, the others go on, and the code says partly."""
    assert here
    for words in (["history"], ["rollback", "app"], ["gc", "--dry-run"]):
        code, document = ask(capsys, *words, site="")
        errors = {site["name"]: site.get("error") for site in document["sites"]}
        assert (code, errors["here"], errors["away"]["code"]) == (3, None, 40), words


def test_a_changed_ledger_is_70_everywhere(here: SiteStand, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was asked, and nothing is written."""
    book = here.root / ".hpcbake/ledger.jsonl"
    book.write_text(book.read_text()[:-3] + '"}\n')
    before = here.seen()
    for words in (["history"], ["rollback", "app"], ["gc"], ["gc", "--pin", "app@1.0"], ["status"]):
        assert ask(capsys, *words)[0] == 70, words
    assert here.seen() == before


@pytest.mark.parametrize(
    "words",
    [["rollback", "app", "--release-hold", "--to", "1"], ["gc", "--pin", "app"], ["rollback", "app", "--site", "mars"]],
)
def test_what_makes_no_sense_is_a_mistake_of_use(here: SiteStand, words: list[str]) -> None:
    """Nothing is asked of any site."""
    assert here
    with pytest.raises(HpcbakeError) as caught:
        run(words)
    assert int(caught.value.exit_code) == 2
