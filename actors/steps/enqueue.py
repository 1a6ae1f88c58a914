"""Step `enqueue`: from a processed batch to the deliveries of every connection that wants it.

The steps of spec/connections.md, 2 (actors/pipeline) say what is left out, and why. What remains
becomes payloads, encoded once per set of equal settings.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from actors.model.batches import StoredBatch
from actors.model.deliveries import DeadLetter, Delivery
from actors.model.profiles import Profile
from actors.outgoing import inbound_batch, private_parts
from actors.pipeline.candidate import Candidate, Drop
from actors.pipeline.compiling import Pipeline
from actors.steps.payload import Shaped


def enqueue(
    outgoing: dict[str, Any],
    stored: StoredBatch,
    profile: Profile | None,
    pipelines: Sequence[Pipeline],
    audience_ids: Sequence[int] = (),
) -> tuple[list[Delivery], list[Drop]]:
    """Make the deliveries of one batch.

    Args:
        outgoing, stored, profile, pipelines: as of `choose`.
        audience_ids: as of `Chosen.deliveries`.

    Returns:
        As `Chosen.deliveries`; and what was left out.
    """
    chosen = choose(outgoing, stored, profile, pipelines)
    return chosen.deliveries(audience_ids), chosen.drops


def choose(
    outgoing: dict[str, Any],
    stored: StoredBatch,
    profile: Profile | None,
    pipelines: Sequence[Pipeline],
) -> "Chosen":
    """Decide what of one batch goes to which connections.

    Args:
        outgoing: the batch as `actors.outgoing.outgoing_batch` returns it.
        stored: the same batch as processed.
        profile: the user's, `None` if the batch is unattributed. It may change afterwards.
        pipelines: those of the connections of the batch's input, in any status.
    """
    wanted: list[tuple[Candidate, Pipeline]] = []
    drops: list[Drop] = []
    events = stored.batch.events
    for pipeline in pipelines:
        number = pipeline.connection.number
        candidate = Candidate(number, outgoing, stored, profile, list(range(len(events))), drops)
        reason = _refusal(candidate, pipeline)
        if reason is not None:
            drops.append(Drop(number, reason, events=max(len(candidate.events), 1)))
            continue
        if events and not candidate.events:
            continue  # every event has its own reason
        wanted.append((candidate, pipeline))
    private: dict[str, Any] = {}
    if any(pipeline.shape.settings.include_private for _, pipeline in wanted):
        private = private_parts(stored, profile)
    return Chosen(outgoing, stored, private, wanted, drops)


class Chosen:
    """What goes out of one batch: all that is known of its user is in it but for the audiences,
    which are known only when all batches of a transaction are applied.

    Attributes:
        drops: what was left out; making the deliveries may add to it.
    """

    def __init__(
        self,
        outgoing: dict[str, Any],
        stored: StoredBatch,
        private: dict[str, Any],
        wanted: Sequence[tuple[Candidate, Pipeline]],
        drops: list[Drop],
    ) -> None:
        """Args: `private`: what `actors.outgoing.private_parts` returns, if any wants it."""
        self._outgoing = outgoing
        self._stored = stored
        self._private = private
        self._wanted = wanted
        self.drops = drops

    def deliveries(self, audience_ids: Sequence[int]) -> list[Delivery]:
        """Make the deliveries.

        Args:
            audience_ids: numbers of the audiences that the user is in, for modules that show them.

        Returns:
            They are by connection and then in the order of the events, their sequences 0 for the
            shard to assign.
        """
        made: list[Delivery] = []
        shapes: dict[int, Shaped] = {}
        for candidate, pipeline in self._wanted:
            shape = pipeline.shape
            shaped = shapes.get(id(shape))
            if shaped is None:
                batch = inbound_batch(self._stored) if shape.settings.is_raw else self._outgoing
                if shape.settings.include_private:
                    batch = batch | self._private
                if shape.settings.include_audience_ids:
                    batch = batch | {"audience_ids": audience_ids}
                shaped = shapes[id(shape)] = shape.apply(batch, self._stored.batch.events)
            made += _deliveries(candidate, pipeline, shaped)
        return made


def _refusal(candidate: Candidate, pipeline: Pipeline) -> str | None:
    """Run the steps; return why the batch as a whole is not forwarded, `None` if it is."""
    has_events = bool(candidate.events)
    for step in pipeline.steps:
        reason = step(candidate)
        if reason is not None:
            return reason
        if has_events and not candidate.events:
            return None
    return None


def delivery_id(connection_id: str, batch_id: int | str, chunk: int | str) -> str:
    """Name a delivery: a function of its source alone (spec/connections.md, 3.1)."""
    digest = sha256(f"{connection_id}|{batch_id}|{chunk}".encode()).hexdigest()
    return f"dl_{digest[:32]}"


Chunk = tuple[int | str, list[int]]  # its name, and the places of what is in it


def _deliveries(candidate: Candidate, pipeline: Pipeline, shaped: Shaped) -> list[Delivery]:
    """Step 15: one payload for the batch, or one per event.

    The chunk of a single event is its place in the batch, whatever else was left out, so that
    another setting never gives one event the id of another.
    """
    events = candidate.events
    connection, stored = pipeline.connection, candidate.stored
    batch = stored.batch
    places = shaped.places(events)
    if places is not events:  # some may have been expanded, to nothing even
        shown = set(map(shaped.index_of, places))
        candidate.drops += [
            Drop(candidate.connection, "unsupported_type", index)
            for index in events
            if index not in shown
        ]
    chunks: list[Chunk]
    if not events or (places and connection.send_as_batch):
        chunks = [(0, places)]
    else:
        chunks = [(shaped.name_of(place), [place]) for place in places]
    most = connection.pipeline.takes.max_payload_bytes
    if most is not None:
        chunks = [part for chunk in chunks for part in _fitting(chunk, most, candidate, shaped)]
    return [
        Delivery(
            sequence=0,
            connection=connection.number,
            delivery_id=delivery_id(connection.id, batch.batch_id, name),
            mpid=stored.mpid,
            payload=shaped.payload(some),
            created_ms=stored.received_ms,
            first_event_ms=(batch.events[shaped.index_of(some[0])].timestamp_ms if some else 0),
            event_count=len(some),
            environment=batch.environment,
        )
        for name, some in chunks
    ]


def _fitting(chunk: Chunk, most: int, candidate: Candidate, shaped: Shaped) -> Iterator[Chunk]:
    """Cut what is too large in two, as it is for a receiver that finds it so (spec 3.2)."""
    name, places = chunk
    if len(shaped.payload(places)) <= most:
        yield chunk
    elif len(places) > 1:
        middle = len(places) // 2
        for part, some in enumerate((places[:middle], places[middle:])):
            yield from _fitting((f"{name}.{part}", some), most, candidate, shaped)
    else:
        index = shaped.index_of(places[0]) if places else None
        candidate.drops.append(Drop(candidate.connection, "payload_too_large", index))


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
