"""Makes one batch of the batches of one device (spec/connections.md, 3.6)."""

from collections.abc import Mapping, Sequence

import msgspec
import orjson
from msgspec import Raw
from msgspec.structs import replace

from actors.model.deliveries import Delivery

# Those of the first batch name the whole: they are what its delivery id was made of.
_OF_THE_FIRST = ("batch_id", "source_request_id")
# Lists that tell what happened, and would be lost with the batch that they came in.
_JOINED = ("system_notifications", "events")
_DELETED = "deleted_user_attributes"

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_names = msgspec.json.Decoder(dict[str, Raw] | None).decode
_list = msgspec.json.Decoder(list[str]).decode


def merge(parts: Sequence[Delivery], sequence: int) -> Delivery:
    """Make one delivery of the deliveries of whole batches of one user, in their order.

    What batches say of the user and the device is as in the last one that says it; the ids are
    those of the first. The delivery id is the first one's, too: a function of its source alone.
    A single one keeps its bytes.
    """
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return replace(first, sequence=sequence)
    batches = [_members(part.payload) for part in parts]
    merged: dict[str, Raw | bytes] = {}
    for each in batches:
        merged.update(each)
    merged.update({name: batches[0][name] for name in _OF_THE_FIRST if name in batches[0]})
    for name in _JOINED:
        lists = [bytes(each[name])[1:-1] for each in batches if name in each]
        if lists:
            merged.pop(name)  # events come last, as in every batch
            merged[name] = b"[%b]" % b",".join(filter(None, lists))
    if _DELETED in merged:
        deleted = _deleted(batches)
        merged[_DELETED] = orjson.dumps(deleted)
        if not deleted:
            del merged[_DELETED]
    payload = b",".join(b"%b:%b" % (orjson.dumps(name), merged[name]) for name in merged)
    return replace(
        last,
        sequence=sequence,
        delivery_id=first.delivery_id,
        payload=b"{%b}" % payload,
        first_event_ms=next((each.first_event_ms for each in parts if each.event_count), 0),
        event_count=sum(each.event_count for each in parts),
    )


def _deleted(batches: Sequence[Mapping[str, Raw]]) -> list[str]:
    """Return the attributes that some batch has deleted and no later one set again."""
    deleted: dict[str, None] = {}
    for each in batches:
        for name in _names(each["user_attributes"]) or () if "user_attributes" in each else ():
            deleted.pop(name, None)
        if _DELETED in each:
            deleted.update(dict.fromkeys(_list(each[_DELETED])))
    return list(deleted)
