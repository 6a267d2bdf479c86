"""What goes wrong with a registry, in words: wrong bytes, cut connections, and what the registry says itself."""

from __future__ import annotations

import json

import urllib3

from hpcbake.errors import IntegrityError, RegistryError, RegistryTempError
from hpcbake.model.reference import Digest, ImageReference


def error_text(response: urllib3.BaseHTTPResponse) -> str:
    """What the registry says about it, made safe for one line of a terminal."""
    try:
        body = response.read(4096, decode_content=True) or b""
        first = json.loads(body)["errors"][0]
        text = f"{first.get('code', '')} {first.get('message', '')}".strip()
    except (urllib3.exceptions.HTTPError, OSError, ValueError, LookupError, AttributeError, TypeError):
        return ""
    return f" ({text[:200]!r})" if text else ""


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header; the date form counts as unstated."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None


def wrong_bytes(ref: ImageReference, digest: Digest, received_hex: str, count: int, size: int | None) -> IntegrityError:
    return IntegrityError(
        f"blob of {ref.name}: {digest} expected, sha256:{received_hex} received "
        f"({count} of {size if size is not None else 'unknown'} bytes)",
        remedy="run again; if it stays, the registry or a proxy in between serves wrong bytes: push the image again",
        kind="registry.digest-mismatch",
    )


def wrong_size(ref: ImageReference, digest: Digest, received: str, size: int) -> IntegrityError:
    return IntegrityError(
        f"blob {digest} of {ref.name}: {size} bytes expected, {received} received",
        remedy="run again; if it stays, the registry serves wrong bytes: push the image again",
        kind="registry.digest-mismatch",
    )


def cut_off(
    ref: ImageReference, digest: Digest, received: int, size: int | None, cuts: int, cause: Exception | None
) -> IntegrityError | RegistryTempError:
    """Bytes that never come are a temporary failure; a server that ends cleanly too early holds a damaged blob."""
    if cause is None and size is not None:
        return wrong_size(ref, digest, f"{received}", size)
    return RegistryTempError(
        f"{ref.registry}: blob {digest} broke off {cuts} times, last after {received} of "
        f"{size if size is not None else 'unknown'} bytes: {type(cause).__name__}",
        remedy="check the network and the registry, then run again",
        kind="registry.cut",
    )


def odd_answer(ref: ImageReference, why: str) -> RegistryError:
    return RegistryError(f"{ref.registry}: {why}", remedy="tell the registry's operator", kind="registry.malformed")
