"""The one door for outbound requests: where they may go (spec/connections.md, 3.8).

Names are resolved here and refused addresses left out; then the address of every socket is checked
once more as it is made, so neither a literal address nor a name that changes its mind gets past.
Redirects have to be switched off by the caller.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohappyeyeballs import start_connection
from aiohttp.abc import AbstractResolver, ResolveResult

Address = IPv4Address | IPv6Address

# Metadata services whose addresses are not private: Azure's wire server.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})
_NAME = re.compile(r"[\w.:\[\]-]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All else stands for something local, such as networks' own NAT64 (RFC 8215), or for nothing.
_UNICAST = ipaddress.IPv6Network("2000::/3")
# What `is_global` lets through, depending on the version of Python: RFC 6890, RFC 9637.
_SPECIAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv6Network("3fff::/20"))


class EgressRefused(OSError):
    """An outbound request is not allowed to go where it wants to."""


def refusal_behind(error: BaseException | None) -> EgressRefused | None:
    """Return the refusal that some other library has made an error of its own of."""
    while error is not None and not isinstance(error, EgressRefused):
        error = error.__cause__ or error.__context__
    return error


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def is_public(address: Address) -> bool:
    """Say whether anybody may be sent to: not private, local, multicast or a metadata service."""
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    if address in _METADATA or any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast


def _parse(text: str) -> Address | None:
    """Read a literal address, without its zone; `None` if it is a name."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


class EgressRules:
    """What the operator has opened: networks, hosts, and hosts at one port."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """Read the rules.

        Args:
            allow: CIDRs, hosts or host:port; a host is a name or an address.

        Raises:
            ValueError: an entry is none of these.
        """
        self._networks: list[tuple[IPv4Network | IPv6Network, int | None]] = []
        self._hosts: set[tuple[str, int | None]] = set()
        for entry in allow:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        if "/" in entry or _parse(entry) is not None:
            self._networks.append((ipaddress.ip_network(entry.strip("[]"), strict=False), None))
            return
        try:
            parts = urlsplit(f"//{entry}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or parts.netloc != entry or not _NAME.fullmatch(entry):
            raise ValueError(f"{entry!r} is not a CIDR, a host or host:port")
        address = _parse(host)
        if address is None:
            self._hosts.add((host.rstrip("."), port))
        else:
            self._networks.append((ipaddress.ip_network(address), port))

    def lists_address(self, address: Address, port: int) -> bool:
        """Say whether the operator has opened this address at this port."""
        return any(
            address in network and rule_port in (None, port)
            for network, rule_port in self._networks
        )

    def lists_host(self, host: str, port: int) -> bool:
        """Say whether the operator has opened this name at this port."""
        name = host.lower().rstrip(".")
        return (name, None) in self._hosts or (name, port) in self._hosts

    def lists(self, host: str, port: int) -> bool:
        """Say whether the operator has opened a host, an address or a name, at this port."""
        address = _parse(host)
        if address is None:
            return self.lists_host(host, port)
        return self.lists_address(address, port)

    def refusal(self, url: str, *, allow_insecure: bool = False) -> str | None:
        """Say why a URL cannot be requested, as far as is known without resolving its name."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = _parse(host)
        if address is None or self.lists_address(address, port):
            return None
        if not is_public(address):
            return f"{host} is not a public address and is not in egress.allow"
        if parts.scheme == "http" and not allow_insecure:
            return "http is only allowed to targets in egress.allow or with allow_insecure"
        return None

    def session(self, *, listed_only: bool = False, **options: Any) -> aiohttp.ClientSession:
        """Open an HTTP session that goes nowhere else; must be called with a running loop.

        Args:
            listed_only: public addresses are refused too, unless the operator has opened them.
            options: those of `aiohttp.ClientSession`.
        """
        connector = aiohttp.TCPConnector(
            **self.connector_options(listed_only=listed_only),
            limit=0,  # the forwarder bounds what is in flight
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), **options
        )

    def connector_options(self, *, listed_only: bool = False) -> dict[str, Any]:
        """Return what keeps a connector of aiohttp to allowed targets, a library's own as well.

        Wherever its requests come from, redirects too, it makes no socket to another address.
        """
        door = _Door(self, listed_only=listed_only)
        return {"resolver": door, "socket_factory": door.socket}

    async def check_host(self, host: str, port: int, *, listed_only: bool = False) -> None:
        """Refuse a host that some other library is going to connect to.

        Args:
            listed_only: as of `session`.

        Raises:
            EgressRefused: no address of it is allowed.
            OSError: it cannot be resolved.
        """
        await self.addresses(host, port, listed_only=listed_only)

    async def addresses(self, host: str, port: int, *, listed_only: bool = False) -> list[str]:
        """Return those addresses of a host that some other library may connect to.

        Args:
            listed_only: as of `session`.

        Raises:
            EgressRefused: there is none.
            OSError: it cannot be resolved.
        """
        address = _parse(host)
        door = _Door(self, listed_only=listed_only)
        if address is None:
            found = await door.resolve(host, port, socket.AF_UNSPEC)
            return list(dict.fromkeys(each["host"] for each in found))
        if not door.permits(str(address), port):
            raise EgressRefused(f"{host} is not an allowed target")
        return [str(address)]

    async def connect(self, host: str, port: int) -> socket.socket:
        """Open a TCP connection for a library that has no sessions of ours.

        Raises:
            EgressRefused: no address of the host is allowed.
            OSError: it cannot be resolved or connected to.
        """
        address = _parse(host)
        door = _Door(self, listed_only=False)
        if address is None:
            found = await door.resolve(host, port, socket.AF_UNSPEC)
            targets = [(each["family"], each["host"]) for each in found]
        else:
            is_new = isinstance(address, IPv6Address)
            targets = [(socket.AF_INET6 if is_new else socket.AF_INET, str(address))]
        return await start_connection(
            [
                (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (target, port))
                for family, target in targets
            ],
            happy_eyeballs_delay=0.25,
            socket_factory=door.socket,
        )


class _Door(AbstractResolver):
    """The checks of one session: a resolver and a maker of sockets."""

    def __init__(self, rules: EgressRules, *, listed_only: bool) -> None:
        self._rules = rules
        self._listed_only = listed_only
        self._resolver: aiohttp.ThreadedResolver | None = None
        # What names that the operator has opened resolved to. Their addresses are opened as well.
        self._opened: set[tuple[str, int]] = set()

    def permits(self, text: str, port: int) -> bool:
        """Say whether an address may be connected to; one that cannot be read may not."""
        address = _parse(text)
        if address is None:
            return False
        if self._rules.lists_address(address, port) or (str(address), port) in self._opened:
            return True
        return not self._listed_only and is_public(address)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name to those of its addresses that are allowed."""
        if self._resolver is None:  # in the loop that it is used by
            self._resolver = aiohttp.ThreadedResolver(asyncio.get_running_loop())
        found = await self._resolver.resolve(host, port, family)
        if self._rules.lists_host(host, port):
            addresses = [_parse(result["host"]) for result in found]
            self._opened.update((str(address), port) for address in addresses)
        allowed = [result for result in found if self.permits(result["host"], port)]
        if not allowed:
            raise EgressRefused(f"{host} is not an allowed target")
        return allowed

    async def close(self) -> None:
        """Release the resolver."""
        if self._resolver is not None:
            await self._resolver.close()

    def socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for one connection, if its address is allowed."""
        family, kind, protocol, _, address = info
        if not self.permits(str(address[0]), int(address[1])):
            raise EgressRefused(f"{address[0]} is not an allowed target")
        return socket.socket(family, kind, protocol)
