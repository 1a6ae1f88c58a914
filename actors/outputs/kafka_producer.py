"""One producer of aiokafka: opened, used until something fails, and closed.

After a failure it cannot be used on: an idempotent producer has then counted records that the
broker has not.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from actors.outputs.egress import EgressRules
from actors.outputs.kafka_connections import Gate
from actors.outputs.kafka_records import Record
from actors.outputs.kafka_settings import DEFAULT_PORT, KafkaSettings

# Brokers take 1 MiB by default, of a batch with all that Kafka adds to it.
MAX_BATCH_BYTES = 1_000_000

_partition_of = DefaultPartitioner()


class Producer:
    """A connection to a cluster; see the module."""

    def __init__(self, settings: KafkaSettings, rules: EgressRules) -> None:
        """Must be called with a running loop."""
        self._gate = Gate(rules)
        self._timeout_s = settings.timeout_s
        password = settings.password
        login: dict[str, Any] = {}
        if password is not None:
            login = {
                "sasl_mechanism": settings.sasl_mechanism,
                "sasl_plain_username": settings.username,
                "sasl_plain_password": password.get_secret_value(),
            }
        self._producer = AIOKafkaProducer(
            bootstrap_servers=[_with_port(each) for each in settings.bootstrap_servers.split(",")],
            client_id="headwater",
            acks=settings.acks,
            enable_idempotence=settings.enable_idempotence,
            compression_type=None
            if settings.compression_type == "none"
            else settings.compression_type,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=round(settings.timeout_s * 1000),
            security_protocol=settings.security_protocol,
            ssl_context=settings.tls,
            **login,
        )

    async def open(self) -> None:
        """Connect and log in.

        Raises:
            Exception: why no broker could be used.
        """
        try:
            with self._gate.used():
                async with asyncio.timeout(self._timeout_s):
                    await self._producer.start()
        except BaseException as error:
            await self.close()
            # aiokafka says that it could not connect, and not why.
            known = list(self._gate.failures.values())
            raise (known[-1] if known and isinstance(error, Exception) else error) from None

    async def close(self) -> None:
        """Let what is under way end, at most for its time-out, and disconnect."""
        await self._producer.stop()

    async def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic; it is made where the cluster does so."""
        with self._gate.used():
            return sorted(await self._producer.partitions_for(topic))

    async def send(self, partition: int, records: Sequence[Record]) -> int:
        """Write as many records of one topic as one batch takes; return how many.

        All of them are written, or none.
        """
        batch = self._producer.create_batch()
        count = 0
        for record in records:
            if (
                batch.append(
                    key=record.key, value=record.value, timestamp=None, headers=record.headers
                )
                is None
            ):
                break
            count += 1
        batch.close()
        topic = records[0].topic
        try:
            with self._gate.used():
                # Its own limit is twice the time-out: in the queue, and on the way.
                async with asyncio.timeout(2 * self._timeout_s + 1):
                    await (await self._producer.send_batch(batch, topic, partition=partition))
        except Exception as error:
            raise self._cause(error, topic, partition) from None
        return count

    def _cause(self, error: Exception, topic: str, partition: int) -> Exception:
        """Return why the leader of a partition cannot be connected to, if that is what happens."""
        cluster = self._producer.client.cluster
        leader = cluster.leader_for_partition(TopicPartition(topic, partition))
        broker = None if leader is None else cluster.broker_metadata(leader)
        if broker is None:
            return error
        return self._gate.failures.get((broker.host, broker.port), error)


def partition_of(key: bytes, partitions: list[int]) -> int:
    """Return where Kafka's own clients put a key."""
    return int(_partition_of(key, partitions, partitions))


def _with_port(server: str) -> str:
    host = server.strip()
    has_port = ":" in host.rpartition("]")[2]
    return host if has_port else f"{host}:{DEFAULT_PORT}"
