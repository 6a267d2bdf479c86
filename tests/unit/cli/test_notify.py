"""Who is told of a run that begins and ends, and what becomes of a run when nobody listens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpcbake.cli.run import RunChoices, perform_run
from hpcbake.model.notification import Address, Healthcheck, Notifications, SecretSource, Webhook
from hpcbake.model.plan import Plan
from hpcbake.report.read import parse_report
from hpcbake.ship.project import Project
from tests.hook_server import Hook, serving

pytestmark = pytest.mark.stand


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's runs are kept; the project is an empty folder."""
    monkeypatch.setenv("HPCBAKE_STATE", str(tmp_path / "state"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "state"


def perform(notifications: Notifications, *, announces: bool = True, as_json: bool = False) -> int:
    project = Project(notifications=notifications)
    choices = RunChoices(announces=announces, as_json=as_json)
    return perform_run(Plan({}, {}), [], [], project, choices, images=[])


def test_beginning_and_end_are_told_in_order(state: Path) -> None:
    """A webhook hears of the events that it asked for, a healthcheck of start and success."""
    with serving(Hook()) as hook:
        address = Address(hook.url)
        webhook = Webhook("chat", address, ("started", "succeeded"))
        assert perform(Notifications((webhook,), Healthcheck(address))) == 0
    posts = [json.loads(body) for method, _, _, body in hook.requests if method == "POST"]
    assert [post["event"] for post in posts] == ["started", "succeeded"]
    assert posts[0]["run"]["id"] == posts[1]["run"]["id"]
    assert [path for method, path, _, _ in hook.requests if method == "GET"] == [
        "/hook/secret-part/start",
        "/hook/secret-part",
    ]


def test_a_text_is_what_chat_programs_take(state: Path) -> None:
    """One member, and no other."""
    with serving(Hook()) as hook:
        perform(Notifications((Webhook("chat", Address(hook.url), ("succeeded",), format="text"),)))
    ((_, _, headers, body),) = hook.requests
    assert list(json.loads(body)) == ["text"]
    assert headers["X-Hpcbake-Event"] == "succeeded"


def test_a_webhook_is_told_what_it_asked_for(state: Path) -> None:
    """A run that went well is no news to one that asked for failures."""
    with serving(Hook()) as hook:
        perform(Notifications((Webhook("chat", Address(hook.url)),)))
    assert hook.requests == []


def test_a_verb_that_is_not_a_run_of_the_chain_tells_nobody(state: Path) -> None:
    """`deliver` by hand is no nightly."""
    with serving(Hook()) as hook:
        perform(Notifications((), Healthcheck(Address(hook.url))), announces=False)
    assert hook.requests == []


def test_nobody_listening_does_not_change_the_run(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said on stderr, without the address, and written into the kept report."""
    webhook = Webhook("chat", Address(source=SecretSource("NO_SUCH_VARIABLE")), ("succeeded",))
    assert perform(Notifications((webhook,)), as_json=True) == 0
    printed = capsys.readouterr()
    assert "warning: chat was not told (succeeded): $NO_SUCH_VARIABLE is not set" in printed.err
    (told,) = json.loads(printed.out)["notifications"]
    assert (told["to"], told["status"], told["attempts"]) == ("chat", "failed", 1)
    (kept,) = state.glob("runs/*/report.json")
    (record,) = parse_report(kept.read_bytes(), "x").notifications
    assert (record.to, record.problem) == ("chat", "$NO_SUCH_VARIABLE is not set")


def hpcbake(*words: str, stdout: str = "/dev/null") -> subprocess.CompletedProcess[str]:
    with Path(stdout).open("w") as output:
        code = "import sys; from hpcbake.cli.main import main; sys.argv = ['hpcbake', *sys.argv[1:]]; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *words], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )


def test_a_run_that_never_began_is_told(state: Path) -> None:
    """A bake file that nobody can read is what a healthcheck is for."""
    with serving(Hook()) as hook:
        Path("hpcbake.yaml").write_text(f"notifications: {{healthcheck: {{url: '{hook.url}'}}}}\n")
        assert hpcbake("ship").returncode == 10
        assert hpcbake("ship", "--dry-run").returncode == 10
    assert [path for _, path, _, _ in hook.requests] == ["/hook/secret-part/fail"]


def test_standard_output_that_is_full_is_told(state: Path) -> None:
    """With code 73, once, and the run is kept."""
    perform(Notifications())
    for line, says in (
        ("report", "cannot write to standard output"),
        ("config show", "standard output or standard error"),
    ):
        outcome = hpcbake(*line.split(), stdout="/dev/full")
        assert outcome.returncode == 73, outcome.stderr
        assert says in outcome.stderr
        assert "No space left on device" in outcome.stderr
        assert "Exception ignored" not in outcome.stderr
