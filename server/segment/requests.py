"""Requests of the tracking API, taken apart into messages (spec/clients.md, 6.2)."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Struct

from actors.batches.digits import has_long_number, parse_all_with_digits
from actors.batches.parse import parse_json
from actors.errors import BatchRejected
from server.bodies import UNREADABLE, without_half_pairs
from server.segment.values import as_id

MessageType = Literal["track", "identify", "page", "screen", "group", "alias"]
MESSAGE_TYPES: tuple[MessageType, ...] = get_args(MessageType)

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_MESSAGE_BYTES = 512 * 1024
MAX_MESSAGES = 2500

_DEFAULTS = ("context", "integrations")

_ABSENT = msgspec.Raw(b"null")


class _Body(Struct, rename="camel"):
    """What is read of a body; of others, however many, nothing is made."""

    batch: msgspec.Raw = _ABSENT
    context: msgspec.Raw = _ABSENT
    integrations: msgspec.Raw = _ABSENT
    timestamp: msgspec.Raw = _ABSENT
    sent_at: msgspec.Raw = _ABSENT
    write_key: msgspec.Raw = _ABSENT


# An array of at most so many elements: a list would be made whole before it can be counted.
_Messages = msgspec.defstruct(
    "_Messages",
    [(f"message_{index}", msgspec.Raw, None) for index in range(MAX_MESSAGES)],
    array_like=True,
    forbid_unknown_fields=True,
)

_decode_body = msgspec.json.Decoder(_Body).decode
_decode_messages = msgspec.json.Decoder(_Messages).decode


class SegmentRefused(Exception):
    """A request is answered with an error of spec/clients.md, 6.2."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


class Message(Struct, frozen=True):
    """A valid message; `index`: its place in the request."""

    index: int
    type: MessageType
    members: dict[str, Any]


class Skipped(Struct, frozen=True, order=True):
    """A message that is left out, and why."""

    index: int
    code: str
    message: str


class Sent(NamedTuple):
    """What a request holds; `sent_at` and `timestamp`: its own, as sent."""

    messages: list[Message]
    skipped: list[Skipped]
    sent_at: Any
    timestamp: Any


def read_many(body: bytes) -> Sent:
    """Read a request of several messages.

    Raises:
        SegmentRefused: it is no object with a list of messages, they are too many, or there are
            messages and none is valid.
    """
    read = _read(without_half_pairs(body))
    if read.batch is _ABSENT:
        raise _invalid("The member batch is missing.")
    defaults = {
        name: _value(raw) for name in _DEFAULTS if (raw := getattr(read, name)) is not _ABSENT
    }
    raws = _messages(read.batch)
    return _sent([_checked(index, raw, defaults) for index, raw in enumerate(raws)], read)


def read_one(body: bytes, message_type: MessageType) -> Sent:
    """Read a request that is one message, whose type the path says. Raises SegmentRefused."""
    body = without_half_pairs(body)
    return _sent([_checked(0, msgspec.Raw(body), {}, message_type)], _read(body))


def write_key_of(body: bytes) -> str | None:
    """Return the write key that stands in a body, `None` if there is none."""
    try:
        key = _value(_decode_body(body).write_key)
    except UNREADABLE:
        return None
    return key if isinstance(key, str) else None


def _read(body: bytes) -> _Body:
    try:
        return _decode_body(body)
    except msgspec.ValidationError:
        raise _invalid("The body must be a JSON object.") from None
    except UNREADABLE:
        raise SegmentRefused(400, "invalid_json", "The body is not valid JSON.") from None


def _messages(batch: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        found = msgspec.structs.astuple(_decode_messages(batch))
    except UNREADABLE:
        if memoryview(batch)[0] == ord("["):
            raise _invalid(f"There are more than {MAX_MESSAGES} messages.") from None
        raise _invalid("The member batch must be a list.") from None
    return [each for each in found if each is not None]


def _value(raw: msgspec.Raw) -> Any:
    """Return a value as the Events API reads it, `None` if it cannot be read.

    Numbers beyond 64 bits come back as texts of all their digits.
    """
    text = bytes(raw)
    try:
        value = parse_json(text)
    except BatchRejected:
        return None
    return parse_all_with_digits(text) if has_long_number(text) else value


def _sent(found: Sequence[Message | Skipped], read: _Body) -> Sent:
    messages = [each for each in found if isinstance(each, Message)]
    skipped = [each for each in found if isinstance(each, Skipped)]
    if skipped and not messages:
        first = skipped[0]
        raise SegmentRefused(400, "invalid_request", f"No message is valid: {first.message}")
    return Sent(messages, skipped, _value(read.sent_at), _value(read.timestamp))


def _checked(
    index: int,
    raw: msgspec.Raw,
    defaults: dict[str, Any],
    message_type: MessageType | None = None,
) -> Message | Skipped:
    if len(memoryview(raw)) > MAX_MESSAGE_BYTES:
        return Skipped(index, "too_large", f"It is longer than {MAX_MESSAGE_BYTES} bytes.")
    members = _value(raw)
    if not isinstance(members, dict):
        return Skipped(index, "invalid_message", "It is not an object.")
    sent_type = message_type or members.get("type")
    kind = next((each for each in MESSAGE_TYPES if each == sent_type), None)
    if kind is None:
        return Skipped(index, "invalid_type", f"Its type is none of {', '.join(MESSAGE_TYPES)}.")
    members = defaults | members
    missing = _missing(kind, members)
    if missing is not None:
        code, text = missing
        return Skipped(index, code, text)
    return Message(index, kind, members)


def _missing(kind: MessageType, members: dict[str, Any]) -> tuple[str, str] | None:
    """Return code and text of what a message lacks."""
    user, anonymous = as_id(members.get("userId")), as_id(members.get("anonymousId"))
    if user is None and anonymous is None:
        return "missing_id", "It has neither userId nor anonymousId."
    if kind == "alias" and as_id(members.get("previousId")) is None:
        return "missing_id", "It has no previousId."
    event = members.get("event")
    if kind == "track" and not (isinstance(event, str) and event.strip()):
        return "missing_event", "It has no event."
    if kind == "group" and as_id(members.get("groupId")) is None:
        return "missing_group", "It has no groupId."
    return None


def _invalid(message: str) -> SegmentRefused:
    return SegmentRefused(400, "invalid_request", message)
