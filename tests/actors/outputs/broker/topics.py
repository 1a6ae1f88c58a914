"""Topics of the broker of tests: made, changed and read back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

PARTITIONS = 4


class Row(NamedTuple):
    """A record as it is in its topic."""

    partition: int
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]


async def make_topic(servers: str, topic: str, settings: Mapping[str, str] | None = None) -> None:
    """Make a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=dict(settings or {}))])
    await admin.close()


async def configure(servers: str, topic: str, settings: Mapping[str, str]) -> None:
    """Set the settings of a topic; those that are not given return to their defaults."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(settings))
    await admin.alter_configs([resource])
    await admin.close()


async def read(servers: str, topic: str) -> list[Row]:
    """Return all records of a topic, partition by partition in their order."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer._client._wait_on_metadata(topic)
        partitions = [
            TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))
        ]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        rows: list[Row] = []
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for source, records in (await consumer.getmany(timeout_ms=100)).items():
                rows += [
                    Row(source.partition, each.key, each.value, dict(each.headers))
                    for each in records
                ]
    finally:
        await consumer.stop()
    return sorted(rows, key=lambda row: row.partition)
