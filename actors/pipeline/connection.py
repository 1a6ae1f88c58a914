"""What shards and forwarders have to know of a connection."""

from msgspec import Struct

from actors.model import Environment
from actors.pipeline.settings import PipelineSettings
from actors.steps.payload import PayloadSettings


class ConnectionInfo(Struct, frozen=True):
    """What a shard and a forwarder have to know of a connection.

    Attributes:
        number, id: the connection's; `input`, `input_id`: its input's; `output`: its output's id.
        is_active: new batches are queued and what is queued is sent.
        is_faulted: new batches are queued and nothing is sent.
        environments: those that are enabled for the output.
        send_as_batch: one payload per batch, not per event.
        settings: how payloads look; connections with equal ones share them.
        pipeline: what is let through.
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
    pipeline: PipelineSettings = PipelineSettings()
    is_faulted: bool = False
    is_subscription: bool = False
