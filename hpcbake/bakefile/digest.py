"""The digest that cache entries are named by."""

from __future__ import annotations

try:
    from _blake2 import blake2b  # hashlib would load OpenSSL, which nothing here needs
except ImportError:
    from hashlib import blake2b


def digest(text: str) -> str:
    """64 hexadecimal digits that no other text has."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
