"""spec/connections.md, 3.8."""

import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import ResolveResult

from actors.outputs.egress import EgressRefused, EgressRules, is_public
from tests.actors.forwarding.support import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::a83f:8110", False),
        ("64:ff9b:1::7f00:1", False),
        ("64:ff9b:1::808:808", False),
        ("192.0.0.192", False),
        ("64:ff9b::c000:c0", False),
        ("192.0.1.1", True),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("5f00::1", False),
        ("3fff::1", False),
    ],
)
def test_only_addresses_that_anybody_can_reach_are_public(address: str, expected: bool) -> None:
    assert is_public(ip_address(address)) is expected


@pytest.mark.parametrize(
    ("rule", "address", "port", "expected"),
    [
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.5", "10.0.0.5", 443, True),
        ("10.0.0.5", "10.0.0.6", 443, False),
        ("10.0.0.5:8080", "10.0.0.5", 8080, True),
        ("10.0.0.5:8080", "10.0.0.5", 8081, False),
        ("[::1]:8080", "::1", 8080, True),
        ("::1", "::1", 1, True),
        ("fd00::/8", "fd12::1", 1, True),
    ],
)
def test_rules_open_networks_and_addresses(
    rule: str, address: str, port: int, expected: bool
) -> None:
    assert EgressRules([rule]).lists_address(ip_address(address), port) is expected


@pytest.mark.parametrize(
    ("rule", "host", "port", "expected"),
    [
        ("hooks.internal", "hooks.internal", 1, True),
        ("Hooks.Internal", "hooks.INTERNAL.", 1, True),
        ("hooks.internal", "evil.hooks.internal", 1, False),
        ("hooks.internal:8080", "hooks.internal", 8080, True),
        ("hooks.internal:8080", "hooks.internal", 80, False),
    ],
)
def test_rules_open_names(rule: str, host: str, port: int, expected: bool) -> None:
    assert EgressRules([rule]).lists_host(host, port) is expected


@pytest.mark.parametrize("rule", ["", "10.0.0.0/40", "http://a.example", "a b", "a:port", "u@h"])
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        EgressRules([rule])


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("https://8.8.8.8/", False),
        ("https://name.example/", False),
        ("https://127.0.0.1/", True),
        ("https://[::1]/", True),
        ("http://8.8.8.8/", True),
        ("http://10.0.0.5:8080/", False),
        ("http://10.0.0.5/", True),
    ],
)
def test_what_is_known_without_resolving_is_said_beforehand(url: str, is_refused: bool) -> None:
    refusal = EgressRules(["10.0.0.5:8080"]).refusal(url)
    assert (refusal is not None) is is_refused


async def get(rules: EgressRules, url: str, **options: Any) -> int:
    async with rules.session(**options) as session, session.get(url) as response:
        return response.status


def cause(error: aiohttp.ClientConnectorError) -> OSError:
    return error.os_error


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        pytest.param("2130706433", id="one number"),
        pytest.param("127.1", id="two numbers"),
    ],
)
async def test_a_local_target_is_refused_in_every_spelling(receiver: Receiver, host: str) -> None:
    with pytest.raises(aiohttp.ClientError) as caught:
        await get(EgressRules(), f"http://{host}:{receiver.port}/")
    if isinstance(caught.value, aiohttp.ClientConnectorError):
        assert isinstance(cause(caught.value), EgressRefused)
    else:  # numbers that only some libraries take for addresses
        assert isinstance(caught.value, aiohttp.InvalidURL)
    assert receiver.requests == []


@pytest.mark.parametrize(
    "rule", ["127.0.0.0/8", "127.0.0.1", "127.0.0.1:{port}", "localhost", "localhost:{port}"]
)
async def test_an_opened_target_is_reached(receiver: Receiver, rule: str) -> None:
    host = "localhost" if "localhost" in rule else "127.0.0.1"
    rules = EgressRules([rule.format(port=receiver.port)])
    assert await get(rules, f"http://{host}:{receiver.port}/") == 200
    assert await get(rules, f"http://{host}:{receiver.port}/", listed_only=True) == 200


async def test_a_name_that_resolves_to_a_private_address_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public name says nothing: what it resolves to at the moment of connecting counts."""
    answers = iter(["127.0.0.1"])

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> Any:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answers
        ]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await get(EgressRules(["other.example"]), f"http://hook.example:{receiver.port}/")
    assert isinstance(cause(caught.value), EgressRefused)


async def test_public_targets_need_a_rule_where_only_listed_ones_are_allowed() -> None:
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await get(EgressRules(), "http://8.8.8.8/", listed_only=True)
    assert isinstance(cause(caught.value), EgressRefused)


async def test_hosts_of_other_libraries_are_checked_too() -> None:
    rules = EgressRules(["localhost"])
    await rules.check_host("localhost", 9000)
    await rules.check_host("8.8.8.8", 443)
    with pytest.raises(EgressRefused):
        await rules.check_host("127.0.0.1", 9000)
    with pytest.raises(EgressRefused):
        await EgressRules().check_host("localhost", 9000)
