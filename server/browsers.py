"""What a client's request tells beside its body: whom it asks and how, its address and user agent.

Source: spec/clients.md, 2.
"""

import re
from ipaddress import ip_address

from aiohttp import web

from server.edge_config import EdgeConfig, Network

_WITH_PORT = re.compile(
    r"\[(?P<ipv6>[0-9a-fA-F:.]+)\](?::[0-9]{1,5})?|(?P<ipv4>[0-9.]+):[0-9]{1,5}"
)


def host_of(request: web.Request) -> str:
    """Return the host that a request names; what is not UTF-8 in it is replaced."""
    return request.host.encode("utf-8", "replace").decode()


def client_address(request: web.Request, config: EdgeConfig) -> str | None:
    """Return the address of the client, or the connection's where no trusted proxy names one.

    Of `X-Forwarded-For` only what trusted proxies wrote counts: the rightmost address that is not
    one of theirs.
    """
    peer = request.remote
    if peer is None or not config.trusted_proxies or not _is_trusted(peer, config.trusted_proxies):
        return peer
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
    address = peer
    for hop in reversed(forwarded.split(",")):
        name = _address_of(hop.strip())
        if name is None:
            break
        address = name
        if not _is_trusted(name, config.trusted_proxies):
            break
    return address


def scheme_of(request: web.Request, config: EdgeConfig) -> str:
    """Return the scheme that a request came by: what a trusted proxy before us says, or our own.

    Of several proxies the first one's word counts, which the client has reached.
    """
    peer = request.remote
    if peer is not None and config.trusted_proxies and _is_trusted(peer, config.trusted_proxies):
        named = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower()
        if named in ("http", "https"):
            return named
    return request.scheme


def user_agent(request: web.Request) -> str | None:
    """Return the request's User-Agent; bytes that are not UTF-8 are replaced."""
    sent = request.headers.get("User-Agent")
    return None if sent is None else sent.encode(errors="replace").decode()


def _address_of(hop: str) -> str | None:
    """Return the address of a hop, which some proxies write with its port; `None` if it has none.

    IPv6 is in brackets where a port follows: without them its last group would be one.
    """
    named = _WITH_PORT.fullmatch(hop)
    address = hop if named is None else named["ipv6"] or named["ipv4"]
    try:
        ip_address(address)
    except ValueError:
        return None
    return address


def _is_trusted(address: str, networks: tuple[Network, ...]) -> bool:
    parsed = ip_address(address)
    return any(parsed in network for network in networks)
