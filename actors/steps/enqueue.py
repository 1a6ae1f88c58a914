"""Step `enqueue`: from a processed batch to the deliveries of every connection that wants it.

The steps of spec/connections.md, 2, are small functions in the order of its table; each says what
it leaves out and why. What remains becomes payloads, encoded once per set of equal settings.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from msgspec import Struct

from actors.model import DeadLetter, Delivery, Environment, Profile, StoredBatch
from actors.outgoing import inbound_batch
from actors.steps.payload import PayloadSettings, Shaped


class ConnectionInfo(Struct, frozen=True):
    """What a shard and a forwarder have to know of a connection.

    Attributes:
        number, id: the connection's; `input`, `input_id`: its input's; `output`: its output's id.
        is_active: new batches are queued and what is queued is sent.
        is_faulted: new batches are queued and nothing is sent.
        environments: those that are enabled for the output.
        send_as_batch: one payload per batch, not per event.
        settings: connections with equal ones had better share the object: their payloads are then
            encoded once.
        is_subscription: of an audience; `input` is then the subscription's own number.
    """

    number: int
    id: str
    input: int
    input_id: str
    output: str
    module: str
    is_active: bool
    environments: frozenset[Environment]
    send_as_batch: bool
    settings: PayloadSettings
    is_faulted: bool = False
    is_subscription: bool = False


class Drop(Struct, frozen=True):
    """Something that a connection does not get; `event_index` `None`: the whole batch."""

    connection: int
    reason: str
    event_index: int | None = None


class Candidate(Struct):
    """A batch on its way through the steps of one connection.

    `events`: indices of the events that are still to go out.
    """

    connection: ConnectionInfo
    outgoing: dict[str, Any]
    stored: StoredBatch
    profile: Profile | None
    events: list[int]
    drops: list[Drop]


Step = Callable[[Candidate], str | None]


def check_connection(candidate: Candidate) -> str | None:
    """Step 1: the connection is active and its output takes the batch's environment."""
    connection = candidate.connection
    if not connection.is_active:
        return "inactive"
    if candidate.stored.batch.environment not in connection.environments:
        return "environment"
    return None


def check_history(candidate: Candidate) -> str | None:
    """Step 2: historical batches go nowhere. Duplicates do not come this far."""
    return "historical" if candidate.stored.is_historical else None


def choose_event_types(candidate: Candidate) -> str | None:
    """Step 11: leave out the event types that the connection's toggles switch off."""
    excluded = candidate.connection.settings.excluded_types
    if not excluded:
        return None
    events = candidate.stored.batch.events
    kept = []
    for index in candidate.events:
        if events[index].event_type in excluded:
            candidate.drops.append(Drop(candidate.connection.number, "setting", index))
        else:
            kept.append(index)
    candidate.events = kept
    return None


STEPS: tuple[Step, ...] = (check_connection, check_history, choose_event_types)


def enqueue(
    outgoing: dict[str, Any],
    stored: StoredBatch,
    profile: Profile | None,
    connections: Sequence[ConnectionInfo],
) -> tuple[list[Delivery], list[Drop]]:
    """Make the deliveries of one batch.

    Args:
        outgoing: the batch as `actors.outgoing.outgoing_batch` returns it.
        stored: the same batch as processed.
        profile: the user's, `None` if the batch is unattributed.
        connections: those of the batch's input, in any status.

    Returns:
        The deliveries, their sequences 0 for the shard to assign, by connection and then in the
        order of the events; and what was left out.
    """
    deliveries: list[Delivery] = []
    drops: list[Drop] = []
    shapes: dict[int, Shaped] = {}
    events = stored.batch.events
    is_eventless = not events
    for connection in connections:
        indices = list(range(len(events)))
        candidate = Candidate(connection, outgoing, stored, profile, indices, drops)
        reason = _refusal(candidate, is_eventless)
        if reason is not None:
            drops.append(Drop(connection.number, reason))
            continue
        if not candidate.events and not is_eventless:
            continue  # every event has its own reason
        settings = connection.settings
        shaped = shapes.get(id(settings))  # equal settings are one object, see `ConnectionInfo`
        if shaped is None:
            batch = inbound_batch(stored) if settings.is_raw else outgoing
            shaped = shapes[id(settings)] = Shaped(batch, events, settings)
        deliveries += _deliveries(candidate, shaped)
    return deliveries, drops


def _refusal(candidate: Candidate, is_eventless: bool) -> str | None:
    """Run the steps; return why the batch as a whole is not forwarded, `None` if it is."""
    for step in STEPS:
        reason = step(candidate)
        if reason is not None:
            return reason
    if is_eventless and not candidate.connection.settings.send_batches_without_events:
        return "setting"
    return None


def delivery_id(connection_id: str, batch_id: int | str, chunk: int | str) -> str:
    """Name a delivery: a function of its source alone (spec/connections.md, 3.1)."""
    digest = sha256(f"{connection_id}|{batch_id}|{chunk}".encode()).hexdigest()
    return f"dl_{digest[:32]}"


def _deliveries(candidate: Candidate, shaped: Shaped) -> list[Delivery]:
    """Step 15: one payload for the batch, or one per event.

    The chunk of a single event is its place in the batch, whatever else was left out, so that
    another setting never gives one event the id of another.
    """
    events = candidate.events
    if candidate.connection.send_as_batch or not events:
        chunks = [(0, events)]
    else:
        chunks = [(index, [index]) for index in events]
    stored = candidate.stored
    batch = stored.batch
    return [
        Delivery(
            sequence=0,
            connection=candidate.connection.number,
            delivery_id=delivery_id(candidate.connection.id, batch.batch_id, chunk),
            mpid=stored.mpid,
            payload=shaped.payload(indices),
            created_ms=stored.received_ms,
            first_event_ms=batch.events[indices[0]].timestamp_ms if indices else 0,
            event_count=len(indices),
            environment=batch.environment,
        )
        for chunk, indices in chunks
    ]


def admit_to_queue(
    deliveries: Sequence[Delivery], room: dict[int, int], now_ms: int
) -> tuple[list[Delivery], list[DeadLetter]]:
    """Keep queues within their limit: what does not fit becomes a dead letter.

    Args:
        deliveries: new ones, in order.
        room: connection to bytes that its queue has left; reduced by what is admitted. Connections
            that are not in it have no limit.
        now_ms: receipt time of the cause.

    Source: spec/connections.md, 3.7. Ingestion never waits for a dead destination.
    """
    admitted: list[Delivery] = []
    dead: list[DeadLetter] = []
    for delivery in deliveries:
        left = room.get(delivery.connection)
        size = len(delivery.payload)
        if left is not None:
            if size > left:
                dead.append(DeadLetter(delivery, "queue_full", now_ms, 0))
                continue
            room[delivery.connection] = left - size
        admitted.append(delivery)
    return admitted, dead
