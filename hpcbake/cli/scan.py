"""Finds the image that a user means, and scans it: a path, a target of the bake file, or a reference."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hpcbake.adapters.factcache import FolderFactCache
from hpcbake.adapters.imagesource import RegistrySource, parse_mirror
from hpcbake.adapters.localimage import scan_local_image
from hpcbake.adapters.registry import RegistryClient
from hpcbake.bakefile.dockerfile import DOCKERFILE, parse_dockerfile
from hpcbake.bakefile.lint.run import dockerfile_path
from hpcbake.bakefile.source import SourceFile
from hpcbake.check.places import with_places
from hpcbake.cli.options import read_plan
from hpcbake.errors import RegistryTempError, UncheckedError, UsageError
from hpcbake.image.scan import FactCache, ScannedImage, scan_image
from hpcbake.model.plan import Target
from hpcbake.model.reference import parse_image_reference
from hpcbake.model.site import Site

F = TypeVar("F", bound=Callable[..., Any])

#: Bake files that buildx reads by itself; with one of them here, a bare word names a target.
_BAKE_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
)
_TARGET = re.compile(r"[A-Za-z0-9_-]+")
_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "ppc64le": "linux/ppc64le"}


def registry_options(function: F) -> F:
    """-f, --plain-http, --mirror, --ca-file and --no-cache: how an image is found and read."""
    for option in reversed(
        (
            click.option("-f", "--file", "files", multiple=True, help="Bake file in which to look for a target."),
            click.option("--plain-http", multiple=True, metavar="HOST", help="A registry that speaks plain HTTP."),
            click.option("--mirror", "mirrors", multiple=True, metavar="REGISTRY=MIRROR", help="Ask MIRROR first."),
            click.option("--ca-file", type=click.Path(dir_okay=False), help="CA certificates of the registry (PEM)."),
            click.option("--no-cache", "no_fact_cache", is_flag=True, help="Read every layer, also known ones."),
        )
    ):
        function = option(function)
    return function


def scan(
    image: str,
    *,
    files: Sequence[str],
    plain_http: Collection[str],
    ca_file: str | None,
    use_cache: bool,
    mirrors: Sequence[str] = (),
    sites: Sequence[Site],
) -> ScannedImage:
    """The scan of `image` for the platform of the sites.

    Raises UncheckedError when a registry does not answer: that is never taken for compatible.
    """
    cache: FactCache | None = FolderFactCache.of_user(os.environ) if use_cache else None
    platforms = {_PLATFORMS.get(site.profile.arch, "linux/amd64") for site in sites}
    if len(platforms) > 1:
        raise UsageError("the sites have different architectures", remedy="check them in two commands, with --site")
    platform = platforms.pop() if platforms else "linux/amd64"
    local = scan_local_image(image, cache=cache, platform=platform)
    if local is not None:
        return local
    target = _find_target(image, files)
    reference = parse_image_reference(target.tags[0] if target else image.removeprefix("docker://"))
    client = RegistryClient.from_environment(os.environ, plain_http=plain_http, ca_file=ca_file)
    try:
        source = RegistrySource(client, reference, [parse_mirror(text) for text in mirrors])
        scanned = scan_image(source, cache=cache, platform=platform)
        return _with_places(scanned, target) if target else scanned
    except RegistryTempError as cause:
        raise UncheckedError(
            f"{reference} could not be read: {cause.message}", remedy=cause.remedy, kind=cause.kind, retryable=True
        ) from cause


def _find_target(image: str, files: Sequence[str]) -> Target | None:
    """The target of that name; None when the text cannot be a target's name or there is no bake file."""
    has_bake_file = bool(files) or any(Path(name).is_file() for name in _BAKE_FILES)
    if not has_bake_file or not _TARGET.fullmatch(image):
        return None
    target = read_plan(files, (image,), (), ()).targets.get(image)
    if target is None or not target.tags:
        raise UsageError(
            f"{image!r} is {'a target without tags' if target else 'no target'} of the bake file here",
            remedy=f"name the image in full: docker.io/library/{image}",
        )
    return target


def _with_places(scanned: ScannedImage, target: Target) -> ScannedImage:
    """The layers with lines of the target's Dockerfile, where that is a local file."""
    path = dockerfile_path(target)
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace") if path else None
    except OSError:
        return scanned
    if path is None or text is None:
        return scanned
    stage = target.attributes.get("target")
    dockerfile = parse_dockerfile(SourceFile(path, text, DOCKERFILE))
    return with_places(scanned, dockerfile, stage if isinstance(stage, str) else None)
