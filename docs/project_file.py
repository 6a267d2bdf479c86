"""The reference page of the project file: every key, section by section, from the table that its reader uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from key_tables import default_text, value_text
from tables import NOTE, code, table

from hpcbake.deliver.convert import ConvertSettings
from hpcbake.model.artefacts import SmokeTest
from hpcbake.model.notification import Address, Healthcheck, Notifications, Webhook
from hpcbake.ship.project_keys import PROJECT
from hpcbake.ship.project_parts import BakeDefaults, Nightly, Retention, TagPolicy

_DEFAULTS: Mapping[str, object] = {
    "bake": BakeDefaults(),
    "tags": TagPolicy(),
    "smoke": SmokeTest(name=""),
    "convert": ConvertSettings(),
    "retention": Retention(),
    "nightly": Nightly(),
    "notifications": Notifications(),
    "notifications.webhooks": Webhook("", Address()),
    "notifications.healthcheck": Healthcheck(Address()),
}

_EXAMPLE = """\
```yaml
bake:
  files: [docker-bake.hcl]
  targets: [solver, viewer]
deploy:                             # which targets go to which sites
  - {targets: [solver], sites: ["*"]}
  - {targets: [viewer], sites: [alder]}
smoke:
  - {name: version, targets: [solver], command: [solve, --version], expect_stdout: "solve 4"}
expose:
  - {targets: [solver], commands: [solve, mesh]}
retention: {releases: 5}            # a ship that promotes removes older ones
notifications:
  webhooks:
    - {name: chat, url_env: CHAT_URL, format: text, events: [failed, recovered]}
  healthcheck: {url_file: ~/.config/hpcbake/healthcheck}
```
"""


def render_project_file() -> str:
    parts = [
        f"# The project file\n\n{NOTE}\n"
        "`hpcbake.yaml`, beside the bake file. Optional: without it every target of the default group goes to every\n"
        "site of `site-configs/`, gets the smoke test `cpu`, and no command is put on PATH. How to use it:\n"
        "[smoke tests](../how-to/smoke-tests.md).\n\n",
        _EXAMPLE,
        "\nEditors that know the YAML language server check the file while you type if it begins with\n"
        "`# yaml-language-server: $schema=site-configs/project.schema.json`\n"
        "([project.schema.json](../../site-configs/project.schema.json); `hpcbake init` writes both).\n"
        "Unknown keys are mistakes, not warnings; all mistakes are shown at once, with their places, and nothing\n"
        "starts.\n",
    ]
    for title, name, schema in _sections("", PROJECT.schema()):
        parts += [f"\n## {title or 'Top level'}\n\n", _key_table(name, schema)]
    parts.append(
        "\nAn item of `smoke` that has a `command` and no `template` uses the template `command`. Targets are named\n"
        "as in the resolved plan (`hpcbake print` shows the names); `*`, `?` and `[abc]` match as in a shell. With\n"
        "`deploy`, a target that no item names goes to no site.\n"
    )
    return "".join(parts)


def _sections(name: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every mapping of the file with its title and its dotted name, outer ones first."""
    title = f"Items of `{name}`" if "items" in schema else f"`{name}`" if name else ""
    section = schema.get("items", schema)
    yield title, name, section
    for key, entry in section["properties"].items():
        if entry.get("items", entry).get("type") == "object":
            yield from _sections(f"{name}.{key}".lstrip("."), entry)


def _key_table(name: str, section: Mapping[str, Any]) -> str:
    defaults, required = _DEFAULTS.get(name), section.get("required", ())
    rows = [
        (code(key), value_text(entry), default_text(key, defaults, required=key in required), entry["description"])
        for key, entry in section["properties"].items()
    ]
    return table(("key", "value", "default", "what it is"), rows)
