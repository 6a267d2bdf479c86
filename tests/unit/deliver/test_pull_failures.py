"""Why a pull failed, by what the real programs print; numbers in digests and ports are no status codes."""

from __future__ import annotations

import pytest

from hpcbake.deliver.pull_failures import explain_pull_failure
from hpcbake.errors import HpcbakeError, IntegrityError, RegistryError, RegistryTempError, SiteResourceError

REFERENCE = "localhost:5000/team/app@sha256:" + "429a503b" * 8
FATAL = f"INFO:    Converting OCI blobs to SIF format\nFATAL:   While making image: docker://{REFERENCE}: "

CASES: list[tuple[str, type[HpcbakeError], str]] = [
    ("http: server gave HTTP response to HTTPS client", RegistryError, "registry.plain-http"),
    ("tls: failed to verify certificate: x509: certificate signed by unknown authority", RegistryError, "registry.tls"),
    ("reading manifest sha256:4290 in localhost:5000/x: manifest unknown", RegistryError, "registry.not-found"),
    ("MANIFEST_UNKNOWN: manifest unknown; map[Tag:1]", RegistryError, "registry.not-found"),
    ("unauthorized: authentication required", RegistryError, "registry.auth"),
    ("denied: requested access to the resource is denied", RegistryError, "registry.auth"),
    (
        'GET http://localhost:5000/v2/x: unexpected status code 401 Unauthorized: {"errors":[]}',
        RegistryError,
        "registry.auth",
    ),
    ("GET http://localhost:5000/v2/x: unexpected status code 404 Not Found", RegistryError, "registry.not-found"),
    ("toomanyrequests: You have reached your pull rate limit", RegistryTempError, "registry.rate-limit"),
    ("received unexpected HTTP status: 429 Too Many Requests", RegistryTempError, "registry.rate-limit"),
    ("received unexpected HTTP status: 503 Service Unavailable", RegistryTempError, "registry.unreachable"),
    ("dial tcp: lookup registry.example.org: no such host", RegistryTempError, "registry.unreachable"),
    ("read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer", RegistryTempError, "registry.unreachable"),
    ("unexpected EOF", RegistryTempError, "registry.unreachable"),
    ("error verifying sha256 checksum after reading 12 bytes; got x, want y", IntegrityError, "image.integrity"),
    ("unexpected end of JSON input", IntegrityError, "image.integrity"),
    ("write /scratch/x: no space left on device", SiteResourceError, "site.space"),
    ("Write failed because No space left on device", SiteResourceError, "site.space"),
    ("close /home/x: disk quota exceeded", SiteResourceError, "site.space"),
    ("Failed to create user namespace: No space left on device", SiteResourceError, "site.runtime"),
    ("fuse: device not found, try 'modprobe fuse' first", SiteResourceError, "site.runtime"),
    ("while creating squashfs: mksquashfs command failed: signal: killed", SiteResourceError, "site.memory"),
    ("open /scratch/x.sif: permission denied", SiteResourceError, "site.permission"),
    ("mkdir /scratch/x: permission denied: giving up", SiteResourceError, "site.permission"),
    ("something that nobody has seen before", SiteResourceError, "site.pull"),
    ("", SiteResourceError, "site.pull"),
]


@pytest.mark.parametrize(("says", "failure", "kind"), CASES)
def test_a_failure_is_told_by_its_cause(says: str, failure: type[HpcbakeError], kind: str) -> None:
    """Class, kind and remedy by the text; site, reference and the text itself in what is told."""
    error = explain_pull_failure("alder", REFERENCE, 255, FATAL + says)
    assert (type(error), error.kind) == (failure, kind)
    assert error.message.startswith("alder: ")
    assert REFERENCE in error.message
    assert says in str(error.evidence["output"])
    assert error.remedy


@pytest.mark.parametrize(("code", "kind"), [(124, "registry.timeout"), (137, "registry.timeout"), (-9, "site.memory")])
def test_how_it_ended_may_tell_more_than_its_words(code: int, kind: str) -> None:
    """A deadline is a silent registry; a kill before it is a login node that guards its memory."""
    assert explain_pull_failure("alder", REFERENCE, code, "INFO: Starting build...").kind == kind


def test_only_the_end_of_a_log_is_evidence() -> None:
    """A progress bar of a thousand lines is not."""
    error = explain_pull_failure("alder", REFERENCE, 255, "\n".join(map(str, range(1000))))
    assert str(error.evidence["output"]).splitlines() == [str(number) for number in range(992, 1000)]
