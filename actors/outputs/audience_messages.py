"""What outputs are told of a change of membership (spec/connections.md, 7.1: audience body).

One delivery carries one change of one user. An output whose message is about one audience has the
forwarder bring changes of one subscription together (`RequestLimits.max_changes`) and sends
`together(deliveries, message_id)`.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct, field

from actors.model.batches import AttributeText
from actors.model.deliveries import Delivery

Action = Literal["add", "delete", "attribute_update"]


class MessageAudience(Struct, frozen=True):
    """The audience as its receivers know it; a variation has a name of its own."""

    id: int
    name: str
    external_name: str


class MembershipChange(Struct, frozen=True):
    """One user's change. `delete` carries no attributes.

    `attribute_update` has all that are shared: those that the user has, and the names of the rest.
    """

    mpid: int
    action: Action
    identities: dict[str, str]
    user_attributes: dict[str, AttributeText] = {}
    deleted_user_attributes: Sequence[str] = ()


class MembershipMessage(Struct, frozen=True, tag_field="type", tag="audience_membership_change"):
    """The whole body; `id` names the change, the same however often it is sent."""

    id: str
    timestamp_ms: int
    workspace_id: int
    audience: MessageAudience
    changes: list[MembershipChange] = field(default_factory=list)


class SubscriptionMessage(Struct, frozen=True, tag_field="type", tag="audience_subscription"):
    """That an audience is not connected any more; of its members nothing is said."""

    id: str
    timestamp_ms: int
    workspace_id: int
    audience: MessageAudience
    action: Literal["remove"]


encode_subscription = msgspec.json.Encoder().encode
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(MembershipMessage).decode
decode_subscription = msgspec.json.Decoder(SubscriptionMessage).decode


def is_membership(payload: bytes) -> bool:
    """Tell whether a payload is a `MembershipMessage`, and not a batch or a notice."""
    return payload.startswith(b'{"type":"audience_membership_change"')


def together(deliveries: Sequence[Delivery], message_id: str) -> bytes:
    """Return the message of several changes of one subscription; it says when the newest was.

    The audience is called as it was when that was made. `message_id`: of all of them, made of
    theirs (`actors.outputs.http_answers.body_id`), so that a repeat has the same.
    """
    if len(deliveries) == 1:
        return deliveries[0].payload
    messages = [decode(delivery.payload) for delivery in deliveries]
    newest = max(messages, key=lambda each: each.timestamp_ms)
    changes = [change for message in messages for change in message.changes]
    return encode(msgspec.structs.replace(newest, id=message_id, changes=changes))
