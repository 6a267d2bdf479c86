"""What the project file `hpcbake.yaml` may say, as one table: reader, schema and reference page are made from it."""

from __future__ import annotations

import json

import yaml

from hpcbake.model.notification import EVENTS, PINGS
from hpcbake.sites.document import Field, Reading, Section, boolean, choice, integer, listing, seconds, text
from hpcbake.smoke.job import TEMPLATES

_TARGET = text(pattern=r"[A-Za-z0-9_*?\[\]!-]+", expected="a target name or pattern")
_SITE = text(pattern=r"[a-z0-9*?\[\]!-]+", expected="a site's name or pattern")
_BUILDER = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"

#: A tag with its placeholders still in it.
_TAG_TEMPLATE = r"(?:[A-Za-z0-9_.-]|\{date\}|\{digest\}|\{run\}|\{revision\}|\{tag\})+"


def _targets() -> Field:
    return listing(_TARGET, "targets it is for; default: all")


def _secret(name: str, what: str) -> dict[str, Field]:
    """The two keys by which something secret is named without being written down here."""
    return {
        f"{name}env": text(
            f"environment variable that holds {what}", pattern=_VARIABLE, expected="the name of an environment variable"
        ),
        f"{name}file": text(f"file that holds {what}; relative to this file, ~ is your home"),
    }


def _patience(doc: str) -> Field:
    """A duration that may also be 0: do not wait at all."""
    field = seconds(doc)

    def parse(node: yaml.Node, reading: Reading) -> float | None:
        is_none = isinstance(node, yaml.ScalarNode) and node.value in ("0", "0s")
        value: float | None = 0.0 if is_none else field.parse(node, reading)
        return value

    return Field(parse, field.schema, doc)


_URL = text(
    "where to; no login or token in it: what is secret comes by `url_env` or `url_file`",
    pattern=r"https?://[^\s@]+",
    expected="an http or https address without a login in it",
)

BAKE = Section(
    {
        "files": listing(text(), "bake files, relative to the project folder; default: those that buildx reads"),
        "targets": listing(
            text(pattern=r"[A-Za-z0-9_-]+", expected="a target or group"),
            "targets or groups; default: the group `default`",
        ),
    },
    "which targets of which bake files, where the command line does not say",
)

DEPLOY = Section(
    {
        "targets": listing(_TARGET, "targets, by name or pattern; default: all"),
        "sites": listing(_SITE, "sites, by name or pattern; default: all"),
    },
    "targets and the sites that they go to",
)

BUILDERS = Section(
    {
        "builder": text("the buildx builder", pattern=_BUILDER, expected="a builder's name", required=True),
        "targets": _targets(),
    },
    "a builder for some targets",
)

TAGS = Section(
    {
        "move": choice(
            "every-site",
            "any-site",
            "never",
            doc="when release tags move: once every site that the target goes to has promoted the digest, once any "
            "has, or not by hpcbake",
        ),
        "only": listing(
            text(pattern=r"[A-Za-z0-9_.*?\[\]!-]+", expected="a tag or pattern"),
            "of the tags that the bake file gives, those that move; default: all",
        ),
        "add": listing(
            text(pattern=_TAG_TEMPLATE, expected="a tag; {date}, {digest}, {run}, {revision} and {tag} are replaced"),
            "further tags for a digest that a run has promoted, such as `{tag}-{date}`",
        ),
    },
    "which tags of the registry move, and when",
)

SHIP = Section(
    {
        "all_or_none": boolean("promote at no site unless all of them have delivered and tested"),
        "parallel_sites": integer("sites worked on at a time", low=1, high=1024),
        "lock_wait": _patience("patience with a lock on a site"),
        "way": choice("auto", "oras", "docker", "job", "stream", doc="how SIFs come to the sites"),
        "progress": choice("auto", "tty", "plain", "rawjson", "quiet", doc="how a run shows what it does"),
    },
    "how a run goes about it",
)

SMOKE = Section(
    {
        "name": text(
            "name of the test", pattern=r"[a-z0-9][a-z0-9-]{0,40}", expected="letters, digits and -", required=True
        ),
        "template": text(
            f"template under slurm/: {', '.join(TEMPLATES)}, or your own; default: the one that the test is named "
            "after, else by what is given",
            pattern=r"[a-z0-9][a-z0-9_-]*",
            expected="a template's name",
        ),
        "targets": _targets(),
        "command": listing(text(), "argv inside the container"),
        "modules": listing(
            text(
                pattern=r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*",
                expected="a Python module such as numpy.linalg",
            ),
            "Python modules that must be importable (template python)",
        ),
        "sites": listing(_SITE, "sites it runs at; default: all"),
        "expect_exit": integer("exit code that counts as passed", low=0, high=255),
        "expect_stdout": text("text that the command's output must hold"),
        "tasks": integer("Slurm tasks; default: 1, for the template mpi 2", low=1, high=4096),
    },
    "one smoke test",
)

EXPOSE = Section(
    {
        "targets": _targets(),
        "commands": listing(
            text(pattern=r"[A-Za-z0-9_][A-Za-z0-9._+-]*", expected="a command's name"),
            "commands that the module puts on PATH",
        ),
    },
    "commands that users see",
)

RETENTION = Section(
    {
        "releases": integer(
            "promoted releases of each image that a site keeps; a ship that promotes removes older ones. Without this "
            "key only `hpcbake gc` removes any",
            low=1,
            high=10_000,
        ),
        "days": integer(
            "days that a site keeps what was never promoted, what was set aside and logs of jobs", low=0, high=36_500
        ),
        "runs": integer("runs whose journal, log and report this machine keeps", low=1, high=100_000),
    },
    "what is kept, and for how long",
)

HEADER = Section(
    {
        "name": text(
            "name of the header",
            pattern=r"[A-Za-z0-9!#$%&'*+.^_`|~-]+",
            expected="the name of an HTTP header",
            required=True,
        ),
        **_secret("", "its value"),
    },
    "a header whose value is not written down here",
)

WEBHOOK = Section(
    {
        "name": text(
            "what reports call it", pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,40}", expected="a word", required=True
        ),
        "url": _URL,
        **_secret("url_", "the address"),
        "events": listing(choice(*EVENTS), "what it is told"),
        "format": choice("json", "text", doc="the whole notice, or only its text, as chat programs want it"),
        "headers": listing(HEADER.as_field(), "further headers, such as Authorization"),
        **_secret("secret_", "the secret that signs the body (HMAC-SHA256)"),
        "timeout": seconds("how long one attempt may take", high=120),
    },
    "an address that is told of runs",
)

HEALTHCHECK = Section(
    {
        "url": _URL,
        **_secret("url_", "the address"),
        "pings": listing(choice(*PINGS), "which to send: `start` to URL/start, `success` to URL, `fail` to URL/fail"),
        "timeout": seconds("how long one attempt may take", high=120),
    },
    "an address that watches whether runs happen: it raises the alarm when pings stay away",
)

NOTIFICATIONS = Section(
    {
        "webhooks": listing(WEBHOOK.as_field(), "addresses that are told of runs"),
        "healthcheck": HEALTHCHECK.as_field(),
        "give_up_after": seconds("how long all notifications of a run may take together, retries included", high=600),
    },
    "who is told of a run",
)

REPORT = Section(
    {
        "json": text("write the JSON report to this file"),
        "junit": text("write the run as JUnit XML to this file"),
        "github": text("append the run to this GitHub step summary"),
        "prometheus": text("write metrics to this file"),
        "html": text("write web pages into this folder"),
    },
    "where else the report of a run goes; paths are relative to the project folder",
)

LOG = Section(
    {
        "level": choice(
            "debug", "info", "warning", "error", doc="what the run's log holds; debug: also programs and requests"
        )
    },
    "the log of each run",
)

NIGHTLY = Section(
    {
        "at": text(
            "time of day at which the timer starts it",
            pattern=r"(?:[01][0-9]|2[0-3]):[0-5][0-9]",
            expected="a time of day such as 02:30",
        ),
        "jitter": seconds("wait a random time up to this before the run begins", high=12 * 3600.0),
        "refresh_base": boolean("ask the registry for newer base images, also where nothing else changed"),
        "targets": listing(_TARGET, "targets, by name or pattern; default: all that ship"),
        "sites": listing(_SITE, "sites, by name or pattern; default: all"),
        "images": listing(text(), "what `--pull` follows: [NAME=]IMAGE, each by its tag"),
    },
    "the run of every night",
)

CONVERT = Section(
    {
        "program": text(
            "apptainer or singularity of the build host, by name or absolute path; default: apptainer on PATH",
            pattern=r"[A-Za-z0-9_./+-]+",
            expected="a program's name or path",
        ),
        "compression": choice("zstd", "gzip", doc="how SIFs are packed; zstd needs squashfs with zstd on the nodes"),
        "processors": integer("processors that the conversion may use", low=1, high=1024),
        "memory": text("memory that mksquashfs may use", pattern=r"[0-9]+[KMG]", expected="a size such as 1G"),
        "timeout": seconds("how long one conversion may take"),
        "sign": text(
            "fingerprint of the PGP key in apptainer's keyring that signs every SIF",
            pattern=r"[0-9A-Fa-f]{40}",
            expected="the 40 hex digits of a fingerprint",
        ),
    },
    "how the build host converts images to SIFs",
)

REGRESSION = Section(
    {
        "factor": text(
            "growth of a smoke test's time or memory since the last release that is worth a warning; default: 1.5",
            pattern=r"[1-9][0-9]{0,2}(?:\.[0-9]{1,3})?",
            expected="a number from 1 on, such as 1.5",
        ),
    },
    "when a smoke test has become slower or larger",
)

#: Keys that make sense for one project only; the files of a user and of a machine have all others.
_OF_ONE_PROJECT: dict[str, Field] = {
    "bake": BAKE.as_field(),
    "deploy": listing(DEPLOY.as_field(), "which targets go to which sites; default: every target to every site"),
    "builders": listing(BUILDERS.as_field(), "builders for some targets; the first entry that fits counts"),
    "tags": TAGS.as_field(),
    "smoke": listing(SMOKE.as_field(), "smoke tests; default: `cpu` for every target"),
    "expose": listing(EXPOSE.as_field(), "commands that modulefiles put on PATH"),
}

_OF_ALL: dict[str, Field] = {
    "site_configs": text("folder of site configs; default: site-configs"),
    "state": text("folder where runs are kept; default: the user's state folder"),
    "builder": text("the buildx builder of all targets", pattern=_BUILDER, expected="a builder's name"),
    "ship": SHIP.as_field(),
    "retention": RETENTION.as_field(),
    "notifications": NOTIFICATIONS.as_field(),
    "report": REPORT.as_field(),
    "log": LOG.as_field(),
    "nightly": NIGHTLY.as_field(),
    "convert": CONVERT.as_field(),
    "regression": REGRESSION.as_field(),
}

#: The mappings of the top level by their keys.
SECTIONS: dict[str, Section] = {
    "bake": BAKE,
    "tags": TAGS,
    "ship": SHIP,
    "retention": RETENTION,
    "notifications": NOTIFICATIONS,
    "report": REPORT,
    "log": LOG,
    "nightly": NIGHTLY,
    "convert": CONVERT,
    "regression": REGRESSION,
}

PROJECT = Section({**_OF_ONE_PROJECT, **_OF_ALL}, "the project")
USER = Section(_OF_ALL, "settings of a user or of a machine")


def render_project_schema() -> str:
    """The JSON Schema of a project file, for editors."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpcbake project file",
        **PROJECT.schema(),
    }
    return json.dumps(schema, indent=2) + "\n"
