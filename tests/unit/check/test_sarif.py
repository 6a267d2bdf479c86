"""The SARIF that the check writes, against what version 2.1.0 asks of the objects that are used.

The published schema is in no package that could be installed with the tests. What stands here is written from the
text of the specification (section numbers beside it), for these objects only, and closed: a member that is not named
here fails. Microsoft's SARIF Multitool finds no error in such a file either.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from hpcbake.check.document import render_sarif
from hpcbake.check.schema import check_schema
from hpcbake.image.manifest import ImageConfig
from hpcbake.image.scan import ScannedImage
from hpcbake.image.tree import Tree
from hpcbake.model.verdict import CompatReport, Finding, Severity

_TEXT = {"type": "string", "minLength": 1}


def shape(required: list[str], **members: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": members, "additionalProperties": False}


def items(of: Any, *, unique: bool = False) -> dict[str, Any]:
    return {"type": "array", "items": of, "uniqueItems": unique}


_BAG = {"type": "object"}  # 3.8
_MESSAGE = shape(["text"], text=_TEXT)  # 3.11: text or id
_RULE = shape(  # 3.49
    ["id"], id=_TEXT, shortDescription=_MESSAGE, fullDescription=_MESSAGE, helpUri={**_TEXT, "pattern": "^https://"}
)
_VERSION = {"type": "string", "pattern": r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"}  # 3.19.12: SemVer
_URL = {**_TEXT, "pattern": "^https://"}
_DRIVER = shape(  # 3.19
    ["name", "informationUri"],
    name=_TEXT,
    semanticVersion=_VERSION,
    informationUri=_URL,
    rules=items(_RULE, unique=True),
)
_LOCATION = shape(  # 3.28, 3.29, 3.33, 3.4: a URI reference, in ASCII and without blanks
    [],
    physicalLocation=shape(
        ["artifactLocation", "region"],
        artifactLocation=shape([], uri={"type": "string", "pattern": r"^[!-~]+$"}),
        region=shape(["startLine"], startLine={"type": "integer", "minimum": 1}),  # 3.30
    ),
    logicalLocations=items(shape([], fullyQualifiedName=_TEXT), unique=True),
)
_SUPPRESSION = shape(["kind"], kind={"enum": ["inSource", "external"]}, justification=_TEXT)  # 3.35
_RESULT = shape(  # 3.27
    ["message"],
    ruleId=_TEXT,
    level={"enum": ["none", "note", "warning", "error"]},
    message=_MESSAGE,
    locations=items(_LOCATION),
    suppressions=items(_SUPPRESSION, unique=True),
    properties=_BAG,
)
_RUN = shape(  # 3.14
    ["tool"],
    tool=shape(["driver"], driver=_DRIVER),
    automationDetails=shape([], id=_TEXT),
    results=items(_RESULT),
    properties=_BAG,
)
_LOG = shape(["version", "runs"], version={"const": "2.1.0"}, runs=items(_RUN), **{"$schema": _TEXT})  # 3.13

HOSTILE = "/opt/a b\n\x1b[31m\udcff%ä"
FINDINGS = [
    Finding(
        "glibc-too-new", Severity.ERROR, "/opt/a", "needs GLIBC_2.34", "use an older base", "layer 2: COPY /a /opt"
    ),
    Finding("glibc-too-new", Severity.INFO, "/opt/a", "m", evidence={"accepted_until": "2030-01-01"}),
    Finding("unreadable", Severity.WARNING, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), {"k": [HOSTILE]}),
    Finding("damaged", Severity.UNKNOWN, "/x", "m", paths=tuple(f"/usr/lib/{n}" for n in range(50))),
]


@pytest.mark.parametrize("findings", [[], FINDINGS], ids=["nothing found", "everything found"])
@pytest.mark.parametrize("sites", [1, 2])
def test_the_document_is_sarif(findings: list[Finding], sites: int) -> None:
    """Required members, closed sets of values, and no member that SARIF does not know, whatever an image holds."""
    image = ScannedImage("registry.example.org/app:1", "sha256:" + "0" * 64, ImageConfig(), Tree())
    reports = [CompatReport(f"site{number}", image.digest, tuple(findings)) for number in range(sites)]
    document = json.loads(render_sarif(image, reports, "1.2.3").encode("ascii"))
    jsonschema.validate(document, _LOG)
    assert [len(run["results"]) for run in document["runs"]] == [len(findings)] * sites
    ids = [run["automationDetails"]["id"] for run in document["runs"]]
    assert len(set(ids)) == sites, "runs of one category would hide one another"


def test_the_levels_are_ours() -> None:
    """What hpcbake cannot tell is at least a warning: UNKNOWN never looks like fine."""
    image = ScannedImage("app", "", ImageConfig(), Tree())
    document = json.loads(render_sarif(image, [CompatReport("site", "", tuple(FINDINGS))], "1.2.3"))
    levels = [result["level"] for result in document["runs"][0]["results"]]
    assert levels[0] == "error" and levels[2] == "warning" and levels[3] in ("warning", "error")


def test_the_own_schema_is_one() -> None:
    """The schema of --json is a JSON Schema itself."""
    jsonschema.Draft202012Validator.check_schema(check_schema())
