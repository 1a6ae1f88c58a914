"""Data points: what an output's filter can switch one by one (spec/connections.md, 2.4)."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from actors.batches.attributes import SOURCE_FEED
from actors.model.batches import Event
from actors.pipeline.names import event_key


class DataPoint(NamedTuple):
    """One event, attribute or identity type; what its `type` does not have is empty."""

    type: str
    event_type: str = ""
    name: str = ""
    attribute_name: str = ""


def point_of(event: Event) -> DataPoint | None:
    """Return the point of an event, `None` if it cannot be switched."""
    key = event_key(event)
    match event.event_type:
        case "custom_event":
            return DataPoint("Event", *key) if key else None
        case "screen_view":
            return DataPoint("ScreenView", "", key[1]) if key else None
        case "commerce_event":
            return DataPoint("Commerce", key[0]) if key else None
    return None


def attribute_point(of: DataPoint, attribute: str) -> DataPoint:
    """Return the point of an attribute of an event's point."""
    return DataPoint(f"{of.type}Attribute", of.event_type, of.name, attribute)


def points_of(events: Iterable[Event], outgoing: dict[str, Any]) -> Iterator[DataPoint]:
    """Yield every point of a batch, some of them several times.

    `outgoing`: the batch as `actors.outgoing.outgoing_batch` returns it.
    """
    for event in events:
        point = point_of(event)
        if point is not None:
            yield point
            for name in attribute_names(event):
                yield attribute_point(point, name)
    for name in outgoing["user_attributes"]:
        yield DataPoint("UserAttribute", "", name)
    for identity in outgoing["user_identities"]:
        yield DataPoint("UserIdentity", "", identity["identity_type"])


def attribute_names(event: Event) -> set[str]:
    """Return the names of all attributes of an event that can be switched, and of its products.

    The one that names the feed always goes out (spec/events-api.md, 2.1).
    """
    names = set(event.get("custom_attributes") or ())
    names.discard(SOURCE_FEED)
    if event.event_type == "commerce_event":
        for product in products_of(event):
            names.update(product.get("custom_attributes") or ())
    return names


def products_of(data: Any) -> list[dict[str, Any]]:
    """Return every product of an event or its data, wherever it stands."""
    holders = [
        data.get("product_action"),
        data.get("shopping_cart"),
        *(data.get("product_impressions") or ()),
    ]
    return [product for each in holders if each for product in each.get("products") or ()]
