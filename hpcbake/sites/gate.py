"""The gate: the one command of a restricted key. It carries hpcbake's scripts and runs nothing else.

`render_gate` writes it for one site: the program of `slurm/site/gate.sh`, the scripts that the key may run with their
sha256, the rule that each value is held to, and the values that the site config decides (pins).
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping, Sequence

from hpcbake.errors import BugError
from hpcbake.model.script import body_sum
from hpcbake.model.site import Site
from hpcbake.sites.scripts import folder_mode, script_body, script_file

#: What a nightly ship needs. Others are named with `--allow`: they remove releases, or look where the key need not.
SHIP_SCRIPTS = (
    *("hello", "reach", "survey", "sweep", "deliver", "submit", "poll", "collect", "cancel", "promote"),
    *("outcome", "status"),
)
MORE_SCRIPTS = ("doctor", "examine", "gc", "mark", "rollback")

#: value of a script → how the gate judges it. `pin` values are those of the site config, as they were at installation.
VALUE_RULES: Mapping[str, str] = {
    **dict.fromkeys(("root", "store_group", "folder_mode", "sif_mode", "sif_group", "site_name"), "pin"),
    **dict.fromkeys(("program", "prelude", "slurm_prelude", "scheduler", "tmpdir", "group"), "pin"),
    **dict.fromkeys(("sbatch_command", "sbatch_options"), "pin"),
    **dict.fromkeys(("run", "image", "hex", "tag", "test", "key", "job", "job_name", "way", "act", "mode"), "name"),
    **dict.fromkeys(
        ("retry", "detach", "verify", "release_hold", "wanted_hold", "fresh", "host", "sif_sha256"), "name"
    ),
    **dict.fromkeys(("expected_sha256", "expected_content", "signed_by", "expected_ledger"), "name"),
    **dict.fromkeys(("lock_wait", "arch_id", "need_kb", "poll_interval", "pull_timeout", "port", "days"), "number"),
    **dict.fromkeys(("sbatch_grace", "time_limit", "limit"), "number"),
    **dict.fromkeys(("wanted", "tests", "registries"), "names"),
    **dict.fromkeys(("seen", "jobs", "again_after"), "attempts"),
    **dict.fromkeys(("provenance", "facts", "module_lua", "module_tcl", "expected_current", "hold_text"), "text"),
    "job_script": "text",  # a job is run by Slurm, not here; docs/security.md says what that means
    "url": "url",
    "pull_command": "pull",
    "wrappers": "files",
    "victims": "text",  # of gc, which removes below the store and nowhere else
    "path": "text",  # of mark: what to look for in a module file's text
    "content": "text",
}
_END = "HPCBAKE-GATE-SCRIPT-ENDS"


def pinned_values(site: Site, more: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """value → what it may be at this site. `more` brings what the stages make of the site's config."""
    preludes = (site.runtime.prelude, site.slurm.prelude)
    return {
        "root": {site.store.root},
        "store_group": {site.store.group or ""},
        "folder_mode": {folder_mode(site.store), "0755"},
        "sif_mode": {site.store.mode},
        "sif_group": {site.store.group or ""},
        "group": {site.store.group or ""},
        "site_name": {site.name},
        "program": {site.runtime.program},
        "prelude": {"", *preludes, "\n".join(filter(None, preludes))},
        "slurm_prelude": {site.slurm.prelude},
        "scheduler": {site.slurm.scheduler},
        "tmpdir": {site.runtime.tmpdir or ""},
        **{key: set(values) for key, values in more.items()},
    }


def render_gate(
    site: Site, *, made_by: str, scripts: Iterable[str] = SHIP_SCRIPTS, more_pins: Mapping[str, Sequence[str]]
) -> str:
    """The whole gate of a site: one file of POSIX sh. Pure."""
    names = sorted(set(scripts))
    pins = pinned_values(site, more_pins)
    pin_lines = [f"{key} {encoded(value)}" for key in sorted(pins) for value in sorted(pins[key])]
    parts = [
        script_file("gate"),
        f"# ---- {site.name}, written by {made_by} ----\n",
        f"gate_site={shlex.quote(site.name)}\n",
        f"gate_root={shlex.quote(site.store.root)}\n",
        f"gate_pull={shlex.quote(shlex.quote(site.runtime.program) + ' pull')}\n",
        f"gate_allowed={shlex.quote(chr(10).join(f'{name} {body_sum(script_body(name))}' for name in names))}\n",
        f"gate_rules={shlex.quote(chr(10) + chr(10).join(f'{k} {v}' for k, v in VALUE_RULES.items()) + chr(10))}\n",
        f"gate_pins={shlex.quote(chr(10).join(pin_lines))}\n",
        "gate_script() {\n  case $1 in\n",
        *(_case(name) for name in names),
        "  esac\n}\ngate_main\n",
    ]
    return "".join(parts)


def _case(name: str) -> str:
    body = script_body(name)
    if _END in body:
        raise BugError(f"the script {name} holds the gate's own mark")
    return f"    {name}) cat <<'{_END}'\n{body.rstrip(chr(10))}\n{_END}\n      ;;\n"


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode("ascii")


def authorized_keys_line(site: Site, key: str, *, sources: str = "") -> str:
    """The line that restricts `key` (a public key's line) to the gate of this site."""
    origin = f'from="{sources}",' if sources else ""
    return f'restrict,{origin}command="/bin/sh ~/.hpcbake/gate-{site.name}" {key.strip()}\n'
