"""Output `kafka`: batches or events as records of topics (spec/connections.md, 7.3).

A user's records have the same key, so the same partition, and are written there in their order:
what follows a record that could not be written is written again after it.
"""

import asyncio
from collections.abc import Iterator, Sequence

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Fatal, Outcome, RequestLimits, Retry, Split
from actors.outputs.environment import OutputEnvironment
from actors.outputs.kafka_errors import outcome_of
from actors.outputs.kafka_producer import Producer, partition_of
from actors.outputs.kafka_records import Record, records_of
from actors.outputs.kafka_settings import KafkaSettings
from actors.outputs.module import OutputModule, SettingProblem
from actors.outputs.synthetic import synthetic_delivery
from actors.outputs.user_order import in_order

_GRAVITY = (Delivered, Retry, Split, Fatal)  # of several records the worst counts

# A record, and which delivery of a request it belongs to.
Entry = tuple[int, Record]


class KafkaOutput:
    """Writes to one cluster."""

    limits = RequestLimits(max_deliveries=500, max_bytes=900 * 1024)

    def __init__(self, settings: KafkaSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment
        self._opening: asyncio.Task[Producer] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Nothing: a cluster that is away must not keep the forwarder from its other work."""

    async def stop(self) -> None:
        """Disconnect."""
        self._retire(self._opening)
        await asyncio.gather(*self._closing)

    async def test(self) -> Outcome:
        """Write one synthetic batch, with a header `test`, without a key.

        Where the topic depends on what is written there is none to test: only the login is tried.
        """
        opening = self._opened()
        try:
            producer = await asyncio.shield(opening)
            if self._settings.has_one_topic:
                made = synthetic_delivery(self._environment.output, self._environment.clock)
                [record] = records_of(made, self._settings, self._environment)
                record.headers.append(("test", b"true"))
                partitions = await producer.partitions(record.topic)
                await producer.send(partitions[0], [record])
        except Exception as error:
            self._retire(opening)
            return outcome_of(error)
        return Delivered()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Write the records of several deliveries, those of a partition one after the other."""
        outcomes: list[Outcome] = [Delivered()] * len(deliveries)
        by_topic: dict[str, list[Entry]] = {}
        for index, delivery in enumerate(deliveries):
            try:
                records = records_of(delivery, self._settings, self._environment)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                outcomes[index] = Fatal("build_error", type(error).__name__)
                continue
            for record in records:
                by_topic.setdefault(record.topic, []).append((index, record))
        await self._write(by_topic, outcomes)
        return in_order(deliveries, outcomes)

    async def _write(self, by_topic: dict[str, list[Entry]], outcomes: list[Outcome]) -> None:
        opening = self._opened()
        try:
            producer = await asyncio.shield(opening)
        except Exception as error:
            self._retire(opening)
            for entries in by_topic.values():
                _fail(entries, outcome_of(error), outcomes)
            return
        failed = await asyncio.gather(
            *(_write_topic(producer, entries, outcomes) for entries in by_topic.values())
        )
        if any(failed):
            self._retire(opening)

    # -- The producer -----------------------------------------------------------------------------

    def _opened(self) -> asyncio.Task[Producer]:
        """Return the producer that is open or being opened; all requests share it."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        return self._opening

    async def _open(self) -> Producer:
        producer = Producer(self._settings, self._environment.egress)
        await producer.open()
        return producer

    def _retire(self, opening: asyncio.Task[Producer] | None) -> None:
        """Have the next request open another producer."""
        if opening is None or opening is not self._opening:
            return  # another request has done it
        self._opening = None
        closing = asyncio.get_running_loop().create_task(_close(opening))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _close(opening: asyncio.Task[Producer]) -> None:
    if not opening.done():
        opening.cancel()
    [producer] = await asyncio.gather(opening, return_exceptions=True)
    if isinstance(producer, Producer):
        await producer.close()


async def _write_topic(producer: Producer, entries: list[Entry], outcomes: list[Outcome]) -> bool:
    """Write the records of one topic; return whether something failed."""
    try:
        partitions = await producer.partitions(entries[0][1].topic)
    except Exception as error:
        _fail(entries, outcome_of(error), outcomes)
        return True
    by_partition: dict[int, list[Entry]] = {}
    for entry in entries:
        # Nobody's records go anywhere: where their delivery's id would, so that they are spread.
        key = entry[1].key or dict(entry[1].headers)["delivery_id"]
        by_partition.setdefault(partition_of(key, partitions), []).append(entry)
    failed = await asyncio.gather(
        *(_write_partition(producer, *each, outcomes) for each in by_partition.items())
    )
    return any(failed)


async def _write_partition(
    producer: Producer, partition: int, entries: list[Entry], outcomes: list[Outcome]
) -> bool:
    """Write batch after batch: one is on its way only when those before it have been written."""
    written = 0
    while written < len(entries):
        try:
            written += await producer.send(partition, [record for _, record in entries[written:]])
        except Exception as error:
            rest = entries[written:]
            _fail(rest, outcome_of(error, len({index for index, _ in rest})), outcomes)
            return True
    return False


def _fail(entries: list[Entry], outcome: Outcome, outcomes: list[Outcome]) -> None:
    for index, _ in entries:
        if _GRAVITY.index(type(outcome)) > _GRAVITY.index(type(outcomes[index])):
            outcomes[index] = outcome


def splitting_settings(settings: KafkaSettings) -> Iterator[SettingProblem]:
    """List the settings that make several records of a batch."""
    if settings.value != "batch_json":
        yield ("value",), "must be batch_json"
    if settings.has_topic_per_type:
        yield ("topic",), "must not depend on the event type"


MODULE = OutputModule(
    module="kafka",
    kinds=frozenset({"event", "audience"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=KafkaSettings,
    send_as_batch_default=True,
    retry_profile="stream",
    open=KafkaOutput,
    whole_batches=splitting_settings,
)
