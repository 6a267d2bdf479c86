"""What a run that nobody watches takes from the environment, and what of it cannot be taken along. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: Taken along where they are set: who builds, where settings and logins lie, which way the network goes.
_TAKEN = re.compile(
    r"HPCBAKE_.*|DOCKER_(?:HOST|CONFIG|CONTEXT|CERT_PATH|TLS_VERIFY)|BUILDX_.*|BUILDKIT_HOST|XDG_(?:STATE|CACHE|CONFIG)_HOME"
    r"|APPTAINER_.*|SSL_CERT_FILE|(?:https?|no|HTTPS?|NO)_(?:proxy|PROXY)"
)
_SECRET = re.compile(
    r"TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE_KEY", re.IGNORECASE
)
_LOGIN_IN_URL = re.compile(r"://[^/\s@]+:[^/\s@]+@")


def kept_environment(environment: Mapping[str, str], variables: Iterable[str]) -> dict[str, str]:
    """The whole environment of the nightly run. `variables` are those of the bake files, whose values are inputs.

    Nothing secret is among them: crontabs and units are no place for that.
    """
    wanted = {name for name in environment if _TAKEN.fullmatch(name)} | (set(variables) & set(environment))
    kept = {name: environment[name] for name in wanted if not is_secret(name, environment[name])}
    for name in ("HOME", "PATH", "USER"):
        if environment.get(name):
            kept[name] = environment[name]
    return {**kept, "LOGNAME": environment.get("LOGNAME") or kept.get("USER", ""), "LANG": "C.UTF-8"}


def left_behind(environment: Mapping[str, str], variables: Iterable[str]) -> list[str]:
    """Names that the run of this terminal has and the nightly one must do without, because they are secret."""
    wanted = {name for name in environment if _TAKEN.fullmatch(name)} | (set(variables) & set(environment))
    return sorted(name for name in wanted if is_secret(name, environment[name]))


def is_secret(name: str, value: str) -> bool:
    """Does the name speak of a secret, or does the value hold a login?"""
    return bool(_SECRET.search(name) and not name.endswith(("_FILE", "_PATH"))) or bool(_LOGIN_IN_URL.search(value))


def night_words(words: Iterable[str]) -> tuple[str, ...]:
    """The words of `hpcbake nightly` without those that are about installing: what the timer runs."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("--install", "--uninstall", "--at", "--jitter"):
            skip = True
        elif word in ("--print", "--check", "--json", "--dry-run") or re.match(
            r"--(?:install|uninstall|at|jitter)=", word
        ):
            continue
        else:
            kept.append(word)
    return tuple(kept)
