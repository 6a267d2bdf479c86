"""Which value a setting has: environment before project, project before user, user before system, and who said so."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.errors import ConfigError
from hpcbake.model.notification import SecretSource
from hpcbake.ship.configuration import (
    Configuration,
    parse_project_layer,
    parse_user_layer,
    read_environment,
    unknown_variables,
)
from hpcbake.ship.project import Project
from hpcbake.ship.setting_table import SETTINGS

USER_FILE = Path("/home/me/.config/hpcbake/config.yaml")
SYSTEM_FILE = Path("/etc/hpcbake/config.yaml")


def all_layers(environment: dict[str, str], project: str = "", user: str = "", system: str = "") -> Configuration:
    layers = [read_environment(environment)]
    layers += [parse_project_layer(project, "hpcbake.yaml")] if project else []
    layers += [parse_user_layer(user, USER_FILE, "user")] if user else []
    layers += [parse_user_layer(system, SYSTEM_FILE, "system")] if system else []
    return Configuration(layers)


@pytest.mark.parametrize(
    ("environment", "project", "user", "system", "value", "kind", "place"),
    [
        ({}, "", "", "", 16, "default", ""),
        ({}, "", "", "ship: {parallel_sites: 2}", 2, "system", f"{SYSTEM_FILE}:1:24"),
        ({}, "", "ship: {parallel_sites: 3}", "ship: {parallel_sites: 2}", 3, "user", f"{USER_FILE}:1:24"),
        ({}, "ship:\n  parallel_sites: 4", "ship: {parallel_sites: 3}", "", 4, "project", "hpcbake.yaml:2:19"),
        ({"HPCBAKE_JOBS": "5"}, "ship: {parallel_sites: 4}", "", "", 5, "environment", "HPCBAKE_JOBS"),
        ({"HPCBAKE_JOBS": ""}, "ship: {parallel_sites: 4}", "", "", 4, "project", "hpcbake.yaml:1:24"),
        ({}, "ship: {way: stream}", "ship: {parallel_sites: 3}", "", 3, "user", f"{USER_FILE}:1:24"),
        ({}, "ship: {parallel_sites: null}", "ship: {parallel_sites: 3}", "", 3, "user", f"{USER_FILE}:1:24"),
    ],
)
def test_the_strongest_that_says_something_counts(
    environment: dict[str, str], project: str, user: str, system: str, value: int, kind: str, place: str
) -> None:
    """Key by key: a section of the project file does not hide what the user's file says of other keys."""
    chosen = all_layers(environment, project, user, system).choose("ship.parallel_sites")
    assert (chosen.value, chosen.kind, chosen.place) == (value, kind, place)


def test_the_project_is_what_all_layers_say() -> None:
    """Sections are put together key by key; a list is taken whole."""
    configuration = all_layers(
        {"HPCBAKE_RETENTION_RUNS": "7"},
        "retention: {releases: 5}\nnightly: {sites: [alder]}",
        "retention: {releases: 9, days: 3}\nnightly: {sites: [birch], jitter: 5m}",
    )
    project = configuration.project()
    assert (project.retention.releases, project.retention.days, project.retention.runs) == (5, 3, 7)
    assert (project.nightly.sites, project.nightly.jitter_s) == (("alder",), 300.0)


def test_nothing_said_is_the_plain_project() -> None:
    """The defaults of the table are those of the values."""
    assert Configuration([]).project() == Project()


def test_a_builder_of_this_call_is_for_every_target() -> None:
    """Whoever sets the variable means it; buildx's own variable counts, too, after ours."""
    text = "builder: farm\nbuilders: [{builder: gpu-box, targets: [cuda]}]"
    assert all_layers({}, text).project().builders.of("cuda") == "gpu-box"
    assert all_layers({"BUILDX_BUILDER": "mine"}, text).project().builders.of("cuda") == "mine"
    both = {"BUILDX_BUILDER": "mine", "HPCBAKE_BUILDER": "ours"}
    assert all_layers(both, text).project().builders.of("app") == "ours"


def test_lists_have_commas_in_a_variable() -> None:
    """Blanks around them do not count."""
    assert all_layers({"HPCBAKE_NIGHTLY_SITES": "alder, b*"}).value("nightly.sites") == ("alder", "b*")


def test_every_wrong_variable_is_named() -> None:
    """All at once, with what was expected."""
    with pytest.raises(ConfigError) as caught:
        read_environment({"HPCBAKE_JOBS": "many", "HPCBAKE_WAY": "donkey"})
    assert caught.value.message.startswith("environment variable HPCBAKE_JOBS: expected a whole number")
    assert "HPCBAKE_WAY: expected" in str(caught.value.evidence["output"])


def test_a_secret_file_lies_beside_the_file_that_names_it() -> None:
    """Not in whatever folder hpcbake is called in; a path from home stays one."""
    text = """
notifications:
  webhooks:
    - {name: a, url_file: chat, headers: [{name: Authorization, file: /run/token}], secret_file: ~/secret}
"""
    (webhook,) = all_layers({}, user=text).project().notifications.webhooks
    assert webhook.address.source == SecretSource(file="/home/me/.config/hpcbake/chat")
    assert webhook.headers == (("Authorization", SecretSource(file="/run/token")),)
    assert webhook.secret == SecretSource(file="~/secret")


def test_a_users_file_of_comments_says_nothing() -> None:
    """As one that is being written does."""
    assert parse_user_layer("# later\n", USER_FILE, "user").values == {}


def test_contradictions_name_their_file() -> None:
    """Though the values of all files are put together later."""
    with pytest.raises(ConfigError, match=str(USER_FILE)):
        parse_user_layer("notifications: {webhooks: [{name: a}]}", USER_FILE, "user")


def test_a_mistyped_variable_is_told() -> None:
    """With what was probably meant; those of the lab and of jobs are none of ours."""
    (line,) = unknown_variables({"HPCBAKE_JBOS": "3", "HPCBAKE_JOBS": "3", "HPCBAKE_LAB_NAME": "x", "PATH": ""})
    assert line == "HPCBAKE_JBOS is not a setting; did you mean HPCBAKE_JOBS?"


def test_every_setting_is_said_in_one_place_only() -> None:
    """No two settings share a variable or a flag; every one is documented; defaults are of the right kind."""
    variables = [name for setting in SETTINGS.values() for name in setting.variables]
    flags = [setting.flag for setting in SETTINGS.values() if setting.flag]
    assert len(set(variables)) == len(variables)
    assert len(set(flags)) == len(flags)
    for setting in SETTINGS.values():
        assert setting.doc, setting.key
        assert isinstance(setting.default, tuple) == setting.is_list or setting.default is None, setting.key
