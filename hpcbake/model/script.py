"""A script for a site that still knows what it was made of: for keys that may run hpcbake's own scripts only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


class SiteScript(str):
    """The text that a shell runs, and beside it the script's name, its values, and the text without them."""

    name: str
    values: Mapping[str, str]
    body: str

    def __new__(cls, name: str, values: Mapping[str, str], body: str, text: str) -> SiteScript:
        script = super().__new__(cls, text)
        script.name, script.values, script.body = name, values, body
        return script


def body_sum(body: str) -> str:
    """The sha256 by which a script's text, without values, is known to a gate."""
    return hashlib.sha256(body.encode()).hexdigest()
