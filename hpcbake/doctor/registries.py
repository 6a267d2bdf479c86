"""Facts about the registries that a project pushes to: do they answer, and with which login."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from hpcbake.doctor.bounded import Question
from hpcbake.errors import ExitCode, HpcbakeError, RegistryError
from hpcbake.model.reference import Digest, ImageReference
from hpcbake.sites.examine import Line, fail, ok

#: The registry of examples: nobody can push there.
_EXAMPLE = "registry.example.org"


class Registry(Protocol):
    """A registry, asked for one image's tag. Raises RegistryError or RegistryTempError."""

    def head_manifest(self, ref: ImageReference) -> Digest | None: ...


def registry_questions(
    references: Sequence[ImageReference], registry: Registry, login_of: Callable[[str], str]
) -> list[Question]:
    """One question per registry. `login_of` tells the user name for a host, empty for none; raises HpcbakeError."""
    by_host = {reference.registry: reference for reference in reversed(references)}
    return [
        Question(
            "registry",
            lambda reference=reference: _ask(reference, registry, login_of),  # type: ignore[misc]
            limit_s=45.0,
            fix=f"check the network and proxy to {host}",
        )
        for host, reference in sorted(by_host.items())
    ]


def _ask(reference: ImageReference, registry: Registry, login_of: Callable[[str], str]) -> Iterator[Line]:
    host = reference.registry
    if host == _EXAMPLE:
        fix = "set REGISTRY, or its default in the bake file, to a registry that you may push to"
        yield fail("registry", f"{host} stands in examples: nobody can push there", fix, ExitCode.PREREQ)
        return
    try:
        user = login_of(host)
    except HpcbakeError as error:
        yield fail("login", f"{host}: {error.message}", error.remedy, error.exit_code)
        return
    as_whom = f"as {user}" if user else "without a login"
    try:
        found = registry.head_manifest(reference)
    except RegistryError as error:
        fix = error.remedy or f"sign in: docker login {host}"
        yield fail("registry", f"{host}, asked {as_whom}: {error.message}", fix, error.exit_code)
        return
    except HpcbakeError as error:
        text = f"{host} does not answer: {error.message}"
        yield fail("registry", text, f"check the network and proxy to {host}, and its name", error.exit_code)
        return
    there = "is there" if found else "is not there yet"
    yield ok("registry", f"{host} answers {as_whom}; {reference} {there} (whether you may push was not tried)")
