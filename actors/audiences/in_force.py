"""What is in force on a shard, and how far it has come to the stored profiles.

A new definition begins a new epoch: profiles are walked in the order of their keys, and what each
is to know of its stored events is made anew. A profile that a batch comes to first is not waited
for: it is made ready on the spot. So whatever is evaluated is of the present epoch, and each event
counts once.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from actors.audiences.calls import LiveAudiences
from actors.calculated.definition import LiveAttributes
from actors.store.environment import Transaction

_KEY = b"in_force"


class InForce(Struct, frozen=True, array_like=True):
    """As it is kept.

    Attributes:
        audiences, attributes: what the shard was told last.
        epoch: the present one; 0 before the first.
        audience_epochs: number of an audience to the epoch that its definition began.
        attribute_epochs: likewise of a calculated attribute, and an id that was drawn then: its
            time is that of the activation, and historical batches with a greater one do not count.
        cursor: key of the profile that the walk comes to next; `None` if it is done.
        walked, total: profiles, for those who wait.
        loads: number of a subscription whose first load is under way to the key of the profile
            that it comes to next.
        list_change: number of the last change of a static list that was applied.
        starts: number of an audience to the epoch since which it is there.
    """

    audiences: LiveAudiences = field(default_factory=LiveAudiences)
    attributes: LiveAttributes = field(default_factory=LiveAttributes)
    epoch: int = 0
    audience_epochs: Mapping[int, int] = {}
    attribute_epochs: Mapping[int, tuple[int, int]] = {}
    cursor: bytes | None = None
    walked: int = 0
    total: int = 0
    loads: Mapping[int, bytes] = {}
    list_change: int = 0
    starts: Mapping[int, int] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(InForce)


def read_in_force(txn: Transaction) -> InForce:
    """Return what the shard was told last, and how far it is."""
    encoded = txn.get("meta", _KEY)
    return InForce() if encoded is None else _decoder.decode(encoded)


def write_in_force(txn: Transaction, in_force: InForce) -> None:
    """Keep it over a restart."""
    txn.put("meta", _KEY, _encoder.encode(in_force))


def with_audiences(former: InForce, live: LiveAudiences, total: int) -> InForce:
    """Return what is in force once a shard works by other audiences.

    Args:
        former: before.
        live: what it was told.
        total: how many profiles there are.
    """
    known = {each.number: each for each in former.audiences.audiences}
    changed = {
        each.number
        for each in live.audiences
        if each.number not in known or known[each.number].revision != each.revision
    }
    gone = known.keys() - {each.number for each in live.audiences}
    epochs = {
        number: epoch for number, epoch in former.audience_epochs.items() if number not in gone
    }
    subscribed = {each.subscription.number for each in former.audiences.subscriptions}
    wanted = {each.subscription.number for each in live.subscriptions}
    loads = {number: cursor for number, cursor in former.loads.items() if number in wanted}
    loads |= dict.fromkeys(wanted - subscribed, b"")
    starts = {number: start for number, start in former.starts.items() if number not in gone}
    following = msgspec.structs.replace(former, audiences=live, loads=loads, starts=starts)
    if not changed and not gone:
        return msgspec.structs.replace(following, audience_epochs=epochs)
    epoch = former.epoch + 1
    return msgspec.structs.replace(
        _walked_from_the_start(following, epoch, total),
        audience_epochs=epochs | dict.fromkeys(changed, epoch),
        starts=starts | dict.fromkeys(changed - known.keys(), epoch),
    )


def with_attributes(former: InForce, live: LiveAttributes, begun_id: int, total: int) -> InForce:
    """Return what is in force once a shard works by other calculated attributes.

    Args:
        former: before.
        live: what it was told.
        begun_id: an id that was drawn now.
        total: how many profiles there are.
    """
    known = {each.number: each.revision for each in former.attributes.attributes}
    epoch = former.epoch + 1
    epochs = {
        each.number: former.attribute_epochs[each.number]
        if known.get(each.number) == each.revision
        else (epoch, begun_id)
        for each in live.attributes
    }
    return msgspec.structs.replace(
        _walked_from_the_start(former, epoch, total), attributes=live, attribute_epochs=epochs
    )


def _walked_from_the_start(former: InForce, epoch: int, total: int) -> InForce:
    return msgspec.structs.replace(former, epoch=epoch, cursor=b"", walked=0, total=total)
