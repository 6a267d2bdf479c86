"""Compose files with everything that they pull in: variables, `extends`, `include`, later files over earlier ones."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.compose.interpolation import Interpolation
from hpcbake.bakefile.compose.layering import lay_over, services_of, unique, without_resets
from hpcbake.bakefile.compose.tree import Node, parse_yaml
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.dotenv import parse_dotenv
from hpcbake.bakefile.source import COMPOSE, SourceFile
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.model.late import dataclass

#: A chain of files that include or extend each other is followed so far.
DEEPEST_CHAIN = 50

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")


@dataclass
class Loader:
    """Loads compose documents in one folder and environment.

    Files are read below `prefix`, which starts at `folder`; the paths in them are made relative to what pulls them in
    by putting `shift` in front.
    """

    folder: Path
    environment: Mapping[str, str]
    warnings: list[Diagnostic] = field(default_factory=list)

    def load(self, files: Sequence[SourceFile], prefix: str = "", shift: str = "", chain: tuple[str, ...] = ()) -> Node:
        """All `files` as one document, later ones over earlier ones, with `shift` in front of relative paths.

        Raises BakeFileError for anything that is not a compose file.
        """
        merged: Node | None = None
        for file in files:
            for document in parse_yaml(file):
                _require_mapping(document)
                merged = self._add_document(merged, document, file, prefix, chain)
        if merged is None or not merged.mapping:
            name = files[0].name if files else ""
            raise BakeFileError(
                Diagnostic(codes.COMPOSE_SYNTAX, f"{name} is an empty compose file", help="add services: to it")
            )
        return _with_paths(merged, shift, self.environment)

    def _add_document(
        self, merged: Node | None, document: Node, file: SourceFile, prefix: str, chain: tuple[str, ...]
    ) -> Node:
        interpolation = Interpolation(self.environment)
        document = interpolation.apply(document)
        self.warnings += [w for w in interpolation.unset if all(w.message != known.message for known in self.warnings)]
        document = _check_services(document)
        document = self._with_extends(document, file, prefix)
        document = self._with_includes(document, file, prefix, chain)
        layered = lay_over(merged, document) if merged else document
        return _canonical(without_resets(layered))

    # extends -----------------------------------------------------------------------------------------------------

    def _with_extends(self, document: Node, file: SourceFile, prefix: str) -> Node:
        services = document.get("services")
        if services is None:
            return document
        extended = {name: self._extended(name, services.mapping, file, prefix, ()) for name in services.mapping}
        return document.with_value({**document.mapping, "services": services.with_value(extended)})

    def _extended(
        self, name: str, services: Mapping[str, Node], file: SourceFile, prefix: str, chain: tuple[str, ...]
    ) -> Node:
        service = services[name]
        extends = service.get("extends")
        if extends is None:
            return service
        base_name, base_file = _extends_of(name, extends)
        step = f"{file.name}#{name}"
        if step in chain or len(chain) >= DEEPEST_CHAIN:
            raise _failure(
                codes.COMPOSE_REFERENCE, f"service {name} extends itself in a circle", extends, "remove one extends"
            )
        if base_file is None:
            if base_name not in services:
                raise _failure(
                    codes.COMPOSE_REFERENCE,
                    f'cannot extend service "{name}": service "{base_name}" not found',
                    extends,
                    did_you_mean(base_name, services, what="service"),
                )
            base = self._extended(base_name, services, file, prefix, (*chain, step))
        else:
            base = self._extended_from_file(name, base_name, base_file, extends, prefix, (*chain, step))
        merged = lay_over(base, service, ("services", name))
        return merged.with_value({key: value for key, value in merged.mapping.items() if key != "extends"})

    def _extended_from_file(
        self, name: str, base_name: str, base_file: str, extends: Node, prefix: str, chain: tuple[str, ...]
    ) -> Node:
        place = posixpath.join(prefix, base_file)
        source = self._read(place, extends)
        base_prefix = posixpath.dirname(place)
        services: dict[str, Node] = {}
        for document in parse_yaml(source):
            _require_mapping(document)
            interpolation = Interpolation(self.environment)
            services.update(services_of(_check_services(interpolation.apply(document))))
        if base_name not in services:
            raise _failure(
                codes.COMPOSE_REFERENCE,
                f'cannot extend service "{name}": service "{base_name}" not found in {base_file}',
                extends,
                did_you_mean(base_name, services, what="service"),
            )
        service = self._extended(base_name, services, source, base_prefix, chain)
        only = extends.with_value({"services": extends.with_value({base_name: service})})
        # Relative to the file that is extended, made relative to the one that extends it.
        below = posixpath.dirname(base_file)
        resolved = services_of(_with_paths(_canonical(without_resets(only)), below, self.environment, defaults=False))
        return resolved[base_name]

    # include -----------------------------------------------------------------------------------------------------

    def _with_includes(self, document: Node, file: SourceFile, prefix: str, chain: tuple[str, ...]) -> Node:
        include = document.get("include")
        if include is None:
            return document
        if not isinstance(include.value, list):
            raise _failure(codes.COMPOSE_SCHEMA, "`include` must be a list", include, "write it as a list: [file.yaml]")
        chain = (*chain, posixpath.join(prefix, posixpath.basename(file.name)) if prefix else file.name)
        for entry in include.value:
            document = _import(self._included(entry, prefix, chain), document)
        return document.with_value({key: value for key, value in document.mapping.items() if key != "include"})

    def _included(self, entry: Node, prefix: str, chain: tuple[str, ...]) -> Node:
        places = [posixpath.join(prefix, path) for path in _texts(entry.get("path") or entry)]
        if not places:
            raise _failure(codes.COMPOSE_SCHEMA, "an include needs a path", entry, "write path: file.yaml")
        if places[0] in chain or len(chain) >= DEEPEST_CHAIN:
            raise _failure(
                codes.COMPOSE_REFERENCE, f"include cycle detected: {places[0]}", entry, "remove one of the includes"
            )
        sources = [self._read(place, entry) for place in places]
        shift = posixpath.dirname(_texts(entry.get("path") or entry)[0])
        project = entry.get("project_directory")
        if project is not None and isinstance(project.value, str):
            is_there = (self.folder / prefix / project.value).is_dir()
            shift = project.value if is_there else posixpath.dirname(project.value)
        inner = posixpath.join(prefix, shift)
        environment = {**self._include_environment(entry, prefix, inner), **self.environment}
        return Loader(self.folder, environment, self.warnings).load(sources, inner, shift, chain)

    def _include_environment(self, entry: Node, prefix: str, inner: str) -> dict[str, str]:
        env_file = entry.get("env_file")
        if env_file is not None:
            places = [posixpath.join(prefix, path) for path in _texts(env_file)]
        else:
            places = [posixpath.join(inner, ".env")]
            if not (self.folder / places[0]).is_file():
                return {}
        variables: dict[str, str] = {}
        for place in places:
            variables.update(self.read_env_file(place, self.environment, env_file or entry))
        return variables

    # files -------------------------------------------------------------------------------------------------------

    def _read(self, place: str, node: Node) -> SourceFile:
        try:
            text = (self.folder / place).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise _failure(
                codes.COMPOSE_REFERENCE, f"{place} cannot be read: {reason}", node, "check the path"
            ) from error
        return SourceFile(place, text, COMPOSE)

    def read_env_file(self, place: str, environment: Mapping[str, str], node: Node) -> dict[str, str]:
        """The variables of the env file at `place`. Raises BakeFileError at `node` when it cannot be read."""
        try:
            return parse_dotenv((self.folder / place).read_text(encoding="utf-8"), environment.get)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise _failure(
                codes.COMPOSE_ENV_FILE,
                f"env file {place} not found: {reason}",
                node,
                "create it, or say required: false",
            ) from error
        except MalformedValueError as malformed:
            raise _failure(
                codes.COMPOSE_ENV_FILE, f"env file {place}: {malformed.message}", node, malformed.help
            ) from malformed


def _require_mapping(document: Node) -> None:
    if not isinstance(document.value, dict):
        raise _failure(codes.COMPOSE_SYNTAX, "top-level object must be a mapping", document, "start with services:")


def _check_services(document: Node) -> Node:
    services = document.get("services")
    if services is None:
        return document
    if not isinstance(services.value, dict):
        raise _failure(codes.COMPOSE_SCHEMA, "services must be a mapping", services, "write a service's name below it")
    for name, service in services.value.items():
        if service.value is not None and not isinstance(service.value, dict):
            raise _failure(codes.COMPOSE_SCHEMA, f"services.{name} must be a mapping", service, "add build: below it")
    return document


def _extends_of(name: str, extends: Node) -> tuple[str, str | None]:
    """The service that is extended, and the file that it is in when that is another one."""
    if isinstance(extends.value, str):
        return extends.value, None
    service, file = extends.get("service"), extends.get("file")
    if service is None or not isinstance(service.value, str):
        raise _failure(codes.COMPOSE_SCHEMA, f"extends.{name}.service is required", extends, "write service: NAME")
    return service.value, file.value if file is not None and isinstance(file.value, str) else None


def _import(source: Node, target: Node) -> Node:
    """`target` with the services and secrets of an included document; the same name twice must mean the same."""
    merged = dict(target.mapping)
    for key in ("services", "secrets"):
        imported = source.get(key)
        if imported is None:
            continue
        own = dict(merged[key].mapping) if key in merged else {}
        for name, node in imported.mapping.items():
            if name in own and own[name].plain() != node.plain():
                raise _failure(
                    codes.COMPOSE_REFERENCE,
                    f"{key}.{name} conflicts with imported resource",
                    own[name],
                    "rename one of the two",
                )
            own[name] = node
        merged[key] = imported.with_value(own)
    return target.with_value(merged)


def _canonical(document: Node) -> Node:
    """`document` with `build: FOLDER` written out, and lists of `key=value` without repetitions."""
    services = document.get("services")
    if services is None:
        return document
    canonical = {name: _canonical_service(service) for name, service in services.mapping.items()}
    return document.with_value({**document.mapping, "services": services.with_value(canonical)})


def _canonical_service(service: Node) -> Node:
    build = service.get("build")
    if build is None:
        return service
    if isinstance(build.value, str):
        build = build.with_value({"context": Node(build.value, build.span)})
    lists = {
        key: unique(node)
        for key, node in build.mapping.items()
        if key in ("args", "labels", "platforms", "tags") and isinstance(node.value, list)
    }
    if isinstance(build.value, dict):
        build = build.with_value({**build.value, **lists})
    return service.with_value({**service.mapping, "build": build})


def _with_paths(document: Node, prefix: str, environment: Mapping[str, str], *, defaults: bool = True) -> Node:
    """`document` with its local paths below `prefix`, and a context for every build that names none."""
    changed = dict(document.mapping)
    if "services" in changed:
        services = {
            name: _service_with_paths(service, prefix, environment, defaults=defaults)
            for name, service in changed["services"].mapping.items()
        }
        changed["services"] = changed["services"].with_value(services)
    if "secrets" in changed:
        secrets = {
            name: _replace(secret, "file", lambda text: below(prefix, text, environment))
            for name, secret in changed["secrets"].mapping.items()
        }
        changed["secrets"] = changed["secrets"].with_value(secrets)
    return document.with_value(changed)


def _service_with_paths(service: Node, prefix: str, environment: Mapping[str, str], *, defaults: bool) -> Node:
    if not isinstance(service.value, dict):
        return service
    env_file = service.get("env_file")
    if env_file is not None:
        service = service.with_value({**service.mapping, "env_file": _env_file_below(env_file, prefix, environment)})
    build = service.get("build")
    if build is None or not isinstance(build.value, dict):
        return service
    if defaults and "context" not in build.value:
        build = build.with_value({**build.value, "context": Node(".", build.span)})
    build = _replace(build, "context", lambda text: context_below(prefix, text, environment))
    contexts = build.get("additional_contexts")
    if contexts is not None:
        build = build.with_value(
            {**build.mapping, "additional_contexts": _contexts_below(contexts, prefix, environment)}
        )
    return service.with_value({**service.mapping, "build": build})


def _env_file_below(node: Node, prefix: str, environment: Mapping[str, str]) -> Node:
    items = node.value if isinstance(node.value, list) else [node]
    changed = []
    for item in items:
        if isinstance(item.value, str):
            changed.append(item.with_value(below(prefix, item.value, environment)))
        else:
            changed.append(_replace(item, "path", lambda text: below(prefix, text, environment)))
    return node.with_value(list(changed))


def _contexts_below(node: Node, prefix: str, environment: Mapping[str, str]) -> Node:
    if isinstance(node.value, list):
        pairs = {}
        for item in node.value:
            key, equals, text = str(item.value).partition("=")
            if not isinstance(item.value, str) or not equals:
                raise _failure(codes.COMPOSE_SCHEMA, "an additional context is name=place", item, "write name=place")
            pairs[key] = item.with_value(text)
        node = node.with_value(dict(pairs))
    changed = {
        key: value.with_value(context_below(prefix, value.value, environment))
        if isinstance(value.value, str)
        else value
        for key, value in node.mapping.items()
    }
    return node.with_value(changed) if isinstance(node.value, dict) else node


def _replace(node: Node, key: str, change: object) -> Node:
    assert callable(change)
    entry = node.get(key)
    if entry is None or not isinstance(entry.value, str):
        return node
    return node.with_value({**node.mapping, key: entry.with_value(change(entry.value))})


def context_below(prefix: str, place: str, environment: Mapping[str, str]) -> str:
    """A context relative to `prefix`, unless it is a URL, a git reference or another service."""
    if "://" in place or place.startswith(("service:", *_REMOTE)):
        return place
    return below(prefix, place, environment)


def below(prefix: str, path: str, environment: Mapping[str, str]) -> str:
    """`path` relative to `prefix`; `~` is the home folder, absolute paths stay."""
    if path.startswith("~"):
        path = posixpath.join(environment.get("HOME", ""), path[1:].lstrip("/"))
    if posixpath.isabs(path):
        return path
    joined = posixpath.join(prefix, path) if path else prefix
    return os.path.normpath(joined) if joined else ""


def _texts(node: Node) -> list[str]:
    if isinstance(node.value, str):
        return [node.value]
    return [item.value for item in node.items if isinstance(item.value, str)]


def _failure(code: str, message: str, node: Node, help_line: str) -> BakeFileError:
    return BakeFileError(Diagnostic(code, message, node.span, help_line, detail=message))
