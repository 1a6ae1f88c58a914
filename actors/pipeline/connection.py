"""What shards and forwarders have to know of a connection."""

from msgspec import Struct

from actors.model.workspaces import Environment
from actors.pipeline.settings import PipelineSettings
from actors.steps.payload import PayloadSettings


class Collecting(Struct, frozen=True):
    """How batches of one device are collected into one (spec/connections.md, 3.6).

    Attributes:
        max_wait_ms: after the first of them, or after the last one if `is_until_session_end`.
        max_events, max_bytes: that such a batch may have; one more begins another.
        is_until_session_end: a batch is complete with the end of the device's session.
    """

    max_wait_ms: int
    max_events: int
    max_bytes: int
    is_until_session_end: bool = False


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
        sends_aliases: aliases that came through its input are sent, too.
        collecting: how batches are collected before they go out; `None`: they are not.
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
    sends_aliases: bool = False
    collecting: Collecting | None = None
