"""Output `kafka`, against a real broker. Cases: spec/connections.md."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.clock import ManualClock
from actors.outputs.contract import Delivered, Fatal, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.kafka import KafkaOutput
from actors.outputs.kafka_records import records_of
from actors.outputs.kafka_settings import KafkaSettings
from tests.actors.forwarding.support import MemoryOutbox, Simulation, delivery
from tests.actors.outputs.broker import topics
from tests.actors.outputs.broker.broker import PASSWORD, USER, Broker, shared_broker

Open = Callable[..., KafkaOutput]
_numbers = count(1)


@pytest.fixture
def broker() -> Broker:
    return shared_broker()


@pytest.fixture
async def topic(broker: Broker) -> str:
    name = f"kafka-{next(_numbers)}"
    await topics.make_topic(broker.plain, name)
    return name


def surroundings(allow: str = "127.0.0.1") -> OutputEnvironment:
    return OutputEnvironment(
        "bus",
        ManualClock(),
        EgressRules([allow]),
        Path("unused"),
        workspace="shop",
        workspace_number=7,
        inputs={1: "web"},
    )


@pytest.fixture
async def opened(broker: Broker) -> AsyncIterator[Open]:
    outputs: list[KafkaOutput] = []

    def open_output(topic: str, *, allow: str = "127.0.0.1", **changes: Any) -> KafkaOutput:
        values: dict[str, Any] = {
            "bootstrap_servers": broker.plain,
            "topic": topic,
            "allow_insecure": True,
            "security_protocol": "PLAINTEXT",
            "timeout_s": 5.0,
        }
        settings = KafkaSettings.model_validate(values | changes)
        outputs.append(KafkaOutput(settings, surroundings(allow)))
        return outputs[-1]

    yield open_output
    for output in outputs:
        await output.stop()


def batch_ids(rows: list[topics.Row], key: bytes | None) -> list[int]:
    return [json.loads(row.value)["batch_id"] for row in rows if row.key == key]


async def test_case_43_a_users_batches_are_in_one_partition_in_order(
    broker: Broker, topic: str, opened: Open
) -> None:
    output = opened(topic)
    nobodys = [delivery(n, mpid=None) for n in range(100, 120)]
    sent = [delivery(1, mpid=42), *nobodys, delivery(2, mpid=42), delivery(3, mpid=43)]
    assert await output.send(sent) == [Delivered()] * len(sent)
    assert await output.send([delivery(4, mpid=42)]) == [Delivered()]
    rows = await topics.read(broker.plain, topic)
    assert batch_ids(rows, b"42") == [1, 2, 4]
    assert len({row.partition for row in rows if row.key == b"42"}) == 1
    assert sorted(batch_ids(rows, None)) == list(range(100, 120))
    assert len({row.partition for row in rows if row.key is None}) > 1
    [one] = [row for row in rows if row.key == b"43"]
    assert one.value == delivery(3, mpid=43).payload
    assert one.headers == {
        "delivery_id": delivery(3, mpid=43).delivery_id.encode(),
        "environment": b"production",
        "workspace_id": b"7",
    }


async def test_a_broker_that_is_killed_and_started_again_loses_nothing(
    broker: Broker, topic: str, opened: Open
) -> None:
    """Under traffic, with the order of each user kept; a repetition has the same delivery id."""
    output = opened(topic, timeout_s=2.0)
    shard = MemoryOutbox([delivery(n, mpid=n % 5) for n in range(1, 101)])
    simulation = Simulation(ManualClock())
    forwarder = simulation.start(output, [shard], max_in_flight=4)
    await simulation.run(1)
    shard.add(*(delivery(n, mpid=n % 5) for n in range(101, 201)))
    forwarder.wake(0)
    killing = asyncio.create_task(asyncio.to_thread(broker.kill))
    await simulation.run(1)
    await killing
    shard.add(*(delivery(n, mpid=n % 5) for n in range(201, 251)))
    forwarder.wake(0)
    await simulation.run(1)
    assert len(shard.waiting) >= 50
    await asyncio.to_thread(broker.start)
    shard.add(*(delivery(n, mpid=n % 5) for n in range(251, 301)))
    forwarder.wake(0)
    await simulation.run(2000)
    await simulation.stop()
    assert shard.waiting == {}
    assert shard.dead == []
    rows = await topics.read(broker.plain, topic)
    for mpid in range(5):
        ids = batch_ids(rows, str(mpid).encode())
        firsts = list(dict.fromkeys(ids))
        assert firsts == [n for n in range(1, 301) if n % 5 == mpid]


async def test_a_record_that_is_too_large_costs_no_other(broker: Broker, opened: Open) -> None:
    topic = "small-records"
    await topics.make_topic(broker.plain, topic, {"max.message.bytes": "3000"})
    event = {"event_type": "custom_event", "data": {"event_name": "x" * 900}}
    shard = MemoryOutbox(
        [
            delivery(1, events=[event] * 8),  # cut until its parts fit
            delivery(2),
            delivery(3, events=[{"event_type": "custom_event", "data": {"a": "x" * 4000}}]),
            delivery(4),
        ]
    )
    simulation = Simulation(ManualClock())
    simulation.start(opened(topic), [shard])
    await simulation.run(2000)
    await simulation.stop()
    assert shard.waiting == {}
    assert [letter.reason for letter in shard.dead] == ["payload_too_large"]
    rows = await topics.read(broker.plain, topic)
    batches = [json.loads(row.value) for row in rows]
    assert [each["batch_id"] for each in batches if len(each["events"]) == 1][-2:] == [2, 4]
    assert sum(len(each["events"]) for each in batches if each["batch_id"] == 1) == 8


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_login_is_made_over_tls(
    broker: Broker, topic: str, opened: Open, mechanism: str
) -> None:
    login = {
        "bootstrap_servers": broker.login,
        "security_protocol": None,
        "username": USER,
        "sasl_mechanism": mechanism,
        "ca_certificate": broker.ca_certificate,
    }
    right = opened(topic, password=PASSWORD, **login)
    assert await right.send([delivery(1)]) == [Delivered()]
    wrong = opened(topic, password="wrong-password", **login)
    [outcome] = await wrong.send([delivery(2)])
    assert isinstance(outcome, Fatal)
    assert outcome.http_status == 401
    assert "wrong-password" not in outcome.excerpt
    assert batch_ids(await topics.read(broker.plain, topic), b"1") == [1]


async def test_brokers_prove_who_they_are(broker: Broker, topic: str, opened: Open) -> None:
    tls: dict[str, Any] = {"bootstrap_servers": broker.tls, "security_protocol": "SSL"}
    strict = opened(topic, **tls)
    assert await strict.send([delivery(1)]) == [
        Fatal("fatal_response", "525-SSL Termination Error")
    ]
    trusting = opened(topic, ca_certificate=broker.ca_certificate, **tls)
    assert await trusting.send([delivery(1)]) == [Delivered()]
    careless = opened(topic, verify_tls=False, **tls)
    assert await careless.send([delivery(2)]) == [Delivered()]


async def test_brokers_that_the_cluster_names_are_held_against_the_egress_rules(
    broker: Broker, topic: str, opened: Open
) -> None:
    """The first server is allowed; the address that it names for itself is not."""
    output = opened(topic, bootstrap_servers=broker.relayed, allow=broker.relayed, timeout_s=1.0)
    [outcome] = await output.send([delivery(1)])
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"


async def test_a_topic_that_is_not_there_yet_is_waited_for(opened: Open) -> None:
    [outcome] = await opened("nowhere", timeout_s=0.3).send([delivery(1)])
    assert isinstance(outcome, Retry)


async def test_what_is_no_batch_becomes_a_dead_letter_of_its_own(
    broker: Broker, topic: str, opened: Open
) -> None:
    output = opened(topic, value="event_json")
    outcomes = await output.send([delivery(1, payload=b"{"), delivery(2)])
    assert outcomes == [Fatal("build_error", "JSONDecodeError"), Delivered()]


MIXED = [
    {"event_type": "screen_view", "data": {"event_id": 1}},
    {"event_type": "custom_event", "data": {"event_id": 2}},
    {"event_type": "screen_view", "data": {"event_id": 3}},
]


def records(payload: Any, **changes: Any) -> list[tuple[str, Any]]:
    values = {"bootstrap_servers": "a.example", "topic": "t"}
    settings = KafkaSettings.model_validate(values | changes)
    made = records_of(delivery(1, payload=json.dumps(payload).encode()), settings, surroundings())
    return [(each.topic, json.loads(each.value)) for each in made]


def test_a_topic_per_event_type_gets_the_batch_with_its_events() -> None:
    batch = {"batch_id": 5, "events": MIXED}
    assert records(batch, topic="{workspace}.{input}.{event_type}") == [
        ("shop.web.screen_view", {"batch_id": 5, "events": [MIXED[0], MIXED[2]]}),
        ("shop.web.custom_event", {"batch_id": 5, "events": [MIXED[1]]}),
    ]
    eventless = {"batch_id": 5, "events": []}
    assert records(eventless, topic="{event_type}") == [("eventless", eventless)]
    membership = {"type": "audience_membership_change", "changes": []}
    assert records(membership, topic="a.{event_type}") == [
        ("a.audience_membership_change", membership)
    ]


def test_an_event_of_its_own_has_the_fields_of_its_batch() -> None:
    assert records({"batch_id": 5, "events": MIXED[:2]}, value="event_json") == [
        ("t", {"batch_id": 5, **MIXED[0]}),
        ("t", {"batch_id": 5, **MIXED[1]}),
    ]


@pytest.mark.parametrize(
    ("event_type", "topic"),
    [
        pytest.param("a b/ä", "a_b__", id="other characters"),
        pytest.param("x" * 300, "x" * 249, id="too long"),
        pytest.param("..", "__", id="a folder"),
    ],
)
def test_a_topics_name_is_made_fit(event_type: str, topic: str) -> None:
    batch = {"events": [{"event_type": event_type, "data": {}}]}
    [(made, _)] = records(batch, topic="{event_type}")
    assert made == topic


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"password": "p"}, "password\n.*without username", id="no username"),
        pytest.param({"username": "u"}, "password\n.*is missing", id="no password"),
        pytest.param({"security_protocol": "PLAINTEXT"}, "allow_insecure", id="plain text"),
        pytest.param(
            {"username": "u", "password": "p", "security_protocol": "SSL"},
            "begin with SASL_",
            id="login without SASL",
        ),
        pytest.param({"topic": "a/b"}, "must be letters", id="topic"),
        pytest.param({"topic": "{nothing}"}, "unknown placeholder {nothing}", id="placeholder"),
        pytest.param({"bootstrap_servers": "a:b"}, "host:port", id="servers"),
        pytest.param({"bootstrap_servers": "a:70000"}, "host:port", id="port"),
        pytest.param({"ca_certificate": "x"}, "PEM", id="certificate"),
        pytest.param({"acks": "1"}, "'all'", id="acks"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        KafkaSettings.model_validate({"bootstrap_servers": "a.example", "topic": "t"} | changes)


def test_tls_is_the_default_and_a_login_goes_over_it() -> None:
    base = {"bootstrap_servers": "kafka1:9093,kafka2:9093", "topic": "cdp.{event_type}"}
    assert KafkaSettings.model_validate(base).security_protocol == "SSL"
    login = {"username": "u", "password": "p"}
    assert KafkaSettings.model_validate(base | login).security_protocol == "SASL_SSL"
