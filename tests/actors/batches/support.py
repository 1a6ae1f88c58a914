"""The worked cases' workspace, and short ways to decode one batch in it."""

from typing import Any

import orjson
import pytest

from actors.batches.decode import decode_batch
from actors.errors import BatchRejected, Problem
from actors.model.batches import Batch, BatchContext, Event
from actors.model.workspaces import InputInfo, Limits, WorkspaceInfo

T = 1_767_225_600_000
FEED, IOS, PARTNER, WEB, DEBUG_FEED, RESTRICTED = range(1, 7)

INPUTS = {
    FEED: InputInfo(FEED, "in_1", "Backend", "feed", "Unknown"),
    IOS: InputInfo(IOS, "in_2", "App", "platform", "iOS", platform="iOS"),
    PARTNER: InputInfo(PARTNER, "in_3", "acme", "feed", "Unknown", is_partner=True),
    WEB: InputInfo(WEB, "in_4", "Site", "platform", "MobileWeb", platform="web"),
    DEBUG_FEED: InputInfo(DEBUG_FEED, "in_5", "Trial", "feed", "Unknown", is_debug=True),
    RESTRICTED: InputInfo(
        RESTRICTED, "in_6", "Kids", "platform", "iOS", platform="iOS", restrict_device_id=True
    ),
}
OPENED: dict[str, Any] = {"event_type": "custom_event", "data": {"event_name": "Opened"}}


def workspace(
    *,
    gdpr: frozenset[str] | None = frozenset({"newsletter"}),
    has_ccpa: bool = True,
    partner_identities: frozenset[str] = frozenset(),
    limits: Limits | None = None,
    att_default: str | None = None,
) -> WorkspaceInfo:
    """Make workspace `w1` of the worked cases."""
    return WorkspaceInfo(
        number=1,
        id="w1",
        name="Shop",
        account=1,
        organization=1,
        scope=1,
        inputs=INPUTS,
        priority=(),
        login_ids=frozenset(),
        unique_ids=frozenset(),
        immutable_ids=frozenset(),
        gdpr_purposes=gdpr,
        is_ccpa_enabled=has_ccpa,
        partner_identities=partner_identities,
        limits=limits or Limits(),
        att_default=att_default,
    )


def context(input_number: int = IOS, **known: Any) -> BatchContext:
    """Make what the edge knows, of a server's batch received at T unless said otherwise."""
    defaults: dict[str, Any] = {"channel": "server_to_server", "received_ms": T}
    return BatchContext(input=input_number, api_key="k", **(defaults | known))


def client_context(**known: Any) -> BatchContext:
    """Make what the edge knows of a batch that the web SDK sent."""
    return context(WEB, channel="javascript", is_lenient=True, **known)


def decoded(
    body: Any, where: BatchContext | None = None, into: WorkspaceInfo | None = None
) -> Batch:
    """Decode a body, given as bytes or as what is to be encoded."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return decode_batch(raw, where or context(), into or workspace())


def problems(
    body: Any, where: BatchContext | None = None, into: WorkspaceInfo | None = None
) -> list[Problem]:
    """Return the problems for which a body is refused."""
    with pytest.raises(BatchRejected) as refusal:
        decoded(body, where, into)
    return refusal.value.problems


def paths(body: Any, where: BatchContext | None = None) -> list[str | None]:
    """Return where the problems are for which a body is refused."""
    return [problem.path for problem in problems(body, where)]


def event(event_type: str, data: Any) -> dict[str, Any]:
    """Make a batch with one event."""
    return {"events": [{"event_type": event_type, "data": data}]}


def decoded_event(
    event_type: str, data: Any, where: BatchContext | None = None, into: WorkspaceInfo | None = None
) -> Event:
    """Decode the only event of a batch."""
    [only] = decoded(event(event_type, data), where, into).events
    return only


def event_data(event_type: str, data: Any, where: BatchContext | None = None) -> dict[str, Any]:
    """Return an event's normalised data without the times, which every event has."""
    times = ("timestamp_unixtime_ms", "event_start_unixtime_ms")
    kept = decoded_event(event_type, data, where).data
    return {name: value for name, value in kept.items() if name not in times}


def custom(**data: Any) -> dict[str, Any]:
    """Make a batch with one custom event."""
    return event("custom_event", {"event_name": "Opened"} | data)
