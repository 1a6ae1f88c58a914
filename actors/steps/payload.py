"""How a batch looks on one connection: the bytes that go out.

Source: spec/connections.md, 6.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
from msgspec import Struct

from actors.model.batches import Event
from actors.model.workspaces import Environment
from actors.outgoing import inbound_event, outgoing_event
from actors.pipeline.data_filter import Filter, remove_attributes
from actors.pipeline.expansion import expand_commerce
from actors.pipeline.mappings import by_source, map_event
from actors.pipeline.names import event_key
from actors.pipeline.points import DataPoint
from actors.pipeline.settings import NO_FILTER, CustomMapping, DataFilter

METADATA = ("application_info", "device_info", "source_info")
BATCH_IDS = ("mpid", "batch_id")
EVENT_IDS = ("event_id", "session_id")


class PayloadSettings(Struct, frozen=True):
    """Connection settings as `actors.outputs.connection_settings` compiles them.

    Connections with equal ones share their bytes.

    Attributes:
        excluded_types: event types that do not go out.
        device_id_environments: those whose batches have the device's id in any case, besides
            `include_mp_device_id`.
        excluded_metadata: paths below the batch, such as `("device_info", "device")`.
        hidden: what the data filter removes from the batches and events that go out.
        mappings: events that go out under another name.
        has_flat_events: commerce events are expanded.
        include_private: with `actors.outgoing.private_parts`.
        include_audience_ids: with the audiences that the user is in.
    """

    excluded_types: frozenset[str]
    excluded_metadata: tuple[tuple[str, ...], ...]
    unique_id: str | None
    include_location: bool
    include_event_batch_location: bool
    include_metadata: bool
    include_mp_device_id: bool
    include_consent_state: bool
    include_system_notifications: bool
    ids_as_strings: bool
    send_batches_without_events: bool
    is_raw: bool
    hidden: DataFilter = NO_FILTER
    mappings: tuple[CustomMapping, ...] = ()
    has_flat_events: bool = False
    include_private: bool = False
    include_audience_ids: bool = False
    device_id_environments: frozenset[Environment] = frozenset()


# Everything, for modules that shape batches themselves.
WHOLE = PayloadSettings(
    excluded_types=frozenset(),
    excluded_metadata=(),
    unique_id=None,
    include_location=True,
    include_event_batch_location=True,
    include_metadata=True,
    include_mp_device_id=True,
    include_consent_state=True,
    include_system_notifications=True,
    ids_as_strings=False,
    send_batches_without_events=True,
    is_raw=False,
    include_private=True,
    include_audience_ids=True,
)


# Changes the data of an event, as JSON values.
Edit = Callable[[dict[str, Any]], None]
# Returns how one event has to be changed, `None` if it goes out as it is.
Editor = Callable[[Event], Edit | None]


class Shape:
    """One set of settings, ready to be applied to any batch."""

    def __init__(self, settings: PayloadSettings, knows: Callable[[DataPoint], bool]) -> None:
        """Args: `knows` tells of data points what `actors.pipeline.data_filter.Filter` asks."""
        self.settings = settings
        self._filter = None if settings.hidden == NO_FILTER else Filter(settings.hidden, knows)
        self._whole = inbound_event if settings.is_raw else outgoing_event
        self._editors = tuple(_editors(settings, self._filter))
        self._mapped = by_source(settings.mappings)
        self.encode = self._encode if self._editors else self._whole

    def head(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch without its events in this shape; the given one is not changed."""
        settings = self.settings
        if settings.is_raw and self._filter is None:
            return batch
        head = dict(batch)
        if self._filter is not None:
            self._filter.shape_head(head)
        if not settings.is_raw:
            _shape_head(head, settings)
        return head

    def shows_user_attribute(self, name: str) -> bool:
        """Tell whether a user attribute goes out."""
        return self._filter is None or self._filter.shows_user_attribute(name)

    def apply(self, batch: dict[str, Any], events: Sequence[Event]) -> "Shaped":
        """Return a batch (`actors.outgoing`) and its events in this shape."""
        kind = Expanded if self.settings.has_flat_events else Shaped
        return kind(batch, events, self)

    def expands(self, event: Event) -> bool:
        """Tell whether an event goes out as flat ones, where those are wanted."""
        return event.event_type == "commerce_event" and event_key(event) not in self._mapped

    def _encode(self, event: Event) -> bytes:
        encoded = self._whole(event)
        edits = [edit for editor in self._editors if (edit := editor(event)) is not None]
        if not edits:
            return encoded
        shaped = orjson.loads(encoded)
        for edit in edits:
            edit(shaped["data"])
        return orjson.dumps(shaped)


class Shaped:
    """One batch in one shape; encodes each part once, when it is wanted.

    What goes out of it has places: those of its events in the batch, unless they are expanded.
    """

    def __init__(self, batch: dict[str, Any], events: Sequence[Event], shape: Shape) -> None:
        """Take a batch (`actors.outgoing`) and its events without changing them."""
        self._events = events
        self._encoded: list[bytes | None] = [None] * len(events)
        self._encode = shape.encode
        # Its closing brace follows after the events.
        self._head = orjson.dumps(shape.head(batch))[:-1]

    def places(self, indices: list[int]) -> list[int]:
        """Return the places of what goes out of some events."""
        return indices

    def index_of(self, place: int) -> int:
        """Return the index of the event that is at a place, or was expanded to what is there."""
        return place

    def name_of(self, place: int) -> int | str:
        """Return what names a place among all of the batch, whatever else goes out."""
        return place

    def payload(self, places: list[int]) -> bytes:
        """Return the JSON of the batch with what is at some places."""
        encoded = self._encoded
        parts: list[bytes] = []
        for place in places:
            part = encoded[place]
            if part is None:
                part = encoded[place] = self._encode(self._events[place])
            parts.append(part)
        return b'%b,"events":[%b]}' % (self._head, b",".join(parts))


class Expanded(Shaped):
    """A batch whose commerce events go out as flat ones; an event may have no place, or several."""

    def __init__(self, batch: dict[str, Any], events: Sequence[Event], shape: Shape) -> None:
        super().__init__(batch, events, shape)
        self._encoded = []
        self._origins: list[tuple[int, int | str]] = []  # index and name of each place
        for index, event in enumerate(events):
            encoded = shape.encode(event)
            if shape.expands(event):
                flat = expand_commerce(orjson.loads(encoded))
                self._encoded += map(orjson.dumps, flat)
                # They end as their event ids do.
                self._origins += ((index, f"{index}:{part}") for part in range(len(flat)))
            else:
                self._encoded.append(encoded)
                self._origins.append((index, index))

    def places(self, indices: list[int]) -> list[int]:
        """Return the places of what goes out of some events."""
        wanted = set(indices)
        return [place for place, (index, _) in enumerate(self._origins) if index in wanted]

    def index_of(self, place: int) -> int:
        """Return the index of the event that was expanded to what is at a place."""
        return self._origins[place][0]

    def name_of(self, place: int) -> int | str:
        """Return what names a place among all of the batch."""
        return self._origins[place][1]


def _editors(settings: PayloadSettings, data_filter: Filter | None) -> list[Editor]:
    """Return what may change the events of one set of settings, in its order."""
    editors: list[Editor] = []
    if data_filter is not None and data_filter.hides_attributes:
        editors.append(_hiding(data_filter))
    if settings.is_raw:
        return editors
    if not settings.include_location:
        editors.append(lambda event: None if event.get("location") is None else _remove_location)
    if settings.mappings:
        editors.append(_mapping(settings.mappings))
    if settings.ids_as_strings:
        editors.append(lambda _: _event_ids_as_strings)
    return editors


def _hiding(data_filter: Filter) -> Editor:
    def edit_of(event: Event) -> Edit | None:
        hidden = data_filter.hidden_attributes(event)
        return partial(remove_attributes, names=hidden) if hidden else None

    return edit_of


def _mapping(mappings: Sequence[CustomMapping]) -> Editor:
    indexed = by_source(mappings)

    def edit_of(event: Event) -> Edit | None:
        source = event_key(event)
        mapping = None if source is None else indexed.get(source)
        return None if mapping is None else partial(map_event, mapping, event)

    return edit_of


def _remove_location(data: dict[str, Any]) -> None:
    data.pop("location", None)


def _event_ids_as_strings(data: dict[str, Any]) -> None:
    _ids_as_strings(data, EVENT_IDS)


def _shape_head(head: dict[str, Any], settings: PayloadSettings) -> None:
    if settings.unique_id is not None:
        _add_unique_id(head, settings.unique_id)
    if not settings.include_metadata:
        for name in METADATA:
            head.pop(name, None)
    for path in settings.excluded_metadata:
        _remove(head, path)
    has_device_id = (
        settings.include_mp_device_id or head.get("environment") in settings.device_id_environments
    )
    if not has_device_id:
        head.pop("mp_deviceid", None)
    if not settings.include_consent_state:
        head.pop("consent_state", None)
    if not settings.include_event_batch_location and "location" in head.get("context", ()):
        _remove(head, ("context", "location"))
        if not head["context"]:
            del head["context"]
    if not settings.include_system_notifications:
        del head["system_notifications"]
    if settings.ids_as_strings:
        _ids_as_strings(head, BATCH_IDS)


def _add_unique_id(head: dict[str, Any], kind: str) -> None:
    if kind == "mpid":
        value = None if head["mpid"] is None else str(head["mpid"])
    elif kind == "device_application_stamp":
        value = head.get("mp_deviceid")
    else:
        identities = head["user_identities"]
        found = (entry["identity"] for entry in identities if entry["identity_type"] == kind)
        value = next(found, None)
    if value is not None:
        head["unique_id"] = value


def _remove(parent: dict[str, Any], path: tuple[str, ...]) -> None:
    """Remove a member at any depth, copying the objects on the way: others share them."""
    name, *rest = path
    if not rest:
        parent.pop(name, None)
        return
    child = parent.get(name)
    if isinstance(child, dict):
        parent[name] = child = dict(child)
        _remove(child, tuple(rest))


def _ids_as_strings(members: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if isinstance(members.get(name), int):
            members[name] = str(members[name])
