"""User attributes: what a batch sets and deletes (spec/profiles.md, 3.2)."""

from collections.abc import Iterable
from typing import Final

from actors.model.batches import AttributeText, Batch, BatchContext, Event
from actors.model.profiles import AttributeValue, Section
from actors.profiles.lateness import AsOf

# Their `user_attributes` are a snapshot that enriches the batch and writes new web tags alone.
_SNAPSHOT_CHANNELS = frozenset({"native", "javascript"})


class _Deleted:
    """What becomes of an attribute that a batch removes."""


_DELETED: Final = _Deleted()


def update_attributes(
    section: Section, batch: Batch, changes: Iterable[Event], context: BatchContext, as_of: AsOf
) -> None:
    """Write the attributes of a batch into the section.

    Args:
        section: changed in place.
        batch: its attributes are coerced and within limits.
        changes: its `user_attribute_change` events.
        context: tells the channel and the input.
        as_of: the time that the batch stands for.
    """
    stored = section.user_attributes
    writes = _writes(batch, changes, context)
    for name, value in writes.items():
        known = stored.get(name)
        if known is not None and not as_of.replaces(known.updated_ms):
            continue
        if not isinstance(value, _Deleted):
            stored[name] = AttributeValue(value, as_of.ms, context.input)
        elif known is not None:
            del stored[name]
    if context.channel == "javascript" and not context.updates_attributes:
        # The web SDK tells of a tag in its snapshot alone (spec/clients.md, worked case 16). A
        # snapshot may be old: it overwrites nothing.
        for name, value in batch.user_attributes.items():
            if value is None and name not in writes and name not in stored:
                stored[name] = AttributeValue(None, as_of.ms, context.input)


def _writes(
    batch: Batch, changes: Iterable[Event], context: BatchContext
) -> dict[str, AttributeText | _Deleted]:
    """Return what a batch comes to per attribute: change events, deletions, then settings.

    Found before anything is compared with what is stored, so that the parts of a historical batch
    do not stand in each other's way.
    """
    writes: dict[str, AttributeText | _Deleted] = {}
    for event in changes:
        is_deleted = event.get("deleted")
        writes[event.get("user_attribute_name")] = _DELETED if is_deleted else event.get("new")
    # Apps' SDKs only ever add to the list: what was set again is in the snapshot too.
    is_set_again = batch.user_attributes if context.channel == "native" else ()
    for name in batch.deleted_user_attributes:
        if name not in is_set_again:
            writes[name] = _DELETED
    if context.updates_attributes or context.channel not in _SNAPSHOT_CHANNELS:
        writes.update(batch.user_attributes)
    return writes
