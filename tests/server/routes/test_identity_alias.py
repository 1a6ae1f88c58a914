"""Alias requests over HTTP: their fields and what becomes of them (spec/identity.md, 10.1)."""

from typing import Any

import pytest

from actors.identity.calls import AliasRequest, IdentityProblem
from tests.server.conftest import T, World
from tests.server.routes.identity import ALIAS, KEY, post, set_up

DAY_MS = 24 * 3600 * 1000
WINDOW_MS = 90 * DAY_MS
MALFORMED = "Request body is malformed or is missing required fields."
SAME = "The source MPID is the same as the destination MPID."
BAD_RANGE = "The given time range is invalid."


@pytest.fixture(autouse=True)
def key_web_1(world: World) -> None:
    set_up(world)


def asking(without: str = "", **data: Any) -> dict[str, Any]:
    """Return a good alias request with some of `data` changed, and one field left out."""
    fields: dict[str, Any] = {
        "source_mpid": "411",
        "destination_mpid": "902",
        "start_unixtime_ms": T - 3_600_000,
        "end_unixtime_ms": T - 1000,
        "scope": "device",
        "device_application_stamp": "0F6B",
    }
    kept = {name: value for name, value in (fields | data).items() if name != without}
    request = {
        "request_id": "4d0c",
        "request_type": "alias",
        "environment": "production",
        "api_key": KEY,
        "data": kept,
    }
    return {name: value for name, value in request.items() if name != without}


def with_each(name: str, *values: Any) -> list[dict[str, Any]]:
    """Return requests that are good but for one field, which has each of some values."""
    return [asking() | {name: value} for value in values]


def with_each_in_data(name: str, *values: Any) -> list[dict[str, Any]]:
    """Return the same for a field of `data`."""
    return [asking(**{name: value}) for value in values]


async def accepted(world: World, sent: Any, path: str = ALIAS) -> AliasRequest:
    """Send a request that has to be accepted; return what the deployment was given."""
    response = await post(world, path, sent, {})
    assert response.status == 202, await response.text()
    assert await response.read() == b""
    return world.deployment.aliases[-1]


async def refused(world: World, sent: Any, status: int = 400) -> str:
    """Send a request that has to be refused with a flat error; return its message."""
    response = await post(world, ALIAS, sent, {})
    assert response.status == status, await response.text()
    content = await response.json()
    assert set(content) == {"code", "message"}
    assert content["code"] == "BAD_REQUEST"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    message: str = content["message"]
    return message


async def test_a_request_is_handed_on(world: World) -> None:
    """spec/identity.md, worked case 31, the request."""
    assert await accepted(world, asking()) == AliasRequest(
        request_id="4d0c",
        environment="production",
        source_mpid=411,
        destination_mpid=902,
        start_ms=T - 3_600_000,
        end_ms=T - 1000,
        scope="device",
        device_stamp="0f6b",
        received_ms=T,
        input=4,
    )


@pytest.mark.parametrize("prefix", ["", "/webevents", "/nativeevents"])
@pytest.mark.parametrize("last", ["alias", "Alias", "ALIAS", "alias/"])
async def test_every_spelling_of_the_path_is_served(world: World, prefix: str, last: str) -> None:
    """spec/identity.md, worked case 32; spec/clients.md, worked case 4."""
    await accepted(world, asking(), f"{prefix}/v1/identity/{KEY}/{last}")


@pytest.mark.parametrize(
    ("sent", "start_ms", "end_ms"),
    [
        pytest.param(asking("start_unixtime_ms"), T - 1000 - WINDOW_MS, T - 1000, id="no start"),
        pytest.param(asking("end_unixtime_ms"), T - 3_600_000, T, id="no end"),
        pytest.param(
            asking(start_unixtime_ms=None, end_unixtime_ms=None), T - WINDOW_MS, T, id="neither"
        ),
        pytest.param(
            asking(start_unixtime_ms=T - 91 * DAY_MS, end_unixtime_ms=T),
            T - WINDOW_MS,
            T,
            id="case 32: start 91 days ago",
        ),
        pytest.param(asking(end_unixtime_ms=T + 10**15), T - 3_600_000, T, id="end to come"),
        pytest.param(asking(start_unixtime_ms=-(10**30)), T - 1000 - WINDOW_MS, T - 1000, id="big"),
        pytest.param(
            asking(start_unixtime_ms=T - WINDOW_MS, end_unixtime_ms=T - WINDOW_MS),
            T - WINDOW_MS,
            T - WINDOW_MS,
            id="just inside",
        ),
        pytest.param(
            asking(start_unixtime_ms=T + 5, end_unixtime_ms=T + 5), None, None, id="later"
        ),
        pytest.param(
            asking(start_unixtime_ms=T - 999, end_unixtime_ms=T - 1000),
            None,
            None,
            id="case 32: start after end",
        ),
        pytest.param(
            asking(start_unixtime_ms=0, end_unixtime_ms=T - WINDOW_MS - 1),
            None,
            None,
            id="just outside",
        ),
        pytest.param(
            asking("start_unixtime_ms", end_unixtime_ms=T - 91 * DAY_MS),
            None,
            None,
            id="case 32: end 91 days ago",
        ),
    ],
)
async def test_the_time_range_is_cut_or_refused(
    world: World, sent: Any, start_ms: int | None, end_ms: int | None
) -> None:
    """spec/identity.md, 10.1 and worked case 32."""
    if start_ms is None:
        assert await refused(world, sent) == BAD_RANGE
    else:
        request = await accepted(world, sent)
        assert (request.start_ms, request.end_ms) == (start_ms, end_ms)


async def test_the_window_is_a_setting(world: World) -> None:
    set_up(world, alias_window_ms=DAY_MS)
    request = await accepted(world, asking("start_unixtime_ms", end_unixtime_ms=T - DAY_MS))
    assert request.start_ms == T - 2 * DAY_MS
    assert await refused(world, asking(end_unixtime_ms=T - DAY_MS - 1)) == BAD_RANGE


@pytest.mark.parametrize(
    ("scope", "stamp", "expected"),
    [
        ("device", "D1", ("device", "d1")),
        ("mpid", "D1", ("mpid", "d1")),
        ("mpid", None, ("mpid", None)),
        (None, "D1", ("device", "d1")),
        (None, None, ("mpid", None)),
        (None, " ", ("mpid", None)),
        ("device", None, None),
        ("device", "", None),
        ("user", "D1", None),
        ("", "D1", None),
        (5, "D1", None),
        ([], "D1", None),
        ("mpid", 5, None),
    ],
)
async def test_the_scope_is_the_device_where_one_is_named(
    world: World, scope: Any, stamp: Any, expected: Any
) -> None:
    """spec/identity.md, 10.1 and worked case 32."""
    sent = asking(scope=scope, device_application_stamp=stamp)
    if expected is None:
        assert await refused(world, sent) == MALFORMED
    else:
        request = await accepted(world, sent)
        assert (request.scope, request.device_stamp) == expected


@pytest.mark.parametrize("mpid", [411, "411", -411, "-411", 2**63 - 1])
async def test_mpids_are_text_of_browsers_or_numbers_of_apps(world: World, mpid: Any) -> None:
    request = await accepted(world, asking(source_mpid=mpid))
    assert request.source_mpid == int(mpid)


@pytest.mark.parametrize(
    "sent",
    [
        b"{",
        b"[]",
        *(asking(name) for name in ("request_id", "request_type", "environment", "data")),
        *(asking(name) for name in ("source_mpid", "destination_mpid")),
        *with_each("request_id", "", None, 5),
        *with_each("request_type", "Alias", None, 5),
        *with_each("environment", "staging", None, []),
        *with_each("api_key", "other", "", 5),
        *with_each("data", None, [], "x"),
        *with_each_in_data("source_mpid", None, "x", 0, "0", 1.5, True, 2**63),
        *with_each_in_data("destination_mpid", None, "", []),
        *with_each_in_data("start_unixtime_ms", "5", 1.5, True),
        *with_each_in_data("end_unixtime_ms", "5", []),
    ],
)
async def test_a_malformed_request_is_refused(world: World, sent: Any) -> None:
    """spec/identity.md, worked case 32."""
    assert await refused(world, sent) == MALFORMED
    assert world.deployment.aliases == []


async def test_the_key_need_not_be_repeated(world: World) -> None:
    await accepted(world, asking("api_key"))
    await accepted(world, asking() | {"api_key": None})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source_mpid": "x", "destination_mpid": "x"}, MALFORMED),
        ({"source_mpid": 902}, SAME),
        ({}, BAD_RANGE),
    ],
)
async def test_of_several_errors_the_first_is_told(
    world: World, wrong: dict[str, Any], message: str
) -> None:
    """spec/identity.md, 10.1: fields, equal MPIDs, time range, existence; worked case 32."""
    world.deployment.alias_answer = IdentityProblem(400, "BAD_REQUEST", "There is none.")
    sent = asking(start_unixtime_ms=T, **wrong)
    assert await refused(world, sent) == message
    assert await refused(world, asking()) == "There is none."


async def test_without_aliasing_nothing_is_told(world: World) -> None:
    """spec/identity.md, worked case 32: isolation and best match."""
    set_up(world, has_aliasing=False)
    for sent in (asking(), b"{"):
        response = await post(world, ALIAS, sent, {})
        assert response.status == 403
        assert await response.read() == b""
    assert (await post(world, "/v1/identity/nobody/alias", asking(), {})).status == 401
