"""No secret leaves a run: found by where it comes from, taken out by its value in every spelling."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from hpcbake.errors import RegistryError
from hpcbake.model.plan import Plan, Target
from hpcbake.report.records import ErrorRecord, error_record
from hpcbake.report.redact import (
    SHOWN,
    Redactor,
    secrets_of_docker_config,
    secrets_of_environment,
    secrets_of_plan,
)


def test_every_spelling_is_hidden() -> None:
    """As it is, in JSON, in a URL, in a Basic login."""
    secret = 'p"ä/ss wörd'
    redactor = Redactor([secret])
    for form in (secret, json.dumps(secret), quote(secret), base64.b64encode(secret.encode()).decode()):
        assert redactor.text(f"a {form} b").replace('"', "") == f"a {SHOWN} b"


@given(st.text(min_size=5, max_size=30).filter(lambda text: len(text.strip()) >= 5), st.text(), st.text())
def test_no_text_keeps_a_secret(secret: str, before: str, after: str) -> None:
    """Wherever it stands."""
    lines = [part.strip() for part in (secret, *secret.splitlines()) if len(part.strip()) >= 5]
    cleaned = Redactor([secret]).text(before + secret + after).replace(SHOWN, "")
    assert all(line not in cleaned or line.lower() in ("false", "none", "null", "true") for line in lines[:1])


def test_short_words_and_plain_ones_stay() -> None:
    """A password of three letters would take words apart; `false` is no secret."""
    assert Redactor(["abc", "", "false", "  "]).text("abcdef false") == "abcdef false"


def test_secrets_of_many_lines_are_hidden_line_by_line() -> None:
    """A key file, of which a log shows one line."""
    assert Redactor(["first-line\nsecond-line\n"]).text("got second-line") == f"got {SHOWN}"


def test_values_are_cleaned_however_deep() -> None:
    """Reports are dataclasses with tuples and mappings; what holds no secret stays the very same object."""
    redactor = Redactor(["hunter2-hunter2"])
    record = error_record("build", RegistryError("no hunter2-hunter2", evidence={"output": ["hunter2-hunter2", 1]}))
    clean = redactor.value(record)
    assert isinstance(clean, ErrorRecord)
    assert (clean.message, clean.evidence) == (f"no {SHOWN}", {"output": [SHOWN, 1]})
    assert clean.code is record.code
    innocent = error_record("build", RegistryError("no"))
    assert redactor.value(innocent) is innocent


def test_the_environment_s_secrets_are_known_by_name() -> None:
    """Not those that say where something is."""
    environment = {
        "GITHUB_TOKEN": "1", "my_password": "2", "AWS_SECRET_ACCESS_KEY": "3", "PATH": "4",
        "DB_PASSWORD_FILE": "5", "SSH_AUTH_SOCK": "6", "API_KEY": "7",
    }  # fmt: skip
    assert sorted(secrets_of_environment(environment)) == ["1", "2", "3", "7"]


def test_docker_s_logins_are_secrets() -> None:
    """Password, whole login, tokens; rubbish is no login."""
    login = base64.b64encode(b"baker:pass:word").decode()
    content = json.dumps({"auths": {"r": {"auth": login, "identitytoken": "tok"}, "s": 1, "t": {"auth": "%"}}})
    assert set(secrets_of_docker_config(content)) == {login, "pass:word", "tok", "%"}
    assert list(secrets_of_docker_config("{")) == []
    assert list(secrets_of_docker_config("[]")) == []


def test_build_secrets_are_secrets() -> None:
    """By variable, by file, by the name of an argument; a file that is not there is none."""
    plan = Plan(
        {
            "app": Target(
                "app",
                {
                    "args": {"NPM_TOKEN": "npm-1", "JOBS": "4"},
                    "secret": [{"id": "a", "env": "FROM_ENV"}, "type=file,id=b,src=key", {"id": "c", "src": "gone"}],
                },
            )
        },
        {},
    )

    def read(name: str) -> str:
        if name == "gone":
            raise FileNotFoundError(name)
        return "key-content"

    found = set(secrets_of_plan(plan, {"FROM_ENV": "env-value"}, read)) - {""}
    assert found == {"npm-1", "env-value", "key-content"}
