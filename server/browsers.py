"""What a client's request tells beside its body: whom it asks and how, its address and user agent.

Source: spec/clients.md, 2.
"""

from ipaddress import ip_address

from aiohttp import web

from server.edge_config import EdgeConfig, Network


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
        name = hop.strip()
        if not _is_address(name):
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


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(address: str, networks: tuple[Network, ...]) -> bool:
    parsed = ip_address(address)
    return any(parsed in network for network in networks)
