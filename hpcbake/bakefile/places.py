"""What kind of place a context names: a folder, a URL, a git repository, another target."""

from __future__ import annotations

import posixpath
import re

from hpcbake.bakefile.csvfields import MalformedValueError, split_fields

#: `user@host:path#fragment`, as git and scp take it.
_SCP_STYLE = re.compile(r"([A-Za-z0-9_-]+)@([A-Za-z0-9.-]+):([^#]*)(?:#(.*))?", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z0-9]+)://")
_GIT_SCHEMES = frozenset({"http", "https", "ssh", "git"})

CWD = "cwd://"


def is_remote_url(place: str) -> bool:
    """Whether `place` is an http(s) URL or a git reference, which BuildKit fetches itself."""
    return place.startswith(("https://", "http://")) or _git_scheme(place) is not None


def is_git_over_ssh(place: str) -> bool:
    """Whether fetching `place` needs an SSH agent."""
    return _SCP_STYLE.fullmatch(place) is not None or place.lower().startswith("ssh://")


def _git_scheme(place: str) -> str | None:
    """The scheme of a git reference, or None when `place` is not one."""
    if place.startswith(("./", "../")):
        return None
    if place.startswith("github.com/"):
        return "https"
    match = _SCHEME.match(place)
    if match is None:
        scp = _SCP_STYLE.fullmatch(place)
        return "ssh" if scp and _is_good_fragment(scp.group(4) or "") else None
    scheme = match.group(1).lower()
    if scheme not in _GIT_SCHEMES:
        return None
    from urllib.parse import urlsplit  # only contexts that are URLs need it

    try:
        url = urlsplit(place)
    except ValueError:
        return None
    if not _is_good_fragment(url.fragment):
        return None
    if scheme in ("http", "https") and not url.path.endswith(".git"):
        return None
    return scheme


def _is_good_fragment(fragment: str) -> bool:
    """Whether what follows `#` is a git reference: anything, or `#ref=…,subdir=…`."""
    if not fragment.startswith("#") or fragment == "#":
        return True
    try:
        fields = split_fields(fragment[1:])
    except MalformedValueError:
        return False
    return all(field.lower().startswith(("ref=", "commit=", "subdir=")) for field in fields)


def clean_path(path: str) -> str:
    """The shortest path that means the same by its text alone (Go's path.Clean)."""
    cleaned = posixpath.normpath(path) if path else "."
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def printed_context(context: str) -> str:
    """A target's context as `--print` shows it: local paths cleaned, URLs as they are, without `cwd://`."""
    if context.startswith(CWD):
        return clean_path(context.removeprefix(CWD))
    return context if is_remote_url(context) else clean_path(context)
