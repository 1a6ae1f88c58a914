"""What a shard was told last of audiences, kept over a restart."""

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.audiences.calls import LiveAudiences
from actors.model import Section
from actors.store.environment import Transaction

_KEY = b"audiences"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LiveAudiences).decode


class KnownAudiences:
    """`LiveAudiences`, ready to be looked things up in.

    Attributes:
        live: what is known.
        by_number: its audiences.
    """

    def __init__(self, live: LiveAudiences) -> None:
        self.live = live
        self.by_number = {each.number: each for each in live.audiences}


NO_AUDIENCES = KnownAudiences(LiveAudiences())


def read_live_audiences(txn: Transaction) -> LiveAudiences:
    """Return what a shard was told last."""
    encoded = txn.get("meta", _KEY)
    return LiveAudiences() if encoded is None else _decode(encoded)


def write_live_audiences(txn: Transaction, live: LiveAudiences) -> None:
    """Keep it over a restart."""
    txn.put("meta", _KEY, _encode(live))


def shown_memberships(
    section: Section, known: KnownAudiences, expirations: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return a user's memberships by audience (spec/profiles.md, 7.3); those of audiences that are
    gone are not shown."""
    return [
        {
            "audience_id": number,
            "audience_name": known.by_number[number].name,
            "expiration_timestamp_ms": expirations.get(number),
        }
        for number in sorted(section.audiences)
        if number in known.by_number
    ]
