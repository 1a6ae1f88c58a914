"""What a delivery is in Kafka: records with a topic, a key, a value and headers.

Source: spec/connections.md, 7.3.
"""

from collections.abc import Iterator
from typing import Any

import orjson
from msgspec import Struct

from actors.model.deliveries import Delivery
from actors.outputs.environment import OutputEnvironment
from actors.outputs.kafka_settings import KafkaSettings

NO_EVENT = "eventless"


class Record(Struct, frozen=True):
    """One record. `key` `None`: nobody's, in any partition."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def records_of(
    delivery: Delivery, settings: KafkaSettings, environment: OutputEnvironment
) -> list[Record]:
    """Return the records of one delivery, in its order.

    Where the topic depends on the event type, a batch becomes one record for each type in it.

    Raises:
        ValueError: it is not the JSON of a batch.
    """
    headers = [
        ("delivery_id", delivery.delivery_id.encode()),
        ("environment", delivery.environment.encode()),
        ("workspace_id", str(environment.workspace_number).encode()),
    ]
    key = None if delivery.mpid is None else str(delivery.mpid).encode()
    input_id = environment.inputs.get(delivery.connection, "")
    return [
        Record(settings.topic_for(environment.workspace, input_id, kind), key, value, headers)
        for kind, value in _values(delivery.payload, settings)
    ]


def _values(payload: bytes, settings: KafkaSettings) -> Iterator[tuple[str, bytes]]:
    """Return the values, each with the type of its events."""
    is_by_event = settings.value == "event_json"
    if not is_by_event and not settings.has_topic_per_type:
        yield "", payload
        return
    batch = orjson.loads(payload)
    if not isinstance(batch, dict):
        raise ValueError("not a JSON object")
    events: list[dict[str, Any]] = batch.get("events") or []
    if not events:  # or no batch: a membership, an alias
        yield str(batch.get("type") or batch.get("message_type") or NO_EVENT), payload
    elif is_by_event:
        head = {name: value for name, value in batch.items() if name != "events"}
        for event in events:
            yield str(event["event_type"]), orjson.dumps(head | event)
    else:
        by_type: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            by_type.setdefault(str(event["event_type"]), []).append(event)
        for kind, some in by_type.items():
            yield kind, payload if len(by_type) == 1 else orjson.dumps({**batch, "events": some})
