"""The reference page of all settings: key, flag, environment variable and default, from the table that reads them."""

from __future__ import annotations

from key_tables import value_text
from tables import NOTE, code, table

from hpcbake.ship.setting_table import OTHER_VARIABLES, SETTINGS, Setting


def render_settings() -> str:
    rows = [
        (
            f"`{key}`" + (" ¹" if setting.is_of_one_project else ""),
            code(setting.flag) if setting.flag else "",
            " or ".join(map(code, setting.variables)),
            value_text(setting.field.schema).replace(", see below", ""),
            _default(setting),
            setting.doc,
        )
        for key, setting in SETTINGS.items()
    ]
    return (
        f"# Settings\n\n{NOTE}\n"
        "What is said in several places counts in this order: the flag, the environment variable, the project file\n"
        "(`hpcbake.yaml` of the folder), the user's file (`$XDG_CONFIG_HOME/hpcbake/config.yaml`, usually\n"
        "`~/.config/hpcbake/config.yaml`), the machine's files (`hpcbake/config.yaml` in each folder of\n"
        "`$XDG_CONFIG_DIRS`, usually `/etc/xdg`, then `/etc/hpcbake/config.yaml`), the default. A list is taken whole\n"
        "from the first place that has it. `hpcbake config show --origin` says what holds here and who said so. How\n"
        "to: [configure hpcbake](../how-to/configure.md).\n\n"
        "A dot stands for a level: `ship.way` is the key `way` under `ship`. ¹ In a project file only. In an\n"
        "environment variable the items of a list have commas between them, and an empty variable says nothing.\n\n"
        + table(("key", "flag", "environment variable", "value", "default", "what it is"), rows)
        + "\n## Other variables\n\n"
        + table(("environment variable", "what it is"), [(code(name), text) for name, text in OTHER_VARIABLES.items()])
    )


def _default(setting: Setting) -> str:
    if setting.default_words:
        return setting.default_words
    if setting.default is None or setting.default == ():
        return ""
    if isinstance(setting.default, float):
        return code(f"{setting.default:g}s")
    return code(str(setting.default).lower() if isinstance(setting.default, bool) else setting.default)
