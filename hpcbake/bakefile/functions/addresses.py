"""Network addresses in CIDR notation."""

from __future__ import annotations

import ipaddress

from hpcbake.bakefile.functions.arguments import whole
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.number import Number
from hpcbake.bakefile.types import NUMBER, STRING
from hpcbake.bakefile.values import ListValue, Value

FUNCTIONS: Registry = {}
_PREFIX = Parameter("prefix", STRING)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> Network:
    address, slash, length = text.partition("/")
    try:
        if not slash or not length.isdecimal() or not length.isascii() or (len(length) > 1 and length[0] == "0"):
            raise ValueError(text)
        return ipaddress.ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        raise FunctionError(f'"{text}" is not a network in CIDR notation', 0, "write it like 10.0.0.0/8") from None


@register(FUNCTIONS, "cidrhost", _PREFIX, Parameter("hostnum", NUMBER))
def _cidrhost(prefix: str, number: Number) -> Value:
    network = _network(prefix)
    host = whole(number, 1)
    if not -network.num_addresses <= host < network.num_addresses:
        raise FunctionError(f"{prefix} has no host number {host}", 1)
    return str(network[host])


@register(FUNCTIONS, "cidrnetmask", _PREFIX)
def _cidrnetmask(prefix: str) -> Value:
    network = _network(prefix)
    return str(network.netmask)


@register(FUNCTIONS, "cidrsubnet", _PREFIX, Parameter("newbits", NUMBER), Parameter("netnum", NUMBER))
def _cidrsubnet(prefix: str, newbits_number: Number, netnum_number: Number) -> Value:
    network = _network(prefix)
    newbits, netnum = whole(newbits_number, 1), whole(netnum_number, 2)
    length = network.prefixlen + newbits
    if newbits < 0 or length > network.max_prefixlen:
        raise FunctionError(f"{prefix} has no room for {newbits} more bits", 1)
    if not 0 <= netnum < 1 << newbits:
        raise FunctionError(f"{newbits} bits cannot hold the number {netnum}", 2)
    base = int(network.network_address) | netnum << (network.max_prefixlen - length)
    return str(type(network)((base, length)))


@register(FUNCTIONS, "cidrsubnets", _PREFIX, variadic=Parameter("newbits", NUMBER))
def _cidrsubnets(prefix: str, *newbits_numbers: Number) -> Value:
    network = _network(prefix)
    subnets: list[Value] = []
    at = int(network.network_address)
    end = at + network.num_addresses
    for argument, number in enumerate(newbits_numbers, start=1):
        newbits = whole(number, argument)
        length = network.prefixlen + newbits
        if newbits < 1 or newbits > 32:
            raise FunctionError("it must be between 1 and 32", argument)
        if length > network.max_prefixlen:
            raise FunctionError(f"{prefix} has no room for {newbits} more bits", argument)
        size = 1 << (network.max_prefixlen - length)
        at = -(-at // size) * size
        if at + size > end:
            raise FunctionError(f"{prefix} has no room left for this network", argument)
        subnets.append(str(type(network)((at, length))))
        at += size
    return ListValue(STRING, tuple(subnets))
