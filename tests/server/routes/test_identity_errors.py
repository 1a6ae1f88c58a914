"""The table of errors of identity calls (spec/identity.md, 4.4), row by row and in its order."""

import gzip
import json
import logging
from typing import Any

import pytest

from actors.errors import HotIdentity, ShardUnavailable, StoreFull
from actors.identity.calls import IdentityProblem
from server.limits import Limit
from server.routes.identity import MAX_BODY_BYTES
from tests.server.conftest import World
from tests.server.routes.identity import (
    ALIAS,
    KEY,
    KEY_ONLY,
    MODIFY,
    PATHS,
    body,
    body_for,
    post,
    problem_of,
    set_up,
)

CALL_PATHS = [path for path in PATHS if path != MODIFY]
EMPTY = ("LOOKUP_ERROR", "knownIdentities is empty.")
NOT_JSON = ("BAD_REQUEST", "Request body is not valid JSON.")
ZERO_ID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(autouse=True)
def key_web_1(world: World) -> None:
    set_up(world)


async def refused(world: World, path: str, sent: Any, request_id: str | None = None) -> Any:
    """Send what has to get a 400; return code and message. The deployment is not asked."""
    response = await post(world, path, sent)
    assert response.status == 400, await response.text()
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "X-MP-Max-Age" not in response.headers
    assert world.deployment.identity_calls == []
    assert world.deployment.modify_calls == []
    return await problem_of(response, request_id)


@pytest.mark.parametrize("path", ["/v1/unknown", "/identity/v1/unknown", "/v1/a/b/modify"])
async def test_row_1_an_unknown_path(world: World, path: str) -> None:
    """spec/identity.md, worked case 30."""
    response = await post(world, path, body())
    assert response.status == 404
    assert await problem_of(response) == ("NOT_FOUND_ERROR", "Not found.")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", [*PATHS, "/identity/v1/identify", ALIAS])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_another_method_gets_405(world: World, path: str, method: str) -> None:
    """spec/identity.md, worked case 30."""
    response = await world.client.request(method, path, headers=KEY_ONLY)
    assert response.status == 405
    assert set(response.headers["Allow"].split(",")) == {"OPTIONS", "POST"}
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", [*PATHS, ALIAS])
async def test_row_3_too_many_requests_of_a_workspace(world: World, path: str) -> None:
    """spec/identity.md, worked case 28."""
    set_up(world, limits=(Limit("workspace", "identity:1", 2, 2),))
    answers = [await post(world, path, body_for(path)) for _ in range(10)]
    exceeded = [answer for answer in answers if answer.status == 429]
    passed = [answer for answer in answers if answer.status != 429]
    assert len(passed) == 2
    if path != ALIAS:
        shares = [answer.headers["X-mp-rate-limit-percentage-used"] for answer in passed]
        assert shares == ["50", "100"]
    for answer in exceeded:
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["X-mp-rate-limit-exceeded"] == "workspace"
        expected = ("TOO_MANY_REQUESTS", "Too many requests.")
        if path == ALIAS:
            assert tuple((await answer.json()).values()) == expected
        else:
            assert await problem_of(answer) == expected
    world.clock.advance(1000)
    assert (await post(world, path, body_for(path))).status != 429


async def test_row_3_one_limit_holds_for_all_calls_and_comes_before_the_body(world: World) -> None:
    set_up(world, limits=(Limit("workspace", "identity:1", 1, 1),))
    assert (await post(world, "/v1/identify", body())).status == 200
    for path in (*PATHS, ALIAS):
        assert (await post(world, path, b"x" * 300_000)).status == 429
        assert (await post(world, path, body(), {"x-mp-key": "nobody"})).status in (401, 429)
    assert (await post(world, "/v1/login", body(), {"x-mp-key": "nobody"})).status == 401


async def test_without_a_limit_no_share_is_told(world: World) -> None:
    response = await post(world, "/v1/identify", body())
    assert "X-mp-rate-limit-percentage-used" not in response.headers


def padded(size: int) -> bytes:
    """Return a good body of a length."""
    sent = json.dumps(body(padding="")).encode()
    return sent.replace(b'"padding": ""', b'"padding": "%s"' % (b"x" * (size - len(sent))))


@pytest.mark.parametrize("is_compressed", [False, True])
async def test_row_4_a_body_that_is_too_large(world: World, is_compressed: bool) -> None:
    """spec/identity.md, worked case 30, and both sides of the limit."""
    headers = {**KEY_ONLY, **({"Content-Encoding": "gzip"} if is_compressed else {})}
    for size, expected in (
        (MAX_BODY_BYTES, 200),
        (MAX_BODY_BYTES + 1, 413),
        (300 * 1024, 413),
    ):
        sent = padded(size)
        assert len(sent) == size
        response = await post(
            world, "/v1/identify", gzip.compress(sent) if is_compressed else sent, headers
        )
        assert response.status == expected
        if expected == 413:
            assert await problem_of(response) == ("BAD_REQUEST", "Request body is too large.")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "sent", [b"", b"[]", b"{", b'"x"', b"1", b"null", b'{"a": "\xff"}', b"[" * 100_000, b"{}x"]
)
async def test_row_5_a_body_that_is_no_object(world: World, path: str, sent: bytes) -> None:
    """spec/identity.md, worked case 9."""
    assert await refused(world, path, sent) == NOT_JSON


async def test_row_5_a_body_that_cannot_be_decompressed(world: World) -> None:
    whole = gzip.compress(json.dumps(body()).encode())
    headers = {**KEY_ONLY, "Content-Encoding": "gzip"}
    for sent in (b"{}", whole[:-5], whole + b"x"):
        response = await post(world, "/v1/identify", sent, headers)
        assert response.status == 400
        assert await problem_of(response) == NOT_JSON
    assert (await post(world, "/v1/identify", whole, headers)).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json"])
async def test_a_body_is_json_whatever_its_type_says(world: World, kind: str) -> None:
    response = await post(world, "/v1/identify", body(), {**KEY_ONLY, "Content-Type": kind})
    assert response.status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("environment", ["staging", "", None, 1, [], "Production"])
async def test_row_6_the_environment(world: World, path: str, environment: Any) -> None:
    """spec/identity.md, worked case 9."""
    expected = ("BAD_REQUEST", 'Field "environment" is missing or invalid.')
    assert await refused(world, path, body_for(path, environment=environment)) == expected
    sent = body_for(path)
    del sent["environment"]
    assert await refused(world, path, sent) == expected


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "sdk", [{"platform": "toaster"}, {"platform": ""}, {"platform": 1}, {"platform": []}, [], "web"]
)
async def test_row_7_the_platform(world: World, path: str, sdk: Any) -> None:
    """spec/identity.md, worked case 9."""
    expected = ("BAD_REQUEST", 'Field "client_sdk.platform" is invalid.')
    assert await refused(world, path, body_for(path, client_sdk=sdk)) == expected


@pytest.mark.parametrize(
    "platform",
    ["ios", "android", "web", "tvos", "roku", "alexa", "smart_tv", "fire", "xbox", "other"],
)
async def test_every_platform_is_known(world: World, platform: str) -> None:
    for sdk in ({"platform": platform, "sdk_vendor": "x", "sdk_version": "1"}, {}, None):
        assert (await post(world, "/v1/identify", body(client_sdk=sdk))).status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request_timestamp_ms", "5"),
        ("request_timestamp_ms", 1.5),
        ("request_timestamp_ms", True),
        ("request_id", 5),
        ("request_id", True),
        ("request_id", []),
        ("context", 5),
        ("context", {}),
    ],
)
async def test_row_8_fields_of_all_calls(world: World, path: str, name: str, value: Any) -> None:
    expected = ("BAD_REQUEST", f'Field "{name}" is invalid.')
    assert await refused(world, path, body_for(path, **{name: value})) == expected


@pytest.mark.parametrize("path", CALL_PATHS)
@pytest.mark.parametrize(
    "value", ["abc", "", "5.0", 5.5, True, [], {}, 2**63, str(2**63), "9" * 5000]
)
async def test_row_8_the_previous_mpid(world: World, path: str, value: Any) -> None:
    """spec/identity.md, worked case 9."""
    expected = ("BAD_REQUEST", 'Field "previous_mpid" is invalid.')
    assert await refused(world, path, body(previous_mpid=value)) == expected


@pytest.mark.parametrize("mpid", ["abc", "0", "-0", "5.0", str(2**63), "1e3"])
async def test_row_8_the_mpid_of_modify(world: World, mpid: str) -> None:
    """spec/identity.md, worked case 22."""
    expected = ("BAD_REQUEST", 'Field "mpid" is invalid.')
    assert await refused(world, f"/v1/{mpid}/modify", body_for(MODIFY)) == expected


@pytest.mark.parametrize("path", CALL_PATHS)
@pytest.mark.parametrize("known", [[], "x", 5, True])
async def test_row_9_identities_that_are_no_object(world: World, path: str, known: Any) -> None:
    expected = ("BAD_REQUEST", 'Field "known_identities" is invalid.')
    assert await refused(world, path, body() | {"known_identities": known}) == expected


@pytest.mark.parametrize("path", CALL_PATHS)
@pytest.mark.parametrize("value", ["1", None, 5])
async def test_row_10_an_unknown_type(world: World, path: str, value: Any) -> None:
    """spec/identity.md, worked case 9."""
    sent = body({"customerid": 5, "passport": value})
    expected = ("BAD_REQUEST", 'Unknown identity type "passport".')
    assert await refused(world, path, sent) == expected
    assert await refused(world, path, body({"customer_id": "1"})) == (
        "BAD_REQUEST",
        'Unknown identity type "customer_id".',
    )


@pytest.mark.parametrize("path", CALL_PATHS)
@pytest.mark.parametrize("value", [12, True, [], {}, "x" * 4097])
async def test_row_11_a_value_that_is_no_text_or_too_long(
    world: World, path: str, value: Any
) -> None:
    """spec/identity.md, worked case 9."""
    expected = ("BAD_REQUEST", 'Identity value for "email" is invalid.')
    assert await refused(world, path, body({"email": value})) == expected


async def test_a_value_of_the_longest_length_is_accepted(world: World) -> None:
    """spec/identity.md, worked case 9."""
    for value in ("x" * 4096, f"  {'é' * 4096} "):
        assert (await post(world, "/v1/identify", body({"email": value}))).status == 200


@pytest.mark.parametrize("path", CALL_PATHS)
@pytest.mark.parametrize(
    "known",
    [
        {},
        {"email": None},
        {"email": ""},
        {"email": " \t\n"},
        *({name: ZERO_ID} for name in ("ios_idfa", "android_aaid", "fire_aid", "roku_aid")),
        {"microsoft_aid": f" {ZERO_ID} ", "email": None},
    ],
)
async def test_row_12_nothing_is_left_to_look_for(world: World, path: str, known: Any) -> None:
    """spec/identity.md, worked case 8."""
    assert await refused(world, path, body(known)) == EMPTY


@pytest.mark.parametrize("path", CALL_PATHS)
async def test_row_12_there_is_nothing_to_look_for(world: World, path: str) -> None:
    """spec/identity.md, worked case 8."""
    assert await refused(world, path, {"environment": "production"}) == EMPTY
    assert await refused(world, path, body() | {"known_identities": None}) == EMPTY


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(IdentityProblem(400, *EMPTY), id="row 12"),
        pytest.param(
            IdentityProblem(400, "LOOKUP_ERROR", "knownIdentities has no identity of ..."),
            id="row 13",
        ),
        pytest.param(
            IdentityProblem(400, "LOOKUP_ERROR", "ProfileIsolationStrategy login ..."), id="row 14"
        ),
        pytest.param(IdentityProblem(400, "LOOKUP_ERROR", "No profile can ..."), id="row 15"),
        pytest.param(IdentityProblem(404, "NOT_FOUND_ERROR", "User not found."), id="row 16"),
        pytest.param(IdentityProblem(400, "LOOKUP_ERROR", "MPID not found."), id="row 17"),
    ],
)
async def test_rows_12_to_17_what_the_deployment_finds(
    world: World, path: str, problem: IdentityProblem
) -> None:
    """spec/identity.md, worked cases 18 and 22."""
    world.deployment.identity_answer = world.deployment.modify_answer = problem
    response = await post(world, path, body_for(path, request_id="q-9"))
    assert response.status == problem.status
    assert await problem_of(response, "q-9") == (problem.code, problem.message)
    assert "X-MP-Max-Age" not in response.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"Retry-After": "1", "X-mp-rate-limit-exceeded": "workspace"}),
        (503, {"Retry-After": "1"}),
    ],
)
async def test_a_deployment_that_cannot_now_says_when(
    world: World, path: str, status: int, headers: dict[str, str]
) -> None:
    """spec/identity.md, 4.3 (hot identity) and row 19."""
    problem = IdentityProblem(status, "CODE", "Later.")
    world.deployment.identity_answer = world.deployment.modify_answer = problem
    response = await post(world, path, body_for(path))
    assert response.status == status
    assert headers.items() <= response.headers.items()


@pytest.mark.parametrize(
    "changes", [pytest.param(None, id="missing"), {}, "x", 5, [{}] * 51, [5], [None]]
)
async def test_row_17_the_list_of_changes(world: World, changes: Any) -> None:
    """spec/identity.md, worked case 22."""
    sent = {"environment": "production", "identity_changes": changes}
    if changes is None:
        del sent["identity_changes"]
    expected = ("BAD_REQUEST", 'Field "identity_changes" is invalid.')
    assert await refused(world, MODIFY, sent) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identity_type": "passport"}, 'Unknown identity type "passport".'),
        (
            {"identity_type": "device_application_stamp", "new_value": "d"},
            'Unknown identity type "device_application_stamp".',
        ),
        ({"new_value": "d"}, 'Field "identity_type" is invalid.'),
        ({"identity_type": []}, 'Field "identity_type" is invalid.'),
        ({"identity_type": "email", "old_value": 5}, 'Identity value for "email" is invalid.'),
        (
            {"identity_type": "email", "new_value": "x" * 4097},
            'Identity value for "email" is invalid.',
        ),
    ],
)
async def test_row_17_one_change(world: World, change: Any, message: str) -> None:
    """spec/identity.md, worked case 22."""
    good = {"identity_type": "email", "new_value": "a"}
    sent = {"environment": "production", "identity_changes": [good, change]}
    assert await refused(world, MODIFY, sent) == ("BAD_REQUEST", message)


@pytest.mark.parametrize("path", [*PATHS, ALIAS])
async def test_row_18_a_defect_is_logged_and_names_no_request(
    world: World, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    world.deployment.failure = RuntimeError("boom")
    sent = body_for(path, request_id="q-9") | alias_fields()
    response = await post(world, path, sent)
    assert response.status == 500
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    expected = ("INTERNAL_ERROR", "An unknown error was encountered.")
    if path == ALIAS:
        assert tuple((await response.json()).values()) == expected
    else:
        assert await problem_of(response, None) == expected
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.__dict__["request_id"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize("path", PATHS)
async def test_row_3_a_hot_identity(world: World, path: str) -> None:
    """spec/identity.md, 4.3."""
    world.deployment.failure = HotIdentity("too many wait")
    response = await post(world, path, body_for(path, request_id="q-9"))
    assert response.status == 429
    assert await problem_of(response, "q-9") == ("TOO_MANY_REQUESTS", "Too many requests.")
    assert response.headers["Retry-After"] == "1"
    assert response.headers["X-mp-rate-limit-exceeded"] == "workspace"


@pytest.mark.parametrize("path", [*PATHS, ALIAS])
@pytest.mark.parametrize("failure", [ShardUnavailable("restarting"), StoreFull()])
async def test_row_19_what_cannot_be_reached(world: World, path: str, failure: Exception) -> None:
    world.deployment.failure = failure
    sent = body_for(path, request_id="q-9") | alias_fields()
    response = await post(world, path, sent)
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    expected = ("SERVICE_UNAVAILABLE", "Service unavailable.")
    if path == ALIAS:
        assert tuple((await response.json()).values()) == expected
    else:
        assert await problem_of(response, "q-9") == expected


def alias_fields() -> dict[str, Any]:
    """Return what makes any body a good alias request too."""
    data = {"source_mpid": "1", "destination_mpid": "2"}
    return {"request_type": "alias", "data": data, "request_id": "q-9", "api_key": KEY}


@pytest.mark.parametrize(
    "wrong",
    [
        {"environment": "staging"},
        {"client_sdk": {"platform": "toaster"}},
        {"request_timestamp_ms": "x"},
        {"context": 5},
        {"previous_mpid": "x"},
        {"known_identities": {"passport": "1"}},
        {"known_identities": {"email": 5}},
        {"known_identities": {}},
    ],
)
async def test_of_several_errors_the_first_of_the_table_is_told(
    world: World, wrong: dict[str, Any]
) -> None:
    """spec/identity.md, worked case 10: all that comes after it in the table is wrong too."""
    fields = [
        ("environment", "staging", 'Field "environment" is missing or invalid.'),
        ("client_sdk", {"platform": "toaster"}, 'Field "client_sdk.platform" is invalid.'),
        ("request_timestamp_ms", "x", 'Field "request_timestamp_ms" is invalid.'),
        ("context", 5, 'Field "context" is invalid.'),
        ("previous_mpid", "x", 'Field "previous_mpid" is invalid.'),
        ("known_identities", {"passport": "1", "email": 5}, 'Unknown identity type "passport".'),
    ]
    [name] = wrong
    start = [field[0] for field in fields].index(name)
    sent = body() | {key: value for key, value, _ in fields[start:]} | wrong
    code, message = await refused(world, "/v1/identify", sent)
    assert code in ("BAD_REQUEST", "LOOKUP_ERROR")
    if name != "known_identities":
        assert message == fields[start][2]


@pytest.mark.parametrize(
    ("sent", "request_id"),
    [
        ({"request_id": "q-9"}, "q-9"),
        ({}, None),
        ({"request_id": None}, None),
        ({"request_id": 9}, None),
        ({"request_id": ""}, ""),
    ],
)
async def test_the_error_names_the_request(
    world: World, sent: dict[str, Any], request_id: str | None
) -> None:
    """spec/identity.md, worked case 11."""
    await refused(world, "/v1/identify", sent, request_id)
    await refused(world, MODIFY, sent, request_id)
