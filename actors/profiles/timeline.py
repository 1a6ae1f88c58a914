"""A user's timeline: stored batches as the user activity API shows them (spec/profiles.md, 8)."""

from typing import Any

from msgspec import Struct

from actors.model.batches import Batch, Event, StoredBatch
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.tiers import event_name

_COMMON = (  # members of a batch that an item shows under their own names
    "mp_deviceid",
    "user_identities",
    "partner_identities",
    "partner_identity",
    "user_attributes",
    "deleted_user_attributes",
    "device_info",
    "application_info",
    "consent_state",
    "context",
    "location",
    "integration_attributes",
    "attribution_info",
    "source_request_id",
    "sdk_version",
)
_TRANSACTION = (
    "action",
    "transaction_id",
    "affiliation",
    "coupon_code",
    "total_amount",
    "tax_amount",
    "shipping_amount",
)


class TimelineQuery(Struct, frozen=True):
    """Filters of a user's timeline: OR within one, AND between them.

    `start_ms` <= event time < `end_ms`; `inputs` are input ids, `devices` device keys; `cursor` is
    the `next_cursor` of the page before.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    inputs: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    event_names: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    limit: int = 100
    cursor: str | None = None


def timeline_item(
    stored: StoredBatch,
    workspace: WorkspaceInfo,
    query: TimelineQuery,
    copied_from: int | None = None,
) -> dict[str, Any] | None:
    """Return one item of the timeline: a batch with its events that match.

    Args:
        stored: the batch.
        workspace: whose inputs it names.
        query: what is wanted.
        copied_from: MPID that an alias has copied it from, `None` if it is the user's own.

    Returns:
        `None` if none of its events matches, so also for a batch without events.
    """
    if query.devices and stored.device_key not in query.devices:
        return None
    input_id = _input_id(stored, workspace)
    if query.inputs and input_id not in query.inputs:
        return None
    events = [event for event in stored.batch.events if matches(event, query)]
    if not events:
        return None
    batch = stored.batch
    item: dict[str, Any] = {
        "batch_id": batch.batch_id,
        "input": input_id,
        "received_ms": stored.received_ms,
        "environment": batch.environment,
        "timestamp_unixtime_ms": batch.timestamp_ms,
        "channel": stored.channel,
        "is_historical": stored.is_historical,
        "device_key": stored.device_key,
    }
    if copied_from is not None:
        item["copied_from"] = copied_from
    item.update(_common_data(batch))
    item["events"] = [_shown(event) for event in events]
    return item


def matches(event: Event, query: TimelineQuery) -> bool:
    """Tell whether an event passes the filters on time, type and name."""
    return (
        (query.start_ms is None or event.timestamp_ms >= query.start_ms)
        and (query.end_ms is None or event.timestamp_ms < query.end_ms)
        and (not query.types or event.event_type in query.types)
        and (not query.event_names or event_name(event) in query.event_names)
    )


def _input_id(stored: StoredBatch, workspace: WorkspaceInfo) -> str:
    """Return the id of a batch's input; its number if the input is gone."""
    known = workspace.inputs.get(stored.input)
    return str(stored.input) if known is None else known.id


def _common_data(batch: Batch) -> dict[str, Any]:
    """Return what a batch says of all its events, without what it does not have."""
    values = {name: getattr(batch, name) for name in _COMMON}
    return {name: value for name, value in values.items() if value}


def _shown(event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "event_id": event.event_id,
        "name": event_name(event),
        "timestamp_unixtime_ms": event.timestamp_ms,
        "event_type": event.event_type,
        "data": event.data,
    }
    if event.event_type == "commerce_event":
        shown["transaction"] = _transaction(event.data)
        shown["products"] = [_product(product) for product in _products(event.data)]
    return shown


def _transaction(data: dict[str, Any]) -> dict[str, Any]:
    action = data.get("product_action") or data.get("promotion_action") or {}
    transaction = {name: action[name] for name in _TRANSACTION if name in action}
    if data.get("currency_code") is not None:
        transaction["currency_code"] = data["currency_code"]
    return transaction


def _products(data: dict[str, Any]) -> list[dict[str, Any]]:
    listed = list((data.get("product_action") or {}).get("products") or ())
    for impression in data.get("product_impressions") or ():
        listed.extend(impression.get("products") or ())
    return listed


def _product(product: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": product.get("id"),
        "name": product.get("name"),
        "quantity": product.get("quantity", 1),  # spec/events-api.md, 12.5
        "total": product.get("total_product_amount"),
    }
