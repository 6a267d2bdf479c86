"""HB-REG: what a registry refuses, or does not serve, when this machine asks it."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_REGISTRY = (ExitCode.REGISTRY,)
_TEMP = (ExitCode.REGISTRY_TEMP,)

REG: tuple[Entry, ...] = (
    Entry(
        "HB-REG-001", "registry.refused", _REGISTRY,
        "The registry answered a request with a refusal that has no finer name.",
        "registry.example.org answered 405 to POST blobs/uploads/ of team/app",
        "The registry's own log says more about this request. A registry that is a mirror takes no pushes.",
    ),
    Entry(
        "HB-REG-002", "registry.not-found", _REGISTRY,
        "The registry has no such repository, tag or digest.",
        "localhost:5083 has no manifest localhost:5083/docs/nothing:1.0",
        "Check the name, the tag or digest, and that the push has finished; push it again: `hpcbake build`. Some "
        "registries also say this of images that you may not see.",
    ),
    Entry(
        "HB-REG-003", "registry.auth", _REGISTRY,
        "A builder or a site was refused by the registry: no login, a wrong one, or one without the right.",
        "alder: cannot pull registry.example.org/app@sha256:5ed5…: the registry refused the login",
        "`docker login REGISTRY` on this machine, with an account that may pull and push there; hpcbake hands that "
        "login to the sites for the time of a pull.",
    ),
    Entry(
        "HB-REG-004", "registry.unauthorized", _REGISTRY,
        "The registry refuses this machine's own request with the login that docker has for it.",
        "registry.example.org refuses pull on team/app with the login of me: denied",
        "`docker login REGISTRY` with an account that may do what the message names.",
    ),
    Entry(
        "HB-REG-005", "registry.tls", _REGISTRY,
        "The certificate of a registry is not trusted where it was asked, or it does not speak TLS at all.",
        "the TLS certificate of registry.example.org is not trusted: self-signed certificate (local time "
        "2026-11-22T07:19:20Z)",
        "For this machine name the CA in HPCBAKE_CA_FILE; for the builder see BuildKit's registry settings; for a "
        "site the CA must be installed on its login nodes. Check the clock: a certificate also has days.",
    ),
    Entry(
        "HB-REG-006", "registry.push", _REGISTRY,
        "The registry did not take the image.",
        "the registry did not take the image",
        "The registry's own words are shown. Quotas and immutable tags are the usual reasons.",
    ),
    Entry(
        "HB-REG-007", "registry.lost-blob", _REGISTRY,
        "The registry acknowledged a push and does not serve a part of it.",
        "localhost:5083 acknowledged sha256:29b5… but does not serve its blob sha256:77ab…",
        "Push again. If it stays, the registry collected garbage while it ran: restart it.",
    ),
    Entry(
        "HB-REG-008", "registry.unconfirmed", _REGISTRY,
        "The registry acknowledged a push, and serves something else or nothing in its place.",
        "localhost:5083 acknowledged sha256:29b5… as localhost:5083/app:1.0 but serves nothing there",
        "If the registry was garbage-collected while running, restart it; then run again.",
    ),
    Entry(
        "HB-REG-009", "registry.malformed", _REGISTRY,
        "The registry's answer, or the address that was given for it, is not what the protocol says.",
        "registry.example.org redirects in circles",
        "Check that the reference names a container image, and that no proxy answers in the registry's place.",
    ),
    Entry(
        "HB-REG-010", "registry.rate-limit", _TEMP,
        "The registry lets this address or account pull only so much, and that is used up.",
        "the registry's rate limit is used up",
        "Try later, log in (`docker login REGISTRY`), or mirror the image.",
    ),
    Entry(
        "HB-REG-011", "registry.unavailable", _TEMP,
        "The registry did not answer, or could not serve the request, in several attempts.",
        "GET manifests/1.0 of localhost:5999/docs/micro: connection refused; gave up after 4 attempts in 1.5 s",
        "Run again when the registry answers: `curl -I https://REGISTRY/v2/`. Check the proxy variables.",
    ),
    Entry(
        "HB-REG-012", "registry.cut", _TEMP,
        "A download broke off again and again.",
        "registry.example.org: blob sha256:77ab… broke off 5 times, last after 1048576 of 41943040 bytes: "
        "ProtocolError",
        "Check the network and the registry, then run again.",
    ),
    Entry(
        "HB-REG-013", "registry.slow", _TEMP,
        "A download took longer than a whole image may.",
        "registry.example.org: blob sha256:77ab… not complete after 3600 s (1048576 of 41943040 bytes, 0.01 MB/s)",
        "Check the network; run again when it is faster.",
    ),
    Entry(
        "HB-REG-014", "registry.digest-mismatch", (ExitCode.INTEGRITY,),
        "The registry, or a proxy in between, served other bytes than the digest names.",
        "blob of registry.example.org/app: sha256:77ab… expected, sha256:00fe… received (1048576 of 1048576 bytes)",
        "Run again. If it stays, push the image again, and look at proxies between here and the registry.",
    ),
)  # fmt: skip
