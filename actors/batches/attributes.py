"""User attributes and event attributes: values and limits (spec/events-api.md, 9, 12.2 and 14)."""

from typing import Annotated, Any

from msgspec import Meta

from actors.batches.coerce import is_rounded, text_of, to_string
from actors.batches.exact import dict_of, keeps, keeps_within, list_of, text
from actors.batches.reading import Coerce, Fields, Invalid, Reading, array_of, as_object
from actors.model.batches import AttributeText
from actors.model.workspaces import Limits

SOURCE_FEED = "mParticle Source Feed"
# Left out by a reader that has a rounded number of it only; the batch is then read with all digits.
ROUNDED = "attribute_rounded"


class LeftOut(Exception):
    """An attribute that is left out without refusing the batch; `reason` is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def attribute_value(value: Any, limits: Limits) -> AttributeText:
    """Return a user attribute's value as it is kept: text, list of texts or null.

    Raises:
        LeftOut: an object, a list with an object or a list inside, over a limit, or a
            number that the parser may have rounded.
    """
    if value is None:
        return None
    if type(value) is list:
        return _attribute_list(value, limits)
    text = _text(value)
    if len(text) > limits.user_attribute_value_length:
        raise LeftOut("attribute_value_length")
    return text


def _attribute_list(value: list[Any], limits: Limits) -> list[str]:
    entries = [_text(entry) for entry in value if entry is not None]
    if len(entries) > limits.user_attribute_list_entries:
        raise LeftOut("list_length")
    longest = limits.user_attribute_entry_length
    if any(len(entry) > longest for entry in entries):
        raise LeftOut("list_entry_length")
    return entries


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, (list, dict)):
        raise LeftOut("attribute_type")
    if is_rounded(value):
        raise LeftOut(ROUNDED)
    return text_of(value)


def check_attribute_name(name: str, limits: Limits) -> None:
    """Raise LeftOut if no user attribute can have this name."""
    if not name:
        raise LeftOut("attribute_name_empty")
    if len(name) > limits.user_attribute_name_length:
        raise LeftOut("attribute_name_length")


def _exact_user_attributes(limits: Limits) -> Any:
    name = text(limits.user_attribute_name_length, shortest=1)
    entry = text(limits.user_attribute_entry_length)
    most = Meta(max_length=limits.user_attribute_list_entries)
    value = text(limits.user_attribute_value_length) | Annotated[list_of(entry), most] | None
    return Annotated[dict_of(name, value), Meta(max_length=limits.user_attributes)]


@keeps_within(_exact_user_attributes)
def to_user_attributes(value: Any, reading: Reading) -> dict[str, AttributeText]:
    """Coerce `user_attributes`; what cannot be kept is left out and counted."""
    limits = reading.workspace.limits
    attributes: dict[str, AttributeText] = {}
    for name, sent in as_object(value).items():
        try:
            check_attribute_name(name, limits)
            kept = attribute_value(sent, limits)
        except LeftOut as left_out:
            reading.drops.append(left_out.reason)
            continue
        if len(attributes) >= limits.user_attributes:
            reading.drops.append("attribute_count")
            continue
        attributes[name] = kept
    return attributes


@keeps(str)
def _to_attribute_name(value: Any, _: Reading) -> str:
    if type(value) is not str:
        raise Invalid("must be a string.")
    return value


to_deleted_attributes: Coerce = array_of(_to_attribute_name, refuses_null=True)


def _exact_attributes(limits: Limits, most: int) -> Any:
    name = text(limits.event_attribute_name_length)
    value = text(limits.event_attribute_value_length) | None
    return Annotated[dict_of(name, value), Meta(max_length=most)]


@keeps_within(lambda limits: _exact_attributes(limits, limits.event_attributes))
def to_event_attributes(value: Any, reading: Reading) -> Fields:
    """Coerce an event's `custom_attributes`; null values are kept.

    A feed's own attribute is left out here and added by `add_source_feed`: it does not count.
    """
    attributes = as_object(value)
    if reading.input.kind == "feed" and SOURCE_FEED in attributes:
        attributes = {name: sent for name, sent in attributes.items() if name != SOURCE_FEED}
    return _within_limits(attributes, reading, reading.workspace.limits.event_attributes)


@keeps_within(lambda limits: _exact_attributes(limits, limits.product_attributes))
def to_product_attributes(value: Any, reading: Reading) -> Fields:
    """Coerce a product's `custom_attributes`; null values are kept."""
    return _within_limits(as_object(value), reading, reading.workspace.limits.product_attributes)


def _within_limits(attributes: Fields, reading: Reading, most: int) -> Fields:
    limits, drops = reading.workspace.limits, reading.drops
    longest_name = limits.event_attribute_name_length
    longest_value = limits.event_attribute_value_length
    kept: Fields = {}
    for name, value in attributes.items():
        if value is not None:
            if type(value) is not str:
                if isinstance(value, (list, dict)):
                    drops.append("attribute_type")
                    continue
                if is_rounded(value):
                    drops.append(ROUNDED)
                    continue
                value = text_of(value)
            if len(value) > longest_value:
                drops.append("attribute_value_length")
                continue
        if len(name) > longest_name:
            drops.append("attribute_name_length")
            name = name[:longest_name]
        if len(kept) >= most and name not in kept:
            drops.append("attribute_count")
            continue
        kept[name] = value
    return kept


def add_source_feed(body: Any, feed: str) -> None:
    """Give an event the attribute that names the feed it came through (2.1)."""
    if body.custom_attributes is None:
        body.custom_attributes = {SOURCE_FEED: feed}
    else:
        body.custom_attributes[SOURCE_FEED] = feed


@keeps_within(lambda limits: text(limits.event_name_length))
def to_name(value: Any, reading: Reading) -> str:
    """Coerce an event or screen name: a String, cut at the limit."""
    text = to_string(value, reading)
    longest = reading.workspace.limits.event_name_length
    if len(text) > longest:
        reading.drops.append("event_name_length")
        text = text[:longest]
    return text


@keeps_within(lambda limits: text(limits.event_attribute_value_length))
def to_limited_string(value: Any, reading: Reading) -> str | None:
    """Coerce a String of a product or promotion; one that is too long is left out."""
    text = to_string(value, reading)
    if len(text) > reading.workspace.limits.event_attribute_value_length:
        reading.drops.append("attribute_value_length")
        return None
    return text
