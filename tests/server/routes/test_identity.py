"""Identity calls over HTTP: what the deployment is asked, what clients get (spec/identity.md)."""

import json
from pathlib import Path
from typing import Any

import pytest

from actors.batches.identities import BATCH_NAMES, DEVICE_IDENTITIES, DEVICE_STAMP
from actors.identity.calls import (
    ChangeRequest,
    IdentityAnswer,
    IdentityCall,
    ModifyAnswer,
    ModifyCall,
)
from tests.server.conftest import T, World, key_info
from tests.server.routes.identity import (
    ALIAS,
    CALLS,
    KEY,
    KEY_ONLY,
    MODIFY,
    PATHS,
    SECRET,
    body,
    body_for,
    post,
    set_up,
)

RECORDED = Path(__file__).parents[2] / "data" / "recorded" / "web.ndjson"
RECORDED_KEY = "us1-0123456789abcdef0123456789abcdef"
STAMP = {"device_application_stamp": "d-1"}
EVERY_TYPE = sorted({*BATCH_NAMES, *DEVICE_IDENTITIES.values(), DEVICE_STAMP})


@pytest.fixture(autouse=True)
def key_web_1(world: World) -> None:
    set_up(world)


async def answered(world: World, path: str, sent: Any) -> dict[str, Any]:
    """Send a call that has to be answered 200; return its answer."""
    response = await post(world, path, sent)
    assert response.status == 200, await response.text()
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    content: dict[str, Any] = await response.json()
    return content


async def asked(world: World, path: str, sent: Any) -> IdentityCall:
    """Send a call; return what the deployment was asked."""
    await answered(world, path, sent)
    return world.deployment.identity_calls[-1]


# -- Answers --------------------------------------------------------------------------------------


async def test_a_new_user_is_answered(world: World) -> None:
    """spec/identity.md, worked case 1."""
    world.deployment.identity_answer = IdentityAnswer(2**53 - 1, (), True, False)
    response = await post(world, "/v1/identify", body())
    assert response.status == 200
    assert response.headers["X-MP-Max-Age"] == "86400"
    assert await response.text() == (
        '{"context":null,"mpid":"9007199254740991","matched_identities":{},'
        '"is_ephemeral":true,"is_logged_in":false}'
    )
    assert world.deployment.identity_calls == [IdentityCall("identify", "production", STAMP, T)]


async def test_half_a_surrogate_pair_costs_no_client_its_user(world: World) -> None:
    """Web browsers send such halves of strings that they cut; a 400 leaves them without an MPID."""
    sent = json.dumps(body({"other": "cut"})).replace("cut", r"cut \ud83d").encode()
    assert (await asked(world, "/v1/identify", sent)).identities == {"other": "cut \ufffd"}


async def test_matched_identities_are_shown_as_they_were_sent(world: World) -> None:
    """spec/identity.md, worked cases 2 and 13: never one that was not sent."""
    world.deployment.identity_answer = IdentityAnswer(
        -5, ("customerid", "email", "facebook"), False, True
    )
    sent = body({"customerid": "u-77", "email": " Ann@Example.com ", **STAMP, "other": None})
    assert await answered(world, "/v1/login", sent) == {
        "context": None,
        "mpid": "-5",
        "matched_identities": {"customerid": "u-77", "email": " Ann@Example.com "},
        "is_ephemeral": False,
        "is_logged_in": True,
    }
    [call] = world.deployment.identity_calls
    assert call.identities == {"customerid": "u-77", "email": "Ann@Example.com", **STAMP}


@pytest.mark.parametrize(
    ("query", "is_shown"),
    [
        ("?return_matches=false", False),
        ("?return_matches=FALSE", False),
        ("?return_matches=true", True),
        ("?return_matches=", True),
        ("?cb=1", True),
    ],
)
async def test_matches_are_left_out_on_request(world: World, query: str, is_shown: bool) -> None:
    """spec/identity.md, worked case 17."""
    world.deployment.identity_answer = IdentityAnswer(7, (DEVICE_STAMP,), True, False)
    answer = await answered(world, f"/v1/identify{query}", body())
    assert answer["matched_identities"] == (STAMP if is_shown else {})


@pytest.mark.parametrize("path", [*PATHS, "/identity/v1/login", "/v1/search?cb=1"])
async def test_only_identify_and_login_may_be_kept_by_clients(world: World, path: str) -> None:
    """spec/identity.md, 4.3."""
    response = await post(world, path, body_for(path))
    expected = "86400" if path.endswith(("identify", "login")) else None
    assert response.headers.get("X-MP-Max-Age") == expected


# -- Questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("prefix", ["", "/identity"])
@pytest.mark.parametrize("suffix", ["", "/", "?cb=1"])
async def test_every_spelling_of_a_path_is_its_call(
    world: World, kind: str, prefix: str, suffix: str
) -> None:
    """spec/identity.md, 4.1 and worked case 18."""
    assert (await asked(world, f"{prefix}/v1/{kind}{suffix}", body())).kind == kind


@pytest.mark.parametrize("name", EVERY_TYPE)
async def test_every_type_is_known(world: World, name: str) -> None:
    """spec/identity.md, worked case 12."""
    call = await asked(world, "/v1/identify", body({name: " aB-1 "}))
    assert call.identities == {name: "aB-1"}


def test_there_are_as_many_types_as_the_table_has() -> None:
    """spec/identity.md, 2."""
    assert len(EVERY_TYPE) == 34


async def test_a_zero_is_no_advertising_id_but_a_value_of_other_types(world: World) -> None:
    """spec/identity.md, 2."""
    zero = "00000000-0000-0000-0000-000000000000"
    sent = {"ios_idfa": zero, "ios_idfv": zero, "other": zero}
    call = await asked(world, "/v1/identify", body(sent))
    assert call.identities == {"ios_idfv": zero, "other": zero}


@pytest.mark.parametrize("environment", ["production", "development"])
async def test_the_environment_is_handed_on(world: World, environment: str) -> None:
    call = await asked(world, "/v1/identify", body() | {"environment": environment})
    assert call.environment == environment


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, None),
        ({"previous_mpid": None}, None),
        ({"previous_mpid": 5}, 5),
        ({"previous_mpid": "5"}, 5),
        ({"previous_mpid": "-9223372036854775808"}, -(2**63)),
        ({"previous_mpid": 2**63 - 1}, 2**63 - 1),
        ({"requestId": 5, "context": "x", "request_timestamp_ms": 5}, None),
    ],
)
async def test_the_previous_mpid_may_be_text_or_number(
    world: World, sent: dict[str, Any], expected: int | None
) -> None:
    """spec/identity.md, 5.1 and worked case 9."""
    assert (await asked(world, "/v1/login", body(**sent))).previous_mpid == expected


@pytest.mark.parametrize("kind", ["identify", "login", "logout"])
async def test_a_call_may_be_read_only(world: World, kind: str) -> None:
    """spec/identity.md, worked case 16."""
    world.deployment.identity_answer = IdentityAnswer(0, (), True, False)
    answer = await answered(world, f"/v1/{kind}?read_only=true", body())
    assert (answer["mpid"], answer["matched_identities"]) == ("0", {})
    assert world.deployment.identity_calls[-1].is_read_only
    for query in ("", "?read_only=false", "?read_only=1"):
        assert not (await asked(world, f"/v1/{kind}{query}", body())).is_read_only


async def test_a_logout_with_a_request_id_can_be_recognized(world: World) -> None:
    """spec/identity.md, worked case 24 and 7.5."""

    async def key_of(kind: str = "logout", headers: Any = KEY_ONLY, **fields: Any) -> bytes | None:
        sent = body(fields.pop("known", None), **fields)
        assert (await post(world, f"/v1/{kind}", sent, headers)).status == 200
        return world.deployment.identity_calls[-1].retry_key

    set_up(world, key_info("other", "x", 4))
    same: dict[str, Any] = {
        "request_id": "z",
        "request_timestamp_ms": 5,
        "known": {"email": "a", "other": "b"},
    }
    first = await key_of(**same)
    assert first is not None
    assert await key_of(**same) == first
    assert await key_of(**same | {"known": {"other": "b", "email": "a"}}) == first
    assert await key_of(**same, context="x") == first
    others = [
        await key_of(**same | {"request_id": "y"}),
        await key_of(**same | {"request_timestamp_ms": 6}),
        await key_of(**same | {"request_timestamp_ms": None}),
        await key_of(**same | {"known": {"email": "a"}}),
        await key_of(**same, headers={"x-mp-key": "other"}),
    ]
    assert None not in others
    assert len({first, *others}) == 6
    for fields in ({}, {"request_id": None}, {"request_id": ""}):
        assert await key_of(request_timestamp_ms=5, **fields) is None
    for kind in ("identify", "login", "search"):
        assert await key_of(kind, **same) is None


# -- Modify ---------------------------------------------------------------------------------------


async def test_changes_are_handed_on_in_their_order(world: World) -> None:
    """spec/identity.md, worked cases 21 and 22."""
    world.deployment.modify_answer = ModifyAnswer((("email", 881), ("email", 882)))
    changes = [
        {"identity_type": "email", "old_value": "a", "new_value": " B "},
        {"identity_type": "other2", "new_value": "c"},
        {"identity_type": "push_token", "old_value": "d", "new_value": None},
        {"identity_type": "alias", "old_value": "", "new_value": " "},
        {"identity_type": "ios_idfa", "new_value": "00000000-0000-0000-0000-000000000000"},
    ]
    sent = {"environment": "development", "identity_changes": changes, "request_id": "r"}
    assert await answered(world, MODIFY, sent) == {
        "change_results": [
            {"identity_type": "email", "modified_mpid": "881"},
            {"identity_type": "email", "modified_mpid": "882"},
        ]
    }
    expected = (
        ChangeRequest("email", "a", "B"),
        ChangeRequest("other2", None, "c"),
        ChangeRequest("push_token", "d", None),
        ChangeRequest("alias", None, None),
        ChangeRequest("ios_idfa", None, None),
    )
    assert world.deployment.modify_calls == [ModifyCall("development", 881, expected, T)]


@pytest.mark.parametrize("count", [0, 1, 50])
async def test_up_to_50_changes_are_taken(world: World, count: int) -> None:
    """spec/identity.md, worked case 22."""
    changes = [{"identity_type": "email", "new_value": str(each)} for each in range(count)]
    sent = {"environment": "production", "identity_changes": changes}
    assert await answered(world, "/identity/v1/-881/modify/", sent) == {"change_results": []}
    [call] = world.deployment.modify_calls
    assert (call.mpid, len(call.changes)) == (-881, count)


# -- What surrounds a call ------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PATHS, "/identity/v1/identify", ALIAS, f"/webevents{ALIAS}"])
async def test_a_browser_may_ask_from_anywhere(world: World, path: str) -> None:
    """spec/identity.md, worked case 29; spec/clients.md, 2 and worked case 3."""
    names = ("anonymousid", "authorization", "content-type", "sentat", "x-mp-key")
    response = await world.client.options(
        path,
        headers={
            "Origin": "https://shop.example.test",
            "Access-Control-Request-Headers": ",".join(names),
        },
    )
    assert response.status == 204
    assert await response.read() == b""
    good = await post(world, path, body_for(path))
    bad = await post(world, path, b"{")
    refused = await post(world, path.replace(KEY, "nobody"), b"{", {})
    assert (bad.status, refused.status) == (400, 401)
    for each in (response, good, bad, refused):
        headers = each.headers
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "X-MP-Max-Age" in headers["Access-Control-Expose-Headers"]
        assert "POST, OPTIONS" in headers["Access-Control-Allow-Methods"]
        allowed = headers["Access-Control-Allow-Headers"].split(", ")
        assert {*names, "accept", "date", "x-mp-signature"} <= set(allowed)


async def test_calls_are_counted_by_what_they_ask_and_how_they_end(world: World) -> None:
    """spec/identity.md, 12; spec/observability.md, 6."""
    await post(world, "/v1/login", body())
    await post(world, "/identity/v1/login", body())
    await post(world, "/v1/login", body({}))
    await post(world, MODIFY, body_for(MODIFY), {})
    await post(world, ALIAS, {})
    await world.client.options("/v1/login")
    for call, status, count in (
        ("login", "200", 2),
        ("login", "400", 1),
        ("modify", "401", 1),
        ("alias", "400", 1),
    ):
        name = "headwater_identity_requests_total"
        assert world.count(name, call=call, status=status) == count
    assert world.count("headwater_identity_seconds_count", call="login") == 3
    http = "headwater_http_requests_total"
    assert world.count(http, api="identity", method="POST", code="200") == 2


async def test_every_recorded_call_of_the_web_sdk_gets_what_the_sdk_needs(world: World) -> None:
    """spec/clients.md, 4.5 and worked cases 14 and 16, the identity calls."""
    set_up(world, key_info(RECORDED_KEY, SECRET, 4))
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    names = ("/identify", "/login", "/logout", "/search", "/modify", "/Alias")
    calls = [line for line in lines if line["path"].partition("?")[0].endswith(names)]
    assert len(calls) >= 20
    world.clock.advance(calls[-1]["body"]["request_timestamp_ms"] - T)
    for line in calls:
        path = line["path"]
        sent = None if line["body"] is None else json.dumps(line["body"])
        response = await world.client.request(
            line["method"], path, data=sent, headers=line["headers"]
        )
        assert response.headers["Access-Control-Allow-Origin"] == "*", line["call"]
        if line["method"] == "OPTIONS":
            wanted = line["headers"]["access-control-request-headers"].split(",")
            allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
            assert response.status == 204
            assert set(wanted) <= set(allowed)
        elif line["call"] == "wrong key":
            assert response.status == 401
        elif path.endswith("Alias"):
            assert (response.status, await response.read()) == (202, b"")
        else:
            assert response.status == 200, line["call"]
            content = await response.json()
            if not path.endswith("modify"):
                assert isinstance(content["mpid"], str)
                assert {"is_logged_in", "is_ephemeral", "matched_identities", "context"} < set(
                    content
                )
    kinds = {call.kind for call in world.deployment.identity_calls}
    assert kinds == set(CALLS)
    assert len(world.deployment.modify_calls) == 2
    assert [each.scope for each in world.deployment.aliases] == ["device", "device"]
