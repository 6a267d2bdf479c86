"""What `sites show` says of a config: every key, where it comes from, and nothing that another reading would change."""

from __future__ import annotations

import dataclasses

import pytest

from hpcbake.sites import parse_site
from hpcbake.sites.effective import effective_settings, render_settings

SMALL = "name: here\nlogin:\n  host: login.example.org\nstore: {root: /scratch}\n"
FULL = """# comment
name: here
description: 'a # b: c'
login: {host: login, user: me, port: 2222, transport: openssh, connect_timeout: 90s, ssh_config: "${CONF:-/x y}"}
store:
  root: /scratch
  mode: "0640"
runtime:
  prelude: |
    . /etc/profile

    module load apptainer
  pull_timeout: 1.5h
  plain_http: ["localhost:5000", other]
slurm: {partition: "a,b", time_limit: 22:22, poll_interval: 0.5s, account: no}
profile:
  glibc: 2.30
  gpu: {mode: nv, driver: 550.54}
  inject:
    - {name: nvidia, needs: [GLIBC_2.17, GLIBC_2.30], execstack: true}
"""


@pytest.mark.parametrize("content", [SMALL, FULL])
def test_what_is_shown_is_itself_the_config(content: str) -> None:
    """Read again, it is the same site: nothing is lost, rounded or retyped."""
    site = parse_site(content, "here.yaml", environment={})
    shown = render_settings(effective_settings(site, content), "here.yaml")
    assert parse_site(shown, "here.yaml", environment={}) == site


def test_every_setting_says_where_it_comes_from() -> None:
    """The line of the file, or that it is the default, or that nobody declared it."""
    site = parse_site(FULL, "here.yaml", environment={})
    lines = {item.key: item.line for item in effective_settings(site, FULL)}
    assert (lines["name"], lines["login.host"], lines["runtime.prelude"], lines["store.group"]) == (2, 4, 9, None)
    shown = render_settings(effective_settings(site, FULL), "here.yaml").splitlines()
    assert next(line for line in shown if line.startswith("  mode:")).endswith("# here.yaml:7")
    assert next(line for line in shown if "pull_timeout" in line).split() == [
        "pull_timeout:",
        "5400",
        "#",
        "here.yaml:13",
    ]
    assert next(line for line in shown if "program" in line).endswith("# default")
    assert next(line for line in shown if "qos" in line).endswith("# not declared")


def test_text_stays_text() -> None:
    """What YAML would read as a float, a time in seconds or a truth value is shown as it was written."""
    site = parse_site(FULL, "here.yaml", environment={})
    values = {item.key: item.value for item in effective_settings(site, FULL)}
    assert values["profile.glibc"] == "2.30"
    assert values["slurm.time_limit"] == "22:22"
    assert values["slurm.account"] == "no"


def test_every_field_of_a_site_is_shown() -> None:
    """None is forgotten when the model grows."""
    site = parse_site(SMALL, "here.yaml", environment={})
    shown = {item.key for item in effective_settings(site, SMALL)}
    for section in ("login", "store", "runtime", "slurm", "profile"):
        for field in dataclasses.fields(getattr(site, section)):
            name = f"{section}.{field.name.removesuffix('_s')}"
            assert name in shown or any(key.startswith(f"{name}.") for key in shown), name
