"""A site that answers scripts from memory: a Node typed by the Protocol, faults on demand, no shell."""

from __future__ import annotations

import base64
import json
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hpcbake.model.ports import Outcome
from hpcbake.model.reference import Digest

#: script → the line of it by which it is known
_MARKS = {
    "survey": "# What is on the site for each wanted image",
    "sweep": "# Removes what runs that died have left",
    "reach": "# Can this login node reach the registry",
    "deliver": "# Brings one digest into the store",
    "submit": "# Submits one smoke job",
    "poll": "# What became of smoke jobs",
    "cancel": "# Cancels one job",
    "promote": "# Makes one verified, smoke-tested SIF",
    "status": "# Every image in the store",
    "rollback": "# Gives users an earlier release again",
}
#: How the library begins that follows the values of every script.
LIBRARY_MARK = "#!/bin/sh\n# What every script on a site needs"

#: What a script of some kind does instead: an error that is raised, an outcome, or a call.
Fault = BaseException | Outcome | Callable[[dict[str, str]], Outcome | None]


def script_kind(script: str) -> str:
    """Which of the site's scripts this is."""
    (kind,) = (kind for kind, mark in _MARKS.items() if mark in script)
    return kind


def script_values(script: str) -> dict[str, str]:
    """The values assigned in front of a script."""
    words = shlex.split(script[: script.index(LIBRARY_MARK)])
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def sif_sha256(digest_hex: str) -> str:
    """The sha256 of the SIF that this site makes of an image."""
    return Digest.of(digest_hex.encode()).hex


@dataclass
class FakeSite:
    """The memory of a site. `faults` by kind of script; `results` by smoke test, `ok` if nothing is said."""

    name: str = "alder"
    host_key: str = "SHA256:fake"
    faults: dict[str, Fault] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    sifs: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    #: the text of the hold on an image, by the image's name
    holds: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)
    clock_s: float = 1769860800.0
    closed: int = 0
    reach: str = "yes"
    memory_kb: str = "8000000"
    #: how long a smoke test takes, in seconds
    took: int = 2
    #: the ways by which something was asked for
    ways: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        kind, values = script_kind(script), script_values(script)
        with self.lock:
            self.heard.append(kind)
        fault = self.faults.get(kind)
        if isinstance(fault, BaseException):
            raise fault
        if isinstance(fault, Outcome):
            return fault
        answer = fault(values) if fault is not None else None
        if kind == "submit" and values["fresh"] == "no" and not self._ran(values):
            return failed("untested")
        return answer or Outcome(0, "\n".join(getattr(self, f"_{kind}")(values)) + "\n")

    def send_file(
        self,
        source: Path,
        script: str,
        *,
        timeout_s: float,
        stall_s: float = 60.0,
        on_sent: Callable[[int], None] | None = None,
    ) -> Outcome:
        return self.run_script(script, timeout_s=timeout_s)

    def close(self) -> None:
        self.closed += 1

    def acts(self) -> list[str]:
        """What it was asked to do, without the looking."""
        return [kind for kind in self.heard if kind not in ("survey", "poll", "reach")]

    # ---- answers ----

    def _survey(self, values: dict[str, str]) -> list[str]:
        lines: list[str] = []
        for wanted in values["wanted"].splitlines():
            image, digest_hex, tag = wanted.split(" ")
            current = self.links.get(f"{image}/current", "")
            lines += [f"image {image}", f"sif {'present' if digest_hex in self.sifs else 'absent'}"]
            lines += [f"current {current}", f"tag {self.links.get(f'{image}/{tag}', '')}"]
            lines += [f"current_sha256 {sif_sha256(current.split('/')[-1].removesuffix('.sif')) if current else ''}"]
            if image in self.holds:
                lines.append(f"hold {self.holds[image]}")
            named = current.split("/")[-1].removesuffix(".sif")
            for word, key in (("promoted", named), ("provenance", digest_hex)):
                if word == "provenance" or named != digest_hex:
                    lines += [f"{word} {line}" for line in self.provenance.get(key, "").splitlines()]
        return [*lines, f"clock {self.clock_s:.0f}", "host login-1", "left 0"]

    def _sweep(self, values: dict[str, str]) -> list[str]:
        return ["swept 0"]

    def _reach(self, values: dict[str, str]) -> list[str]:
        return [f"reach {self.reach}", f"memory_kb {self.memory_kb}"]

    def _deliver(self, values: dict[str, str]) -> list[str]:
        digest_hex = values["hex"]
        self.ways.append(values["way"])
        state = "present" if digest_hex in self.sifs else "created"
        path = self.sifs.setdefault(digest_hex, f"{values['root']}/sif/{values['image']}/{digest_hex}.sif")
        self.provenance[digest_hex] = values["provenance"].replace("@SIF_SHA256@", sif_sha256(digest_hex))
        self._complete(digest_hex)
        return [f"state {state}", f"path {path}", f"sha256 {sif_sha256(digest_hex)}", "size 3", "runtime fake 1.0"]

    def _submit(self, values: dict[str, str]) -> list[str]:
        ran = self._ran(values)
        if values["fresh"] == "no":
            name = f"{self.jobs[ran[-1]]['name']}.1.RUN"
            return [f"attempt /attempt/{ran[-1]}", "state finished", f"job {ran[-1]}", f"name {name}"]
        number = str(100 + len(self.jobs))
        self.jobs[number] = {"name": values["job_name"], "test": values["test"], "hex": values["hex"]}
        name = f"{values['job_name']}.1.RUN"
        return [f"attempt /attempt/{number}", "state submitted", f"job {number}", f"name {name}"]

    def _ran(self, values: dict[str, str]) -> list[str]:
        asked = (values["test"], values["hex"])
        return [number for number, job in self.jobs.items() if (job["test"], job["hex"]) == asked]

    def _poll(self, values: dict[str, str]) -> list[str]:
        lines = ["squeue ok"]
        for asked in values["jobs"].splitlines():
            number = asked.split(" ")[0]
            lines += [f"job {number}", f"queue {self._queue_line(number)}"]
            if not self._queue_line(number):
                lines.append(f"result {base64.b64encode(self._result(number).encode()).decode()}")
        return lines

    def _queue_line(self, number: str) -> str:
        state = self.states.get(self.jobs[number]["test"], "")
        return f"{number}|{state}|Priority|" if state else ""

    def _result(self, number: str) -> str:
        job = self.jobs[number]
        why = self.results.get(job["test"], "ok")
        document = {
            "kind": "hpcbake.smoke-result",
            "name": f"{job['name']}.1.RUN",
            "exit_code": 0 if why == "ok" else 1,
            "why": why,
            "job_id": number,
            "node": "node-1",
            "started": 10,
            "ended": 10 + self.took,
        }
        return "" if why == "nothing" else json.dumps(document)

    def _cancel(self, values: dict[str, str]) -> list[str]:
        return ["gone yes"]

    def _promote(self, values: dict[str, str]) -> list[str]:
        image = values["image"]
        target = f"../sif/{image}/{values['hex']}.sif"
        was = self.links.get(f"{image}/current", "")
        self.links[f"{image}/{values['tag']}"] = self.links[f"{image}/current"] = target
        self.provenance[values["hex"]] = values["provenance"]
        self._complete(values["hex"])
        return [f"current {target}", f"was {was}"]

    def _status(self, values: dict[str, str]) -> list[str]:
        lines = [f"root {values['root']}"]
        for link, target in self.links.items():
            image, _, name = link.partition("/")
            if name == "current":
                lines += [f"image {image}", f"current {target}"]
                for digest_hex, text in self.provenance.items():
                    lines += [f"release {digest_hex}", "state present"]
                    lines.append(f"provenance {base64.b64encode(text.encode()).decode()}")
        return lines

    def _rollback(self, values: dict[str, str]) -> list[str]:
        image = values["image"]
        was, target = self.links[f"{image}/current"], f"../sif/{image}/{values['hex']}.sif"
        self.links[f"{image}/{values['tag']}"] = self.links[f"{image}/current"] = target
        if values["wanted_hold"] == "yes":
            self.holds[image] = values["hold_text"]
        return [f"current {target}", f"was {was}"]

    def _complete(self, digest_hex: str) -> None:
        text = self.provenance[digest_hex]
        for mark, value in (
            ("@MTIME@", "1"),
            ("@SIZE_BYTES@", "3"),
            ("@DELIVERED@", "2026-01-31T12:00:00Z"),
            ("@TESTED@", "null"),
        ):
            text = text.replace(mark, value)
        self.provenance[digest_hex] = text


def said(*lines: str, code: int = 0) -> Outcome:
    """An outcome of a script that said this."""
    return Outcome(code, "\n".join(lines) + "\n")


def failed(word: str, message: str = "because") -> Outcome:
    """An outcome of a script that failed with this class word."""
    return said(f"error {word} {message}", code=9)
