"""Output `webhook`, against a receiver on 127.0.0.1. Cases: spec/connections.md."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from actors.clock import ManualClock
from actors.outputs import webhook
from actors.outputs.contract import Delivered, Fatal, Retry, Split
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment, OutputPlace
from actors.outputs.probe import probe
from actors.outputs.webhook import WebhookOutput, signature
from actors.outputs.webhook_settings import WebhookSettings, secret_bytes
from tests.actors.forwarding.support import MemoryOutbox, Receiver, Simulation, delivery

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_SECRET = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="
Open = Callable[..., Any]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


def surroundings(*allow: str) -> OutputEnvironment:
    return OutputEnvironment("hook", ManualClock(), EgressRules(allow), Path("unused"))


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens webhooks to targets on 127.0.0.1 and closes them."""
    outputs: list[WebhookOutput] = []

    async def open_output(url: str, *, allow: str = "127.0.0.1", **changes: Any) -> WebhookOutput:
        settings = WebhookSettings.model_validate({"url": url, **changes})
        output = WebhookOutput(settings, surroundings(allow))
        await output.start()
        outputs.append(output)
        return output

    yield open_output
    for output in outputs:
        await output.stop()


def test_case_21_the_signature_is_that_of_the_standard() -> None:
    body = b'{"mpid":42,"events":[]}'
    assert (
        signature([secret_bytes(SECRET)], "dl_0c5a1f7e2b9d4c68", 1767225600, body)
        == "v1,uUCCCeG9+oCN3F7iR0Za3uZPJQK0Pb3DjOwmWltsQsk="
    )


async def test_a_payload_is_posted_as_it_is(receiver: Receiver, opened: Open) -> None:
    output = await opened(receiver.url)
    one = delivery(1)
    assert await output.send([one]) == [Delivered(200)]
    [(headers, body)] = receiver.requests
    assert body == one.payload
    assert headers["content-type"] == "application/json"
    assert headers["x-cdp-delivery-id"] == one.delivery_id
    assert headers["x-cdp-attempt"] == "1"
    assert not [name for name in headers if name.startswith("webhook-")]


async def test_two_secrets_give_two_signatures_of_the_bytes_on_the_wire(
    receiver: Receiver, opened: Open
) -> None:
    output = await opened(receiver.url, signing_secret=[SECRET, OTHER_SECRET], compression="gzip")
    one = delivery(1)
    await output.send([one])
    [(headers, body)] = receiver.requests
    assert headers["webhook-id"] == one.delivery_id
    assert headers["webhook-timestamp"] == "1767225600"
    keys = [secret_bytes(SECRET), secret_bytes(OTHER_SECRET)]
    # The receiver's framework has inflated the body; gzip of the same bytes is the same.
    wire = body if body[:2] == b"\x1f\x8b" else gzip.compress(body, mtime=0)
    assert headers["webhook-signature"] == signature(keys, one.delivery_id, 1767225600, wire)
    assert len(headers["webhook-signature"].split()) == 2
    assert headers["content-encoding"] == "gzip"


async def test_headers_of_the_settings_are_sent_verbatim(receiver: Receiver, opened: Open) -> None:
    output = await opened(receiver.url, authorization_header="Token t-1", headers={"X-Env": "blue"})
    await output.send([delivery(1)])
    [(headers, _)] = receiver.requests
    assert (headers["authorization"], headers["x-env"]) == ("Token t-1", "blue")


@pytest.mark.parametrize(
    ("body", "content_type", "parse"),
    [
        pytest.param("array", "application/json", json.loads, id="array"),
        pytest.param(
            "ndjson",
            "application/x-ndjson",
            lambda text: [json.loads(line) for line in text.splitlines()],
            id="ndjson",
        ),
    ],
)
async def test_a_body_of_several_batches_keeps_their_order(
    receiver: Receiver,
    opened: Open,
    body: str,
    content_type: str,
    parse: Callable[[bytes], list[dict[str, Any]]],
) -> None:
    output = await opened(receiver.url, body=body)
    sent = [delivery(n) for n in (1, 2, 3)]
    assert await output.send(sent) == [Delivered(200)] * 3
    [(headers, received)] = receiver.requests
    assert parse(received) == [json.loads(each.payload) for each in sent]
    assert headers["content-type"] == content_type
    assert headers["x-cdp-delivery-id"] not in {each.delivery_id for each in sent}
    assert output.limits.max_deliveries == 100
    assert output.limits.max_wait_ms == 1000


def answering(status: int, **headers: str) -> Callable[[web.Request], web.Response]:
    return lambda request: web.Response(status=status, text="because", headers=headers)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        pytest.param(204, {}, Delivered(204), id="2xx"),
        pytest.param(503, {}, Retry("because", 503), id="503"),
        pytest.param(429, {"Retry-After": "120"}, Retry("because", 429, 120.0), id="429"),
        pytest.param(503, {"Retry-After": "9999"}, Retry("because", 503, 3600.0), id="too long"),
        pytest.param(500, {"Retry-After": "120"}, Retry("because", 500), id="500 has no say"),
        pytest.param(413, {}, Split("because", 413), id="413"),
        pytest.param(400, {}, Fatal("fatal_response", "because", 400), id="case 17"),
        pytest.param(
            302,
            {"Location": "/elsewhere"},
            Fatal("fatal_response", "because", 302),
            id="case 44: a redirect is not followed",
        ),
    ],
)
async def test_an_answer_becomes_an_outcome(
    receiver: Receiver, opened: Open, status: int, headers: dict[str, str], expected: object
) -> None:
    if status == 204:
        receiver.answer = lambda request: web.Response(status=204)
    else:
        receiver.answer = answering(status, **headers)
    output = await opened(receiver.url)
    assert await output.send([delivery(1)]) == [expected]
    assert len(receiver.requests) == 1


async def test_a_long_answer_is_cut_and_the_connection_given_up(
    receiver: Receiver, opened: Open
) -> None:
    receiver.answer = lambda request: web.Response(status=400, body=b"x" * 5_000_000)
    output = await opened(receiver.url)
    [outcome] = await output.send([delivery(1)])
    assert outcome.excerpt == "x" * 10 * 1024


@pytest.mark.parametrize(
    ("size", "events", "expected"),
    [
        pytest.param(1024, 2, "delivered", id="just fits"),
        pytest.param(1025, 2, "split", id="too large, several events"),
        pytest.param(1025, 1, "payload_too_large", id="too large, one event"),
    ],
)
async def test_a_body_has_a_largest_size(
    receiver: Receiver, opened: Open, size: int, events: int, expected: str
) -> None:
    output = await opened(receiver.url, max_body_bytes=1024)
    [outcome] = await output.send([delivery(1, payload=b"x" * size, event_count=events)])
    match outcome:
        case Delivered():
            assert expected == "delivered"
        case Split():
            assert expected == "split"
        case Fatal():
            assert expected == outcome.reason


async def test_a_receiver_that_is_not_there_is_tried_again(opened: Open) -> None:
    receiver = Receiver()
    await receiver.start()
    await receiver.stop()
    output = await opened(receiver.url)
    [outcome] = await output.send([delivery(1)])
    assert isinstance(outcome, Retry)
    assert outcome.excerpt.startswith("306-Unknown")


async def test_a_receiver_that_does_not_answer_in_time_is_tried_again(opened: Open) -> None:
    is_over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    output = await opened(f"http://127.0.0.1:{port}/", timeout_s=0.05)
    [outcome] = await output.send([delivery(1)])
    assert isinstance(outcome, Retry)
    is_over.set()
    server.close()


async def test_a_tls_failure_is_final(opened: Open) -> None:
    receiver = Receiver()
    await receiver.start()
    output = await opened(receiver.url.replace("http:", "https:"))
    assert await output.send([delivery(1)]) == [
        Fatal("fatal_response", "525-SSL Termination Error")
    ]
    await receiver.stop()


async def test_a_target_that_is_not_opened_is_refused_for_good(
    receiver: Receiver, opened: Open
) -> None:
    output = await opened(receiver.url, allow="10.0.0.0/8", allow_insecure=True)
    [outcome] = await output.send([delivery(1)])
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"
    assert receiver.requests == []


async def test_the_test_call_says_that_it_is_one(receiver: Receiver, opened: Open) -> None:
    output = await opened(receiver.url)
    assert await output.test() == Delivered(200)
    [(headers, body)] = receiver.requests
    assert headers["x-cdp-test"] == "true"
    assert json.loads(body)["environment"] == "development"
    receiver.answer = answering(401)
    assert await output.test() == Fatal("fatal_response", "because", 401)


async def test_the_test_call_of_data_subject_requests_is_a_request_of_nobody(
    receiver: Receiver,
) -> None:
    """spec/connections.md, 4.5: nobody's data can be erased by it."""
    place = OutputPlace(number=7, kind="dsr")
    environment = replace(surroundings("127.0.0.1"), place=place)
    settings = WebhookSettings.model_validate({"url": receiver.url, "signing_secret": SECRET})
    result = await probe(webhook.MODULE, settings, environment)
    assert (result.ok, result.http_status, result.error) == (True, 200, None)
    [(headers, body)] = receiver.requests
    assert headers["x-cdp-test"] == "true"
    assert headers["webhook-signature"].startswith("v1,")
    assert json.loads(body) == {
        "subject_request_id": "00000000-0000-0000-0000-000000000000",
        "subject_request_type": "erasure",
        "submitted_time": 1767225600.0,
        "subject_identities": {},
        "api_version": "3.0",
        "regulation": "unknown",
        "account": {"account_id": 7},
    }


async def test_case_16_with_a_real_receiver() -> None:
    clock = ManualClock()
    receiver = Receiver(answering(503))
    await receiver.start()
    shard = MemoryOutbox([delivery(1)])
    output = WebhookOutput(
        WebhookSettings(url=receiver.url),
        OutputEnvironment("hook", clock, EgressRules(["127.0.0.1"]), Path("unused")),
    )
    simulation = Simulation(clock)
    simulation.start(output, [shard])
    await simulation.run(100_000)
    await simulation.stop()
    await receiver.stop()
    assert [headers["x-cdp-attempt"] for headers, _ in receiver.requests] == [
        str(attempt) for attempt in range(1, 104)
    ]
    assert {headers["x-cdp-delivery-id"] for headers, _ in receiver.requests} == {
        delivery(1).delivery_id
    }
    assert [letter.reason for letter in shard.dead] == ["retry_exhausted"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"url": "ftp://a.example"}, "must be an http or https URL", id="scheme"),
        pytest.param({"url": "https://u:p@a.example"}, "must not hold credentials", id="user"),
        pytest.param({"signing_secret": "secret"}, "must be whsec_", id="form of the secret"),
        pytest.param({"signing_secret": "whsec_YWJj"}, "24 to 64 bytes", id="short secret"),
        pytest.param({"signing_secret": [SECRET] * 3}, "at most 2", id="three secrets"),
        pytest.param({"headers": {"Content-Length": "1"}}, "set by the webhook", id="own header"),
        pytest.param({"headers": {"a b": "1"}}, "is not a header name", id="name"),
        pytest.param({"headers": {"x": "1\r\ny: 2"}}, "line breaks", id="injection"),
        pytest.param({"urll": "x"}, "Extra inputs", id="unknown"),
        pytest.param({"timeout_s": "30"}, "valid number", id="a text for a number"),
        pytest.param(
            {"authorization_header": "a", "headers": {"authorization": "b"}},
            "both set Authorization",
            id="twice",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_without_their_values(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem) as caught:
        WebhookSettings.model_validate({"url": "https://a.example", **changes})
    assert "whsec_YWJj" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    settings = WebhookSettings.model_validate(
        {
            "url": "https://a.example",
            "signing_secret": SECRET,
            "authorization_header": "Token hidden",
            "headers": {"X-Key": "hidden"},
        }
    )
    assert SECRET not in repr(settings)
    assert "hidden" not in repr(settings)
