"""Every setting in one table: its key in files, its flag, its environment variable, its default.

Flags' defaults, the reading of the environment, `hpcbake config show` and docs/reference/settings.md come from it.
What a setting may be, and what it is for, stands with its key in hpcbake/ship/project_keys.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpcbake.deliver.convert import ConvertSettings
from hpcbake.model.late import dataclass
from hpcbake.model.notification import Notifications
from hpcbake.ship.project_keys import PROJECT, SECTIONS, USER
from hpcbake.ship.project_parts import BakeDefaults, Nightly, Retention, TagPolicy
from hpcbake.sites.document import Field

#: Flags by the key that they stand before. Those of `gc` are its own: its default differs.
_FLAGS: Mapping[str, str] = {
    "bake.files": "--file",
    "bake.targets": "--target",
    "site_configs": "--site-configs",
    "builder": "--builder",
    "ship.all_or_none": "--all-or-none",
    "ship.parallel_sites": "--jobs",
    "ship.lock_wait": "--lock-wait",
    "ship.way": "--way",
    "ship.progress": "--progress",
    "report.json": "--report",
    "report.junit": "--junit",
    "report.github": "--github",
    "report.prometheus": "--prometheus",
    "report.html": "--html",
    "log.level": "--log-level",
    "retention.releases": "--keep",
    "retention.days": "--days",
    "nightly.jitter": "--jitter",
    "nightly.refresh_base": "--refresh-base",
}

#: Variables that are not HPCBAKE_ and the flag's or key's name. The first that is set counts.
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "builder": ("HPCBAKE_BUILDER", "BUILDX_BUILDER"),
    "bake.files": ("HPCBAKE_BAKE_FILES",),
    "bake.targets": ("HPCBAKE_BAKE_TARGETS",),
    "convert.program": ("HPCBAKE_APPTAINER",),
    "retention.releases": ("HPCBAKE_RETENTION_RELEASES",),
    "retention.days": ("HPCBAKE_RETENTION_DAYS",),
}

#: What holds where nobody says anything, for keys whose section has no class of its own.
_DEFAULTS: Mapping[str, object] = {
    "site_configs": "site-configs",
    "ship.all_or_none": False,
    "ship.parallel_sites": 16,
    "ship.lock_wait": 300.0,
    "ship.progress": "auto",
    "log.level": "info",
    "regression.factor": "1.5",
}

_CLASSES: Mapping[str, object] = {
    "bake": BakeDefaults(),
    "tags": TagPolicy(),
    "retention": Retention(),
    "notifications": Notifications(),
    "nightly": Nightly(),
    "convert": ConvertSettings(),
}

#: The same in words, where it is no constant.
_DEFAULT_WORDS: Mapping[str, str] = {
    "bake.files": "those that buildx reads",
    "bake.targets": "the group `default`",
    "deploy": "every target to every site",
    "state": "`hpcbake` in the user's state folder",
    "builder": "the one that buildx uses",
    "ship.way": "what each site config says",
    "smoke": "`cpu` for every target",
    "retention.releases": "none is removed after a ship; `hpcbake gc` keeps 3",
    "convert.processors": "all",
    "tags.only": "all",
    "nightly.targets": "all",
    "nightly.sites": "all",
}


@dataclass(frozen=True)
class Setting:
    """One setting. `variables` are environment variables in the order in which they are asked."""

    key: str
    field: Field
    flag: str
    variables: tuple[str, ...]
    default: Any
    default_words: str
    is_of_one_project: bool

    @property
    def doc(self) -> str:
        return self.field.doc

    @property
    def is_list(self) -> bool:
        return self.field.schema.get("type") == "array"


def _leaves() -> Iterator[tuple[str, Field]]:
    """Keys that hold a value or a list, with a dot between section and key."""
    for name, field in PROJECT.fields.items():
        if name in SECTIONS:
            for inner, entry in SECTIONS[name].fields.items():
                yield f"{name}.{inner}", entry
        else:
            yield name, field


def _setting(key: str, field: Field) -> Setting:
    section, _, name = key.rpartition(".")
    owner = _CLASSES.get(section)
    known = vars(owner) if owner is not None else {}  # not its fields: asking for them would complete the class
    attribute = next((word for word in (name, f"{name}_s") if word in known), None)
    flag = _FLAGS.get(key, "")
    spelt = (flag.lstrip("-") or key).replace("-", "_").replace(".", "_").upper()
    return Setting(
        key,
        field,
        flag,
        _VARIABLES.get(key, (f"HPCBAKE_{spelt}",)) if _is_plain(field) else (),
        getattr(owner, attribute) if attribute else _DEFAULTS.get(key),
        _DEFAULT_WORDS.get(key, ""),
        key.partition(".")[0] not in USER.fields,
    )


def _is_plain(field: Field) -> bool:
    """Can it be said in one text? A value can, and a list of values; mappings cannot."""
    schema: Any = field.schema
    return bool(schema.get("items", schema).get("type") != "object")


SETTINGS: Mapping[str, Setting] = {key: _setting(key, field) for key, field in _leaves()}

#: Variables that only the environment can set, with what each is for.
OTHER_VARIABLES: Mapping[str, str] = {
    "HPCBAKE_CA_FILE": "certificates of the authorities that registries are trusted by, in one PEM file",
    "HPCBAKE_CACHE_DIR": "folder of what can be made again: scanned layers, converted SIFs",
}
