"""All of it: find the files, look at each, compare them, and keep what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hpcbake.errors import ConfigError
from hpcbake.validation.agree import Names, find_disagreements, test_names
from hpcbake.validation.bake import look_at_bake_files
from hpcbake.validation.files import ConfigFile, Kind, asked_files, find_config_files
from hpcbake.validation.problem import Problem, Validation
from hpcbake.validation.single import Looked, look_at, read_source

_SUFFIX = ".sbatch.j2"


def validate(
    paths: Sequence[Path],
    *,
    folder: Path,
    site_configs: Path,
    environment: Mapping[str, str],
    local_platform: str,
    settings: Sequence[Path] = (),
) -> Validation:
    """Look at the project in `folder`, or at the named files and project folders.

    `settings` are the files of the user and of the machine that hold beside a project's, those that are there. A file
    that is named is compared with the rest of the project that it belongs to, whose own mistakes are not told then.
    Raises UsageError for a path that is not there, ConfigError where there is nothing to look at.
    """
    folders, asked = asked_files(paths)
    found: list[Validation] = []
    for place in folders or ([] if asked else [folder]):
        files = find_config_files(place, site_configs, environment)
        found.append(_validate_files(files, place, environment, local_platform))
    if asked:
        found.append(_validate_asked(asked, folder, site_configs, environment, local_platform))
    if not paths:
        own = [ConfigFile(str(path), Kind.SETTINGS) for path in settings if path.exists()]
        found = [_validate_files(own, folder, environment, local_platform), *found] if found[0].files else found
    if not any(validation.files for validation in found):
        raise ConfigError(
            f"there is no config file in {_shown(folders, folder)}: no bake file, hpcbake.yaml or site config",
            remedy="go to the project's folder, or begin one: hpcbake init",
            kind="config.missing",
        )
    return Validation(
        tuple(file for validation in found for file in validation.files),
        tuple(problem for validation in found for problem in validation.problems),
    )


def _shown(folders: Sequence[Path], folder: Path) -> str:
    places = [str(place) for place in folders or [folder]]
    return ", ".join("the current folder" if place == "." else place for place in places)


def _validate_asked(
    asked: Sequence[ConfigFile], folder: Path, site_configs: Path, environment: Mapping[str, str], local_platform: str
) -> Validation:
    """Named files beside the rest of their project; a bake file that buildx would not read by itself stands alone."""
    known = {_real(file): file for file in find_config_files(folder, site_configs, environment)}
    wanted = {_real(file) for file in asked}
    own = [known.get(_real(file), file) for file in asked]
    alone = [file for file in own if file.kind is Kind.BAKE and _real(file) not in known]
    rest = [file for file in known.values() if not (alone and file.kind is Kind.BAKE)]
    files = list(dict.fromkeys([*rest, *own]))
    whole = _validate_files(files, folder, environment, local_platform)
    kept = [problem for problem in whole.problems if Path(problem.path).resolve() in wanted]
    return Validation(tuple(dict.fromkeys(own)), tuple(kept))


def _real(file: ConfigFile) -> Path:
    return Path(file.path).resolve()


def _validate_files(
    files: Sequence[ConfigFile], folder: Path, environment: Mapping[str, str], local_platform: str
) -> Validation:
    bake_names = [_inside(file, folder) for file in files if file.kind is Kind.BAKE]
    bake = look_at_bake_files(bake_names, folder, environment, local_platform)
    looked = [_look(file, environment) for file in files if file.kind is not Kind.BAKE]
    project = next((item for item in looked if item.file.kind is Kind.PROJECT), None)
    sites = [item.stem for item in looked if item.file.kind is Kind.SITE]
    names = Names(
        targets=bake.targets,
        targets_and_groups=None if bake.targets is None else bake.targets | bake.groups,
        sites=sites or None,
        own_templates=[
            Path(file.path).name.removesuffix(_SUFFIX)
            for file in files
            if file.kind is Kind.TEMPLATE and file.path.endswith(_SUFFIX)
        ],
        tests=test_names(project),
    )
    problems = [*bake.problems, *(problem for item in looked for problem in item.problems)]
    problems += find_disagreements(looked, names)
    return Validation(tuple(files), tuple(_in_order(problems, files)))


def _inside(file: ConfigFile, folder: Path) -> str:
    path = Path(file.path)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path.resolve())


def _look(file: ConfigFile, environment: Mapping[str, str]) -> Looked:
    if file.kind is not Kind.TEMPLATE:
        return look_at(file, environment)
    from hpcbake.bakefile.source import SourceFile
    from hpcbake.validation.template import look_at_template  # Jinja is loaded for those who have templates

    source = read_source(file.path)
    if isinstance(source, Problem):
        return Looked(file, SourceFile(file.path, ""), problems=(source,))
    return Looked(file, source, problems=tuple(look_at_template(source)))


def _in_order(problems: Iterable[Problem], files: Sequence[ConfigFile]) -> list[Problem]:
    order = {file.path: number for number, file in enumerate(files)}
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda problem: (order.get(problem.path, -1), problem.line, problem.column))
