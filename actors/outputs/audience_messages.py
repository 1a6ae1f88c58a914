"""What outputs are told of a change of membership (spec/connections.md, 7.1: audience body).

One delivery carries one change of one user; outputs that send several together join them.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct, field

from actors.model import AttributeText

Action = Literal["add", "delete", "attribute_update"]


class MessageAudience(Struct, frozen=True):
    """The audience as its receivers know it; a variation has a name of its own."""

    id: int
    name: str
    external_name: str


class MembershipChange(Struct, frozen=True):
    """One user's change. `delete` carries no attributes."""

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
