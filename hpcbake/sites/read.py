"""Reads site configs from a folder: all of them or some, every mistake of every file at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.site import Gpu, GpuJobs, Injection, Login, Partition, Profile, Runtime, Site, Slurm, Store
from hpcbake.sites.document import parse_document, suggest
from hpcbake.sites.schema import SITE

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def parse_site(content: str, path: str, *, environment: Mapping[str, str]) -> Site:
    """One site config as a Site. Raises ConfigError showing every mistake with line, column and remedy."""
    values = parse_document(content, path, SITE)
    stem = Path(path).stem
    if values["name"] != stem:
        raise ConfigError(
            f"{path}: `name: {values['name']}` does not fit the file's name",
            remedy=f"write `name: {stem}` or rename the file to {values['name']}.yaml",
            kind="config.site",
        )
    return Site(
        name=values["name"],
        description=values.get("description", ""),
        login=_login(values["login"], path, environment),
        store=Store(**values["store"]),
        runtime=Runtime(**_renamed(values.get("runtime", {}), pull_timeout="pull_timeout_s")),
        slurm=_slurm(values.get("slurm", {})),
        profile=profile_from_values(values.get("profile", {})),
        path=path,
    )


def _login(values: dict[str, Any], path: str, environment: Mapping[str, str]) -> Login:
    values = _renamed(values, connect_timeout="connect_timeout_s", persist="persist_s")
    if "ssh_config" in values:
        values["ssh_config"] = expand_variables(values["ssh_config"], path, environment)
    login = Login(**values)
    needs = (("ask", login.ask, "can ask"), ("persist", login.persist_s, "can leave a connection open"))
    for key, is_wanted, can in needs:
        if is_wanted and login.transport != "openssh":
            raise ConfigError(
                f"{path}: `login.{key}` needs `login.transport: openssh`, the only one that {can}",
                remedy=f"write `transport: openssh`, or leave `{key}` away",
                kind="config.site",
            )
    return login


def _slurm(values: dict[str, Any]) -> Slurm:
    values = _renamed(
        values, queue_deadline="queue_deadline_s", run_deadline="run_deadline_s", poll_interval="poll_interval_s"
    )
    if "gpu" in values:
        values["gpu"] = GpuJobs(**values["gpu"])
    return Slurm(**values)


def profile_from_values(values: dict[str, Any]) -> Profile:
    """The profile section of a document that was read with its schema."""
    values = dict(values)
    if "gpu" in values:
        values["gpu"] = Gpu(**values["gpu"])
    if "inject" in values:
        values["inject"] = tuple(Injection(**item) for item in values["inject"])
    if values.get("partitions"):
        values["partitions"] = tuple(Partition(**item) for item in values["partitions"])
        levels = [partition.cpu_level for partition in values["partitions"]]
        values["cpu_level"] = min([*levels, *filter(None, [values.get("cpu_level")])])
    return Profile(**values)


def _renamed(values: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in values.items()}


def expand_variables(text: str, path: str, environment: Mapping[str, str]) -> str:
    """Replace `${NAME}` and `${NAME:-default}`. Raises ConfigError where there is neither value nor default."""

    def value_of(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        value = environment.get(name) or default
        if value is None:
            raise ConfigError(
                f"{path}: ${{{name}}} is not set",
                remedy=f"set {name}, or write ${{{name}:-default}}",
                kind="config.site",
            )
        return value

    return _VARIABLE.sub(value_of, text)


def read_site(path: Path, *, environment: Mapping[str, str]) -> Site:
    """The site config in this file. Raises ConfigError."""
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file",
            remedy="check the path; hpcbake sites list shows the sites that are declared here",
            kind="config.missing",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read: {error}",
            remedy="check its permissions, and that it is UTF-8 text",
            kind="config.unreadable",
        ) from error
    return parse_site(content, str(path), environment=environment)


def find_sites(
    folder: Path,
    names: Sequence[str] = (),
    *,
    environment: Mapping[str, str],
    left_out: list[ConfigError] | None = None,
) -> list[Site]:
    """The named sites of this folder, or all of them, by name. Folders below it are not looked into.

    Raises ConfigError with the mistakes of all files at once, UsageError for a name that no file has. With `left_out`
    the mistakes of single files are added to it instead, as long as one site is left.
    """
    try:
        # Hidden ones are what editors and macOS leave beside a file.
        found = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot list the site configs: {error.strerror}",
            remedy="name their folder with --site-configs, or write one from the examples",
            kind="config.missing",
        ) from error
    other = [path.name for path in found if path.suffix == ".yml"]
    if other:
        raise ConfigError(
            f"{folder}: {', '.join(other)} would be passed over: site configs end in .yaml",
            remedy="rename it to .yaml, or move it elsewhere",
            kind="config.site",
        )
    files = {path.stem: path for path in found if path.suffix == ".yaml"}
    for name in names:
        if name not in files:
            raise UsageError(
                f"no site {name!r} in {folder}",
                remedy=suggest(name, files).replace("known keys", "known sites"),
                kind="config.usage",
            )
    wanted = [files[name] for name in dict.fromkeys(names)] if names else list(files.values())
    if not wanted:
        raise ConfigError(
            f"{folder}: holds no site config (*.yaml)",
            remedy="write one: docs/reference/site-config.md shows every key",
            kind="config.missing",
        )
    return _read_all(wanted, environment, left_out)


def _read_all(paths: Sequence[Path], environment: Mapping[str, str], left_out: list[ConfigError] | None) -> list[Site]:
    sites: list[Site] = []
    failures: list[ConfigError] = []
    for path in paths:
        try:
            sites.append(read_site(path, environment=environment))
        except ConfigError as error:
            failures.append(error)
    if sites and left_out is not None:
        left_out += failures
        return sites
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ConfigError(
            f"{len(failures)} site configs are wrong",
            remedy="mend them, name the sites you want with --site, or add --keep-going-sites; nothing was started",
            kind="config.site",
            evidence={"output": "\n".join(str(f.evidence.get("output") or f.message) for f in failures)},
        )
    return sites
