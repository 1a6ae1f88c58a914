"""Requests without a credential are limited by address."""

from contextlib import suppress
from ipaddress import ip_network

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Request

from server import addresses
from server.addresses import AT_ONCE, Addresses
from server.context import EDGES
from server.problems import Refused
from tests.server.conftest import World


def asking(address: str, **headers: str) -> Request:
    return make_mocked_request("GET", "/", headers=headers).clone(remote=address)


def admitted(found: Addresses, world: World, address: str, count: int = 1, **headers: str) -> int:
    """Ask so often from an address; return how often it was admitted."""
    request = asking(address, **headers)
    edge = world.client.app[EDGES].first
    times = 0
    for _ in range(count):
        with suppress(Refused):
            found.admit(request, edge)
            times += 1
    return times


async def test_each_address_has_so_many_and_one_more_a_second(world: World) -> None:
    found = Addresses()
    assert admitted(found, world, "203.0.113.7", 2 * AT_ONCE) == AT_ONCE
    assert admitted(found, world, "203.0.113.8", AT_ONCE) == AT_ONCE
    with pytest.raises(Refused) as error:
        found.admit(asking("203.0.113.8"), world.client.app[EDGES].first)
    assert error.value.code == "TOO_MANY_REQUESTS"
    assert error.value.headers["Retry-After"] == "1"
    world.clock.advance(3000)
    assert admitted(found, world, "203.0.113.7", 10) == 3


async def test_a_network_of_ipv6_is_one_address(world: World) -> None:
    found = Addresses()
    assert admitted(found, world, "2001:db8::1", AT_ONCE) == AT_ONCE
    assert admitted(found, world, "2001:db8:0:0:ffff::2") == 0
    assert admitted(found, world, "2001:db8:0:1::1") == 1
    assert admitted(found, world, "203.0.113.7", AT_ONCE) == AT_ONCE
    assert admitted(found, world, "::ffff:203.0.113.7") == 0


async def test_trusted_proxies_are_not_whom_they_speak_for(world: World) -> None:
    networks = (ip_network("10.0.0.0/8"),)
    world.config.current = msgspec.structs.replace(world.config.current, trusted_proxies=networks)
    found = Addresses()
    for client in ("203.0.113.7", "203.0.113.8"):
        forwarded = {"X-Forwarded-For": client}
        assert admitted(found, world, "10.0.0.1", 2 * AT_ONCE, **forwarded) == AT_ONCE


async def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "REMEMBERED", 10)
    found = Addresses()
    assert admitted(found, world, "203.0.113.1", AT_ONCE) == AT_ONCE
    for last in range(2, 11):
        assert admitted(found, world, f"203.0.113.{last}") == 1
    assert admitted(found, world, "203.0.113.1") == 0
    for last in range(11, 21):
        assert admitted(found, world, f"203.0.113.{last}") == 1
    assert admitted(found, world, "203.0.113.1") == 1
