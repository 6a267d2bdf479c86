"""Which config files a project has, and what each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path

import yaml

from hpcbake.bakefile.lookup import DEFAULT_NAMES, names_from_environment
from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.late import dataclass
from hpcbake.sites.nodes import DeepNestingError, compose
from hpcbake.validation.place import scalars_at

PROJECT_FILE = "hpcbake.yaml"
#: As in hpcbake.check.policy, which takes long to load: most projects have none.
POLICY_FILE = "hpcbake-check.yaml"
SITE_SCHEMA = "site.schema.json"
PROJECT_SCHEMA = "project.schema.json"
TEMPLATE_FOLDER = "slurm"
DEFAULT_SITE_CONFIGS = Path("site-configs")


class Kind(Enum):
    """What a config file is, as the JSON document names it."""

    BAKE = "bake"
    PROJECT = "project"
    SITE = "site"
    PROFILE = "profile"
    POLICY = "policy"
    TEMPLATE = "template"
    SCHEMA = "schema"
    SETTINGS = "settings"


@dataclass(frozen=True)
class ConfigFile:
    """One file: its path as it is shown and opened, and what it is."""

    path: str
    kind: Kind


def find_config_files(folder: Path, site_configs: Path, environment: Mapping[str, str]) -> list[ConfigFile]:
    """Every config file of the project in `folder`, in the order in which a run needs them.

    `site_configs` is its folder of site configs, relative to `folder` or absolute; where that is what hpcbake takes
    without being told, the project file may name another.
    """
    says = _project_says(folder / PROJECT_FILE)
    if site_configs == DEFAULT_SITE_CONFIGS and says("site_configs"):
        site_configs = Path(says("site_configs")[0])
    named = says("bake", "files", "*") or names_from_environment(environment)
    named = named or [name for name in DEFAULT_NAMES if (folder / name).exists()]
    found = [ConfigFile(str(folder / name), Kind.BAKE) for name in named]
    for name, kind in ((PROJECT_FILE, Kind.PROJECT), (POLICY_FILE, Kind.POLICY)):
        if (folder / name).exists():
            found.append(ConfigFile(str(folder / name), kind))
    return [*found, *_listed(folder / site_configs), *_templates(folder / TEMPLATE_FOLDER)]


def _project_says(path: Path) -> Callable[..., list[str]]:
    """What a project file has at a path of keys; nothing where it cannot be read, which is told elsewhere."""
    try:
        node, _ = compose(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, DeepNestingError):
        node = None
    return lambda *keys: [scalar.value for scalar in scalars_at(node, *keys) if scalar.value]


def _listed(site_configs: Path) -> Iterator[ConfigFile]:
    for path in _visible(site_configs):
        if path.suffix in (".yaml", ".yml"):
            yield ConfigFile(str(path), Kind.SITE)
    for path in _visible(site_configs / "profiles"):
        if path.suffix == ".yaml":
            yield ConfigFile(str(path), Kind.PROFILE)
    for name in (SITE_SCHEMA, PROJECT_SCHEMA):
        if (site_configs / name).is_file():
            yield ConfigFile(str(site_configs / name), Kind.SCHEMA)


def _templates(folder: Path) -> Iterator[ConfigFile]:
    for path in _visible(folder):
        if path.suffix == ".j2":
            yield ConfigFile(str(path), Kind.TEMPLATE)


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, without what editors leave there. Raises ConfigError for one that cannot be listed."""
    try:
        return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be listed: {error.strerror}", remedy="check its mode", kind="config.unreadable"
        ) from error


def kind_of(path: Path) -> Kind:
    """What a file is that the user names, by its name and place. Raises UsageError for one that nobody reads."""
    name = path.name.lower()
    if path.name in (PROJECT_FILE, POLICY_FILE):
        return Kind.PROJECT if path.name == PROJECT_FILE else Kind.POLICY
    if name.endswith((".hcl", "bake.json")) or path.name in DEFAULT_NAMES or "bake" in name:
        return Kind.BAKE
    if name.endswith(".schema.json"):
        return Kind.SCHEMA
    if name.endswith(".j2"):
        return Kind.TEMPLATE
    if name.endswith((".yaml", ".yml")):
        return Kind.PROFILE if path.parent.name == "profiles" else Kind.SITE
    raise UsageError(
        f"{path}: hpcbake reads no file of this kind",
        remedy=f"name a bake file, {PROJECT_FILE}, {POLICY_FILE}, a site config, a job template, or a project's folder",
    )


def asked_files(paths: Sequence[Path]) -> tuple[list[Path], list[ConfigFile]]:
    """The project folders and the single files among what the user names. Raises UsageError for what is not there."""
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder", remedy="name a project's folder or one of its files")
    folders = [path for path in paths if path.is_dir()]
    return folders, [ConfigFile(str(path), kind_of(path)) for path in paths if not path.is_dir()]
