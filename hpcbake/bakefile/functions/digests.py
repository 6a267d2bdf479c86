"""Digests, UUIDs, and the two functions that need a cryptographic library."""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid

from hpcbake.bakefile.functions.arguments import whole
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.number import Number
from hpcbake.bakefile.types import NUMBER, STRING
from hpcbake.bakefile.values import Value, string

FUNCTIONS: Registry = {}
_STR = Parameter("str", STRING)
_NAMESPACES = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}
#: bcrypt takes 2^cost rounds: a cost beyond this would run for minutes.
_HIGHEST_COST = 16


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@register(FUNCTIONS, "md5", _STR)
def _md5(text: str) -> Value:
    return hashlib.md5(_bytes(text), usedforsecurity=False).hexdigest()


@register(FUNCTIONS, "sha1", _STR)
def _sha1(text: str) -> Value:
    return hashlib.sha1(_bytes(text), usedforsecurity=False).hexdigest()


@register(FUNCTIONS, "sha256", _STR)
def _sha256(text: str) -> Value:
    return hashlib.sha256(_bytes(text)).hexdigest()


@register(FUNCTIONS, "sha512", _STR)
def _sha512(text: str) -> Value:
    return hashlib.sha512(_bytes(text)).hexdigest()


@register(FUNCTIONS, "uuidv4")
def _uuidv4() -> Value:
    return str(uuid.uuid4())


@register(FUNCTIONS, "uuidv5", Parameter("namespace", STRING), Parameter("name", STRING))
def _uuidv5(namespace: str, name: str) -> Value:
    space = _NAMESPACES.get(namespace)
    if space is None:
        try:
            space = uuid.UUID(namespace)
        except ValueError:
            raise FunctionError('it must be "dns", "url", "oid", "x500" or a UUID', 0) from None
    digest = hashlib.sha1(space.bytes + _bytes(name), usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


@register(FUNCTIONS, "bcrypt", _STR, variadic=Parameter("cost", NUMBER))
def _bcrypt(text: str, *costs: Number) -> Value:
    if len(costs) > 1:
        raise FunctionError("it takes no more than two arguments")
    cost = whole(costs[0], 1) if costs else 10
    if not 4 <= cost <= _HIGHEST_COST:
        if cost < 4 and costs:
            cost = 10  # as Go does with a cost below its minimum
        else:
            raise FunctionError(f"the cost must be at most {_HIGHEST_COST}", 1)
    data = _bytes(text)
    if len(data) > 72:
        raise FunctionError("bcrypt takes no more than 72 bytes", 0)
    import bcrypt

    return bcrypt.hashpw(data, bcrypt.gensalt(cost, prefix=b"2a")).decode("ascii")


@register(FUNCTIONS, "rsadecrypt", Parameter("ciphertext", STRING), Parameter("privatekey", STRING))
def _rsadecrypt(ciphertext: str, private_key: str) -> Value:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        data = base64.b64decode(ciphertext.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise FunctionError("it is not base64", 0) from None
    try:
        key = load_pem_private_key(_bytes(private_key), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise FunctionError("it is not an RSA private key in PEM form", 1) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FunctionError("it is not an RSA private key", 1)
    try:
        plain = key.decrypt(data, padding.PKCS1v15())
    except ValueError:
        raise FunctionError("the text cannot be decrypted with this key", 0) from None
    return string(plain.decode("utf-8", "replace"))
