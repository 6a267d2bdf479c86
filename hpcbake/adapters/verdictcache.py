"""Verdicts kept between runs: the same image, the same profile and the same rules give the same report.

What a project's policy makes of it is not kept, nor is what could not be told: that is looked at again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import hpcbake
from hpcbake.adapters.keptfiles import KeptFiles, user_cache_folder
from hpcbake.model.reference import Digest
from hpcbake.model.site import Profile
from hpcbake.model.verdict import CompatReport, Verdict, report_from_json

#: The packages that a report is made by; a report made by other code is another one.
_JUDGES = ("check", "elf", "image", "model")
_MAX_BYTES = 32 * 1024 * 1024


class VerdictCache:
    """A folder of reports by image, profile and judging code. It never fails: what it has lost is judged again."""

    def __init__(self, folder: Path, judged_by: str) -> None:
        self._files = KeptFiles(folder, ending=".json", max_bytes=_MAX_BYTES)
        self._judged_by = judged_by

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> VerdictCache:
        """The one in the user's cache folder."""
        return cls(user_cache_folder(environ) / "verdicts", judging_code(Path(hpcbake.__file__).parent))

    def load(self, digest: Digest, profile: Profile) -> CompatReport | None:
        """The report on this image for a site of this profile, whichever site it was made for."""
        key = self._key(digest, profile)
        content = self._files.load(key)
        if content is None:
            return None
        try:
            return report_from_json(json.loads(content))
        except (ValueError, KeyError, TypeError):
            self._files.remove(key)
            return None

    def store(self, digest: Digest, profile: Profile, report: CompatReport) -> None:
        """Keep a report, if it tells something and is the same when it comes back."""
        content = json.dumps(report.as_json(), default=repr)
        if report.verdict is not Verdict.UNKNOWN and report_from_json(json.loads(content)) == report:
            self._files.store(self._key(digest, profile), content.encode())

    def _key(self, digest: Digest, profile: Profile) -> str:
        return hashlib.sha256(f"{self._judged_by} {digest} {_plain(profile)}".encode()).hexdigest()


def judging_code(package: Path) -> str:
    """The checksum of the code that judges; of the version alone where that lies in an archive."""
    checksum = hashlib.sha256(hpcbake.__version__.encode())
    for name in _JUDGES:
        # os.walk: on this way of every run, pathlib's patterns would take ten times as long.
        for folder, _, files in sorted(os.walk(package / name)):
            for file in sorted(file for file in files if file.endswith(".py")):
                with open(f"{folder}/{file}", "rb") as source:  # noqa: PTH123
                    checksum.update(hashlib.sha256(file.encode() + b"\0" + source.read()).digest())
    return checksum.hexdigest()


def _plain(value: object) -> str:
    """A value as text, the same in every process."""
    if is_dataclass(value):
        inside = ", ".join(f"{one.name}={_plain(getattr(value, one.name))}" for one in fields(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(_plain, value)))}}}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_plain, value))})"
    return repr(value)
