"""Making, reading and cancelling data subject requests (spec/privacy.md, 3 and 4.1, 4.2)."""

import base64
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from actors.clock import ManualClock
from actors.privacy.limits import HOUR_MS, WINDOWS
from actors.store import subject_requests
from tests.signing import DOMAIN
from tests.whole.subject_requests import (
    DAY_MS,
    KEY,
    MOMENT_MS,
    PATHS,
    accepted,
    body,
    document,
    fulfil,
    new_id,
    numbered_id,
    status,
    submit,
)
from tests.whole.world import World, basic, changed, named, running, serving

NOT_FOUND = "The specified subject request id could not be found."


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT_MS)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=document(), clock=clock) as made:
        yield made


async def refused(response: ClientResponse) -> tuple[int, str]:
    shown = await response.json()
    assert shown["code"] == response.status
    assert shown["message"] == shown["errors"][0]["message"]
    assert shown["errors"][0]["domain"] == "Validation"
    return response.status, shown["message"]


async def test_case_8_erasures_wait_for_a_week_unless_they_skip_that(world: World) -> None:
    sent = body()
    response = await submit(world, sent)
    assert response.status == 201
    raw = json.dumps(sent).encode()
    assert await response.json() == {
        "controller_id": "1",
        "expected_completion_time": "2024-03-15T00:00:00Z",
        "received_time": "2024-03-05T09:30:00Z",
        "subject_request_id": sent["subject_request_id"],
        "encoded_request": base64.b64encode(raw).decode(),
    }
    skipping: dict[str, Any] = {"skip_waiting_period": True}
    identities = {"email": {"value": "b@x.example"}}
    hurried = body(subject_identities=identities, **skipping)
    response = await submit(world, hurried)
    assert (await response.json())["expected_completion_time"] == "2024-03-08T00:00:00Z"
    # The extension wins.
    extension = {DOMAIN: {"skip_waiting_period": False}}
    identities = {"email": {"value": "c@x.example"}}
    calm = body(subject_identities=identities, extensions=extension, **skipping)
    response = await submit(world, calm)
    assert (await response.json())["expected_completion_time"] == "2024-03-15T00:00:00Z"


async def test_case_10_a_request_is_taken_once(world: World) -> None:
    sent = body()
    await accepted(world, sent)
    response = await submit(world, sent)
    assert await refused(response) == (400, "Subject request already exists.")
    assert (await response.json())["errors"][0]["reason"] == "InvalidOperationException"
    again = body(subject_request_id=new_id())
    response = await submit(world, again)
    message = "There is an in-progress request with the same identities, extensions and type."
    assert await refused(response) == (409, message)
    reordered = body(
        subject_identities=None,
        extensions={
            DOMAIN: {"subject_identities": {"email": {"value": "zoe.needle@example.test"}}}
        },
    )
    assert (await submit(world, reordered)).status == 409


async def test_case_10_the_same_people_written_otherwise_are_the_same(world: World) -> None:
    """spec/identity.md, 2: what IDSync takes for one value is one."""
    await accepted(world, body())
    other = {"email": {"value": " Zoe.Needle@Example.TEST"}}
    assert (await submit(world, body(subject_identities=other))).status == 409
    for value in ("Ann", "ann"):  # a customer id is another in another case
        identity = {"controller_customer_id": {"value": value}}
        await accepted(world, body(subject_identities=identity))


async def test_case_11_several_faults_are_all_told(world: World) -> None:
    response = await submit(world, body(regulation="x", submitted_time=5))
    shown = await response.json()
    assert [each["message"].split()[0] for each in shown["errors"]] == [
        "regulation",
        "submitted_time",
    ]


async def test_identities_of_version_3_are_at_most_fifty_and_a_body_is_bounded(
    world: World,
) -> None:
    mpids = [f"{each}" for each in range(5001)]
    many = body(version="2.0", subject_identities=None, extensions={DOMAIN: {"mpids": mpids}})
    message = "subject_identities must have at most 5000 identities."
    assert await refused(await submit(world, many, version="2.0")) == (400, message)
    await accepted(
        world,
        body(version="2.0", subject_identities=None, extensions={DOMAIN: {"mpids": mpids[1:]}}),
        version="2.0",
    )
    response = await world.client.post(
        PATHS["3.0"], data=io.BytesIO(b" " * (1024 * 1024 + 1)), headers=KEY
    )
    assert response.status == 413


async def test_case_12_credentials_are_checked_and_requests_are_of_their_workspace(
    tmp_path: Path, clock: ManualClock
) -> None:
    other = changed(named("w2"), workspace={"dsr_credentials": {"key": "kd-other", "secret": "so"}})
    async with serving(tmp_path, [document(), other], clock=clock) as [world, _]:
        wrong = "The credentials provided in the request are not valid."
        for headers in (basic("kd-workspace:x"), basic("k1-backend:s1"), {}):
            response = await submit(world, body(), headers=headers)
            assert await refused(response) == (401, wrong)
            assert response.headers["WWW-Authenticate"].startswith("Basic")
        request_id = await accepted(world, body())
        for method in ("GET", "DELETE"):
            path = f"/v3/requests/{request_id}"
            response = await world.client.request(method, path, headers=basic("kd-other:so"))
            assert await refused(response) == (404, NOT_FOUND)
        assert (await status(world, request_id))["request_status"] == "pending"


async def test_case_13_what_is_pending_can_be_cancelled(world: World, clock: ManualClock) -> None:
    sent = body()
    request_id = await accepted(world, sent)
    path = f"/v3/requests/{request_id}"
    clock.advance(1000)
    response = await world.client.delete(path, headers=KEY)
    assert response.status == 202
    assert await response.json() == {
        "controller_id": "1",
        "expected_completion_time": None,
        "received_time": "2024-03-05T09:30:01Z",
        "subject_request_id": request_id,
    }
    shown = await status(world, request_id)
    assert (shown["request_status"], shown["expected_completion_time"]) == ("cancelled", None)
    message = "Only pending requests can be cancelled."
    assert await refused(await world.client.delete(path, headers=KEY)) == (400, message)
    # It stands in the way of no other one.
    second = await accepted(world, body())
    await fulfil(world, clock)
    response = await world.client.delete(f"/v3/requests/{second}", headers=KEY)
    assert await refused(response) == (400, message)


def verified(response: ClientResponse, raw: bytes, pem: bytes, standard: str = "OpenDSR") -> None:
    assert response.headers[f"X-{standard}-Processor-Domain"] == DOMAIN
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [DOMAIN]
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(response.headers[f"X-{standard}-Signature"], validate=True)
    key.verify(signature, raw, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("version", ["1.0", "2.0", "3.0"])
async def test_case_14_answers_are_signed_by_the_certificate_of_discovery(
    world: World, version: str
) -> None:
    discovery = await world.client.get(f"/v{version[0]}/discovery")
    assert discovery.status == 200
    shown = await discovery.json()
    url = shown.pop("processor_certificate")
    assert url.endswith("/gdpr/opengdpr_cert.pem" if version == "1.0" else "/dsr/opendsr_cert.pem")
    assert shown["api_version"] == version
    types = [each["identity_type"] for each in shown["supported_identities"]]
    assert (types, len(types)) == (sorted(types), 11)
    pem = await (await world.client.get("/" + url.split("/", 3)[3])).read()
    standard = "OpenGDPR" if version == "1.0" else "OpenDSR"
    responses = [
        await submit(world, body(version=version), version=version),
        await submit(world, b"x", version=version),
        await submit(world, body(version=version), version=version, headers={}),
    ]
    assert [each.status for each in responses] == [201, 400, 401]
    for response in responses:
        raw = await response.read()
        verified(response, raw, pem, standard)
        with pytest.raises(InvalidSignature):
            verified(response, bytes([raw[0] ^ 1]) + raw[1:], pem, standard)


async def test_an_id_that_nobody_could_have_chosen_is_not_found(world: World) -> None:
    for wrong in ("x", "x" * 600, "%ff" * 36, "%F0%9F%90%B3" * 9):
        response = await world.client.get(f"/v3/requests/{wrong}", headers=KEY)
        assert await refused(response) == (404, NOT_FOUND)
        response = await world.client.get(f"/v3/requests/{wrong}/results?token=%ff")
        assert response.status == 404


async def test_who_tries_ids_and_tokens_is_refused_after_sixty(world: World) -> None:
    """Nobody needs a credential to ask for a result."""
    path = f"/v3/requests/{new_id()}/results"
    answers = [await world.client.get(path, params={"token": str(n)}) for n in range(61)]
    assert [each.status for each in answers] == [404] * 60 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert (await world.client.get(f"/v3/requests/{new_id()}", headers=KEY)).status == 404


async def test_requests_are_found_by_their_group(world: World) -> None:
    ids = []
    for each in range(3):
        group = "spring" if each else None
        identities = {"email": {"value": f"{each}@b.example"}}
        ids.append(await accepted(world, body(subject_identities=identities, group_id=group)))
    response = await world.client.get("/v3/requests", params={"group_id": "spring"}, headers=KEY)
    found = await response.json()
    assert [each["subject_request_id"] for each in found] == sorted(ids[1:])
    assert {each["group_id"] for each in found} == {"spring"}
    response = await world.client.get("/v3/requests", params={"group_id": "sprin"}, headers=KEY)
    assert await response.json() == []
    response = await world.client.get("/v3/requests", headers=KEY)
    assert await refused(response) == (400, "group_id is missing.")


@pytest.mark.parametrize(
    ("trusted", "forwarded", "scheme"),
    [
        pytest.param(("127.0.0.0/8",), "https", "https", id="a trusted proxy that ends TLS"),
        pytest.param(("127.0.0.0/8",), "https, http", "https", id="two proxies"),
        pytest.param(("127.0.0.0/8",), "gopher", "http", id="no scheme of ours"),
        pytest.param(("127.0.0.0/8",), None, "http", id="no header"),
        pytest.param((), "https", "http", id="no trusted proxy"),
    ],
)
async def test_addresses_have_the_scheme_by_which_the_client_came(
    tmp_path: Path,
    clock: ManualClock,
    trusted: tuple[str, ...],
    forwarded: str | None,
    scheme: str,
) -> None:
    networks = tuple(ip_network(each) for each in trusted)
    headers = {} if forwarded is None else {"X-Forwarded-Proto": forwarded}
    async with running(
        tmp_path, document=document(), clock=clock, trusted_proxies=networks
    ) as world:
        shown = await (await world.client.get("/v3/discovery", headers=headers)).json()
        assert shown["processor_certificate"].startswith(f"{scheme}://")
        request_id = await accepted(world, body(subject_request_type="access"))
        await fulfil(world, clock)
        path = f"/v3/requests/{request_id}"
        shown = await (await world.client.get(path, headers=KEY | headers)).json()
        assert shown["results_url"].startswith(f"{scheme}://")


async def test_a_group_of_any_size_is_read_page_by_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be 80,000 in it, and nobody else is served while one page is read."""
    monkeypatch.setattr(subject_requests, "GROUP_PAGE", 2)
    for count in range(5):
        response = await world.client.get("/v3/requests", params={"group_id": "g"}, headers=KEY)
        shown = [each["subject_request_id"] for each in await response.json()]
        assert shown == [numbered_id(number) for number in range(count)]
        page = await world.privacy.requests_of("g", "")
        assert len(page) == min(count, 2)
        identities = {"email": {"value": f"{count}@example.test"}}
        sent = body(
            subject_request_id=numbered_id(count), subject_identities=identities, group_id="g"
        )
        await accepted(world, sent)


async def test_a_request_is_shown_as_its_own_version_on_all_paths(world: World) -> None:
    request_id = await accepted(world, body(version="1.0", regulation=None), version="1.0")
    for version in PATHS:
        shown = await status(world, request_id, version=version)
        assert shown == {
            "controller_id": "1",
            "expected_completion_time": "2024-03-15T00:00:00Z",
            "subject_request_id": request_id,
            "request_status": "pending",
            "api_version": "1.0",
            "results_url": None,
            "extensions": None,
        }


async def test_requests_are_as_many_as_the_windows_allow(world: World, clock: ManualClock) -> None:
    span_ms, most = WINDOWS[0]
    for each in range(most):
        world.privacy.received.add(MOMENT_MS + each % 1000)
    clock.advance(HOUR_MS)
    response = await submit(world, body())
    assert response.status == 429
    assert response.headers["Retry-After"] == str((span_ms - HOUR_MS) // 1000)
    assert response.headers["X-mp-rate-limit-exceeded"] == "workspace"
    clock.advance(span_ms - HOUR_MS)
    await accepted(world, body())


async def test_a_thousand_requests_a_minute_are_answered(world: World, clock: ManualClock) -> None:
    """No more of them come free within the minute than were there at its beginning."""
    path = f"/v3/requests/{new_id()}"
    answers = [(await world.client.get(path, headers=KEY)).status for _ in range(1001)]
    assert answers.count(404) == 1000
    assert answers[-1] == 429
    clock.advance(59_000)
    response = await world.client.get(path, headers=KEY)
    assert (response.status, response.headers["Retry-After"]) == (429, "1")
    clock.advance(1000)
    assert (await world.client.get(path, headers=KEY)).status == 404


async def test_case_15_callbacks_come_in_order_whatever_the_receiver_missed(
    world: World, clock: ManualClock
) -> None:
    url = "https://hooks.example.com/dsr"
    told = world.forwarders
    told.takes_callbacks = False
    request_id = await accepted(
        world, body(status_callback_urls=[url], skip_waiting_period=True, group_id="g")
    )
    await world.privacy.work()
    assert len(told.posted) == 1  # it is just the time at which callbacks go out
    for _ in range(2):
        clock.advance(15 * 60 * 1000)
        await world.privacy.work()
    assert {json.loads(each)["request_status"] for _, _, each in told.posted} == {"pending"}
    clock.advance(DAY_MS)
    await world.privacy.work()
    told.takes_callbacks = True
    told.posted.clear()
    for _ in range(3):
        clock.advance(60 * 60 * 1000)
        await world.privacy.work()
    bodies = [json.loads(each) for _, _, each in told.posted]
    assert [each["request_status"] for each in bodies] == ["pending", "in_progress", "completed"]
    assert bodies[0] == {
        "controller_id": "1",
        "expected_completion_time": "2024-03-08T00:00:00Z",
        "subject_request_id": request_id,
        "group_id": "g",
        "request_status": "pending",
        "api_version": "3.0",
        "results_url": None,
        "extensions": [],
        "status_callback_url": url,
    }
    assert {(where, version) for where, version, _ in told.posted} == {(url, "3.0")}


async def test_a_callback_of_version_1_knows_of_no_groups(world: World, clock: ManualClock) -> None:
    """spec/privacy.md, 3.3."""
    url = "https://hooks.example.com/dsr"
    made = body(version="1.0", regulation=None, status_callback_urls=[url], group_id="g")
    await accepted(world, made, version="1.0")
    clock.advance(15 * 60 * 1000)
    await world.privacy.work()
    [(_, _, posted)] = world.forwarders.posted
    told = json.loads(posted)
    assert told["api_version"] == "1.0"
    assert "group_id" not in told


async def test_a_callback_is_given_up_after_three_days(
    world: World, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    told = world.forwarders
    told.takes_callbacks = False
    await accepted(world, body(status_callback_urls=["https://hooks.example.com/dsr"]))
    for _ in range(80):
        clock.advance(HOUR_MS)
        await world.privacy.work()
    assert "dsr_callback_given_up" in {each.__dict__.get("event") for each in caplog.records}
    tries = len(told.posted)
    clock.advance(HOUR_MS)
    await world.privacy.work()
    assert len(told.posted) == tries


async def test_requests_and_their_times_survive_a_restart(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running(tmp_path, document=document(), clock=clock) as world:
        request_id = await accepted(world, body())
    clock.advance(30 * DAY_MS)  # the run was missed
    async with running(tmp_path, document=document(), clock=clock) as world:
        assert (await status(world, request_id))["request_status"] == "pending"
        await world.privacy.work()
        shown = await status(world, request_id)
        assert shown["request_status"] == "completed"
        assert shown["expected_completion_time"] == "2024-03-15T00:00:00Z"


async def test_a_request_is_forgotten_a_year_after_it_was_completed(
    world: World, clock: ManualClock
) -> None:
    request_id = await accepted(world, body())
    await fulfil(world, clock)
    await fulfil(world, clock, 364)
    assert (await status(world, request_id))["request_status"] == "completed"
    await fulfil(world, clock, 2)
    response = await world.client.get(f"/v3/requests/{request_id}", headers=KEY)
    assert await refused(response) == (404, NOT_FOUND)


@pytest.mark.parametrize("interval", [2, 60])
async def test_the_cycle_can_be_as_short_as_seconds(
    tmp_path: Path, clock: ManualClock, interval: int
) -> None:
    seconds = {
        "erasure_waiting_seconds": 2,
        "run_interval_seconds": interval,
        "completion_margin_seconds": 1,
        "callback_interval_seconds": 1,
    }
    made = document(workspace={"privacy": {"dsr": seconds}})
    async with running(tmp_path, document=made, clock=clock) as world:
        request_id = await accepted(world, body())
        await world.privacy.work()
        assert (await status(world, request_id))["request_status"] == "pending"
        clock.advance(max(interval, 2) * 1000)
        await world.privacy.work()
        assert (await status(world, request_id))["request_status"] == "completed"


async def test_who_made_and_cancelled_requests_is_in_the_audit_log(world: World) -> None:
    request_id = await accepted(world, body(group_id="g"))
    assert (await world.client.delete(f"/v3/requests/{request_id}", headers=KEY)).status == 202
    path = f"/platform/v2/workspaces/1/dsr/{request_id}/report"
    report = await world.get(path)
    assert report.status == 200
    assert report.headers["X-OpenDSR-Processor-Domain"] == DOMAIN
    assert (await world.get(path.replace(request_id, new_id()))).status == 404
    response = await world.get("/platform/v2/accounts/1/audit-logs", resource="dsr")
    items = (await response.json())["items"]
    assert [(each["action"], each["actor"]["id"]) for each in items] == [
        ("read", "ops"),
        ("delete", "kd-workspace"),
        ("create", "kd-workspace"),
    ]
    assert {each["resource_id"] for each in items} == {request_id}
    assert items[1]["after"] == {
        "subject_request_type": "erasure",
        "api_version": "3.0",
        "group_id": "g",
        "request_status": "cancelled",
    }
    assert "needle" not in await response.text()


async def test_gauges_show_what_is_open(world: World, clock: ManualClock) -> None:
    labels = {"workspace": "w1", "type": "erasure", "status": "pending"}
    await accepted(world, body())
    clock.advance(5000)
    await world.privacy.work()
    assert world.count("headwater_dsr_requests", **labels) == 1
    assert world.count("headwater_dsr_oldest_seconds", **labels) == 5
    await fulfil(world, clock)
    await world.privacy.work()
    assert world.count("headwater_dsr_requests", **labels) == 0
