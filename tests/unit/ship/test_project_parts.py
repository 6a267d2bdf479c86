"""What a project says of destinations, builders, tags, retention, the night and notifications."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from hpcbake.errors import ConfigError
from hpcbake.model.notification import Address, Healthcheck, Notifications, SecretSource, Webhook
from hpcbake.ship.project import Project, parse_project
from hpcbake.ship.project_keys import PROJECT, USER, render_project_schema
from hpcbake.ship.project_parts import BakeDefaults, Nightly, Retention, TagPolicy
from hpcbake.sites.document import parse_document

TEXT = """
bake: {files: [a.hcl, b.hcl], targets: [solver]}
deploy:
  - {targets: [solver, "tool-*"], sites: [alder, "gpu-*"]}
  - {targets: [viewer], sites: [birch]}
  - {sites: [cedar]}
builder: farm
builders:
  - {builder: gpu-box, targets: ["cuda-*"]}
tags: {move: any-site, only: ["1.*"], add: ["{tag}-{date}"]}
ship: {all_or_none: true, parallel_sites: 4, lock_wait: 10m, way: stream, progress: plain}
retention: {releases: 5, days: 14, runs: 50}
notifications:
  webhooks:
    - name: chat
      url_env: CHAT_URL
      format: text
    - name: inventory
      url: https://inventory.example.org/hooks/hpcbake
      events: [changed, failed]
      headers: [{name: Authorization, file: token}]
      secret_env: HOOK_SECRET
      timeout: 5s
  healthcheck: {url_file: ~/ping, pings: [success, fail]}
  give_up_after: 20s
report: {html: public, prometheus: /var/lib/hpcbake.prom}
nightly: {at: "03:15", jitter: 20m, refresh_base: true, targets: [solver], sites: ["a*"]}
"""


def test_every_key_becomes_a_value() -> None:
    """What is written is what the stages get."""
    project = parse_project(TEXT, "hpcbake.yaml")
    assert project.bake == BakeDefaults(("a.hcl", "b.hcl"), ("solver",))
    assert project.tags == TagPolicy("any-site", ("1.*",), ("{tag}-{date}",))
    assert project.retention == Retention(5, 14, 50)
    assert project.nightly == Nightly("03:15", 1200.0, True, ("solver",), ("a*",))
    assert project.all_or_none is True
    chat = Webhook("chat", Address(source=SecretSource("CHAT_URL")), format="text")
    inventory = Webhook(
        "inventory",
        Address("https://inventory.example.org/hooks/hpcbake"),
        ("changed", "failed"),
        headers=(("Authorization", SecretSource(file="token")),),
        secret=SecretSource("HOOK_SECRET"),
        timeout_s=5.0,
    )
    healthcheck = Healthcheck(Address(source=SecretSource(file="~/ping")), ("success", "fail"))
    assert project.notifications == Notifications((chat, inventory), healthcheck, 20.0)


def test_a_target_goes_where_a_rule_says() -> None:
    """Several rules add up; a rule without targets is for all of them; one that no rule names goes nowhere."""
    destinations = parse_project(TEXT, "hpcbake.yaml").destinations
    sites = ("alder", "birch", "cedar", "gpu-1", "gpu-2")
    assert destinations.sites_of("solver", sites) == ("alder", "cedar", "gpu-1", "gpu-2")
    assert destinations.sites_of("tool-x", sites) == ("alder", "cedar", "gpu-1", "gpu-2")
    assert destinations.sites_of("viewer", sites) == ("birch", "cedar")
    assert destinations.sites_of("other", sites) == ("cedar",)
    assert destinations.targets_of("birch", ("solver", "viewer")) == ("viewer",)
    assert destinations.targets_of("dogwood", ("solver", "viewer")) == ()


def test_without_rules_everything_goes_everywhere() -> None:
    """The project file is optional."""
    assert Project().destinations.sites_of("app", ("b", "a")) == ("b", "a")
    assert parse_project("deploy: []", "hpcbake.yaml").destinations.includes("app", "a")


def test_a_builder_is_chosen_by_target() -> None:
    """The first rule that fits, else the project's, else none."""
    builders = parse_project(TEXT, "hpcbake.yaml").builders
    assert (builders.of("cuda-app"), builders.of("app"), Project().builders.of("app")) == ("gpu-box", "farm", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("deploy: [{target: [a]}]", "did you mean `targets`?"),
        ("deploy: [{sites: [Alder]}]", "a site's name or pattern"),
        ("bake: {targets: ['a b']}", "a target or group"),
        ("builder: [a]", "a builder's name"),
        ("builders: [{targets: [a]}]", "`builder` is missing"),
        ("tags: {move: always}", "every-site"),
        ("tags: {add: ['{when}']}", "{date}, {digest}, {run}, {revision} and {tag}"),
        ("ship: {parallel_sites: 0}", "from 1 to 1024"),
        ("retention: {releases: 0}", "from 1 to 10000"),
        ("nightly: {at: '24:00'}", "a time of day"),
        ("nightly: {at: 2:30}", "a time of day"),
        ("notifications: {webhooks: [{name: a}]}", "webhook 'a' has no address"),
        ("notifications: {webhooks: [{name: a, url: 'http://x', url_env: A}]}", "has two addresses"),
        ("notifications: {webhooks: [{name: a, url: 'https://me:secret@x/'}]}", "without a login in it"),
        ("notifications: {webhooks: [{name: a, url: 'ftp://x'}]}", "http or https"),
        ("notifications: {webhooks: [{name: a, url: 'http://x', events: [fail]}]}", "did you mean `failed`?"),
        ("notifications: {webhooks: [{name: a, url: 'http://x', events: []}]}", "told of no event"),
        ("notifications: {webhooks: [{name: a, url: 'http://x', headers: [{name: K}]}]}", "header K has no value"),
        ("notifications: {webhooks: [{name: a, url: 'http://x', headers: [{name: 'K: v', env: A}]}]}", "HTTP header"),
        ("notifications: {webhooks: [{name: a, url: 'http://x', secret: abc}]}", "unknown key `secret`"),
        ("notifications: {webhooks: [{name: a, url: 'http://x', secret_env: A, secret_file: b}]}", "both `secret_env`"),
        ("notifications: {webhooks: [{name: a, url: 'http://x'}, {name: a, url: 'http://y'}]}", "called 'a'"),
        ("notifications: {healthcheck: {}}", "healthcheck has no address"),
        ("notifications: {healthcheck: {url: 'http://x', pings: []}}", "is sent nothing"),
        ("notifications: {give_up_after: 1h}", "up to 600s"),
    ],
)
def test_a_mistake_is_told(text: str, says: str) -> None:
    """Before anything is built, in words that name it."""
    with pytest.raises(ConfigError) as caught:
        parse_project(text, "hpcbake.yaml")
    assert says in f"{caught.value.message}\n{caught.value.evidence.get('output', '')}"
    assert caught.value.remedy


def test_a_mistake_has_its_line_and_column() -> None:
    """As the editor counts them."""
    with pytest.raises(ConfigError) as caught:
        parse_project("ship:\n  way: auto\n  parallel_sites: many\n", "hpcbake.yaml")
    assert caught.value.message.startswith("hpcbake.yaml:3:19:")


def test_the_schema_takes_what_the_reader_takes() -> None:
    """And refuses an unknown key, as the reader does."""
    schema = json.loads(render_project_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(TEXT), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"deplyo": []}, schema)


def test_a_users_file_says_nothing_of_targets() -> None:
    """What belongs to one project stands in that project's file."""
    assert set(USER.fields) < set(PROJECT.fields)
    with pytest.raises(ConfigError) as caught:
        parse_document("deploy: []", "config.yaml", USER)
    assert "unknown key `deploy`" in str(caught.value.evidence["output"])
