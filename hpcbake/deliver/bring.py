"""Chooses the way of a delivery, converts where that is needed, and takes another way when `auto` may."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from hpcbake.deliver.deliver import DeliverRequest, deliver
from hpcbake.deliver.ways import LoginFacts, Way, choose_way, look_at_login, next_way
from hpcbake.errors import HpcbakeError, PrereqError
from hpcbake.model.artefacts import BuiltImage, Deployment
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Converter, Node, RuntimeCommands
from hpcbake.model.site import Site

#: How a pull fails at a site whose way to the registry is not what it seemed.
_NO_ROUTE = frozenset({"registry.unreachable", "registry.timeout", "registry.tls", "registry.plain-http"})


@dataclass(frozen=True)
class Means:
    """What a delivery may use. `content_of` sums up an image's files (see `content_digest`); `say` tells people.

    `look` tells what is known of the login node for a registry; None: it is asked.
    """

    node: Node
    commands: RuntimeCommands
    converter: Converter
    content_of: Callable[[BuiltImage], str]
    say: Callable[[str], None] = lambda _text: None
    sleep: Callable[[float], None] = time.sleep
    #: hears how many bytes of a SIF this machine has sent so far
    on_sent: Callable[[int], None] | None = None
    look: Callable[[str], LoginFacts] | None = None


def bring(request: DeliverRequest, site: Site, means: Means, *, wanted: str = "auto") -> Deployment:
    """Deliver by the wanted way, or by the one that `auto` chooses. Raises what `deliver` and the converter raise."""
    reference = request.image.reference
    facts = _look(reference.registry, site, means) if wanted == "auto" else LoginFacts()
    cannot = means.converter.why_not()
    way = choose_way(wanted, site, reference, facts, cannot_convert=cannot)
    try:
        return _go(way, request, site, means)
    except PrereqError as error:
        if wanted != "auto" or way.name not in ("oras", "stream"):
            raise
        # The build host's own runtime does not work: the site's may.
        return _go(choose_way(wanted, site, reference, facts, cannot_convert=error.message), request, site, means)
    except HpcbakeError as error:
        other = next_way(way, site) if error.kind in _NO_ROUTE else None
        if other is None:
            raise
        means.say(error.message)
        return _go(other, request, site, means)


def _look(registry: str, site: Site, means: Means) -> LoginFacts:
    return means.look(registry) if means.look else look_at_login(registry, site, node=means.node)


def _go(way: Way, request: DeliverRequest, site: Site, means: Means) -> Deployment:
    means.say(f"by {way.name}: {way.why}")
    request = replace(request, way=way.name, why=way.why)
    if way.name in ("oras", "stream"):
        converted = means.converter.convert(request.image, publish=way.name == "oras")
        how = "converted and compared with the image" if converted.made else "kept from an earlier conversion"
        means.say(f"SIF of {converted.size_bytes / 1e6:.1f} MB, {how}")
        request = replace(request, converted=converted)
    else:
        request = replace(request, expected_content=means.content_of(request.image))
    return deliver(request, site, node=means.node, commands=means.commands, sleep=means.sleep, on_sent=means.on_sent)
