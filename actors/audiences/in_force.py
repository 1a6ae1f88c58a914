"""What is in force on a shard, and how far it has come to the stored profiles.

A new definition begins a new epoch: profiles are walked in the order of their keys, and what each
is to know of its stored events is made anew. A profile that a batch comes to first is not waited
for: it is made ready on the spot. So whatever is evaluated is of the present epoch, and each event
counts once.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from actors.audiences.told import LiveAudiences, LiveSubscription
from actors.calculated.definition import LiveAttributes
from actors.calculated.readable import readable
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
        loads: number of a subscription that is told of all members, or of a connection of the
            Calculated Attributes feed that is told of all values, to the key of the profile that it
            comes to next.
        list_change: number of the last change of a static list that was applied.
        starts: number of an audience to the epoch since which it is there.
        calculated: number of a standard audience to its last calculation that came to everybody.
        sent: number of a subscription of a standard audience to how often all members were sent.
            It outlives the subscription, which may only be switched off for a while.
        fed: numbers of the active connections of the Calculated Attributes feed.
        updates: number of a subscription that shares other attributes or takes other identities
            than before to the key of the profile that it comes to next: its members are told.
        event_days: how far back audiences see events; 0 where an earlier version kept it.
        ended_over: numbers of the workspaces that audiences over several were about which have
            ended: until the walk is done there are users to whom they still have to be.
        ended_attributes: likewise number of a calculated attribute that is not active any more to
            its name, and the epoch that it ended with.
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
    calculated: Mapping[int, int] = {}
    sent: Mapping[int, int] = {}
    fed: frozenset[int] = frozenset()
    updates: Mapping[int, bytes] = {}
    event_days: int = 0
    ended_over: frozenset[int] = frozenset()
    ended_attributes: Mapping[int, tuple[str, int]] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(InForce)


def read_in_force(txn: Transaction) -> InForce:
    """Return what the shard was told last, and how far it is.

    A calculated attribute that cannot be read is left out: its values and seeds stay, and are not
    shown.
    """
    encoded = txn.get("meta", _KEY)
    if encoded is None:
        return InForce()
    try:
        return _decoder.decode(encoded)
    except msgspec.ValidationError:
        members = msgspec.msgpack.decode(encoded)
        version, attributes, kept, *others = members[1]
        found, left_out = readable(attributes)
        members[1] = [version, found, left_out.union(kept), *others]
        return msgspec.convert(members, InForce)


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
    starts = {number: start for number, start in former.starts.items() if number not in gone}
    following = msgspec.structs.replace(_with_loads(former, live), audiences=live, starts=starts)
    if not changed and not gone:
        return msgspec.structs.replace(following, audience_epochs=epochs)
    epoch = former.epoch + 1
    joint = {each.number for each in live.audiences if each.is_joint}
    ended = [each for each in known.values() if each.is_joint and each.number not in joint]
    return msgspec.structs.replace(
        walked_from_the_start(following, epoch, total),
        audience_epochs=epochs | dict.fromkeys(changed, epoch),
        starts=starts | dict.fromkeys(changed - known.keys(), epoch),
        ended_over=former.ended_over.union(*(each.workspaces for each in ended)),
    )


def with_walk(former: InForce, count: int, following: bytes | None) -> InForce:
    """Return what is in force once the walk has come past so many more profiles.

    `following`: key of the next one, `None` after the last.
    """
    walked = msgspec.structs.replace(former, cursor=following, walked=former.walked + count)
    if following is not None:
        return walked
    audiences = former.audiences.audiences
    calculated = {each.number: each.revision for each in audiences if each.type == "standard"}
    return msgspec.structs.replace(
        walked, calculated=calculated, ended_over=frozenset(), ended_attributes={}
    )


def with_load(former: InForce, number: int, sends: int | None, following: bytes | None) -> InForce:
    """Return what is in force once a subscription or a connection has been told of some more users.

    Args:
        former: before.
        number: of what was told.
        sends: how often a subscription of a standard audience is told of all, `None` of others.
        following: key of the profile that is next, `None` after the last.
    """
    sent = former.sent
    loads = {each: cursor for each, cursor in former.loads.items() if each != number}
    if following is not None:
        loads[number] = following
    elif sends is not None:
        times = sent.get(number, 0) + 1
        sent = {**sent, number: times}
        if times < sends:
            loads[number] = b""
    return msgspec.structs.replace(former, loads=loads, sent=sent)


def with_update(former: InForce, number: int, following: bytes | None) -> InForce:
    """Return what is in force once some more members were told of the attributes that are shared.

    Args:
        former: before.
        number: of the subscription.
        following: key of the profile that is next, `None` after the last.
    """
    updates = {each: cursor for each, cursor in former.updates.items() if each != number}
    if following is not None:
        updates[number] = following
    return msgspec.structs.replace(former, updates=updates)


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
    ended = dict(former.ended_attributes)
    ended |= {each.number: (each.name, epoch) for each in former.attributes.attributes}
    active = {each.number for each in live.attributes}
    epochs = {
        each.number: former.attribute_epochs[each.number]
        if known.get(each.number) == each.revision
        else (epoch, begun_id)
        for each in live.attributes
    }
    return msgspec.structs.replace(
        walked_from_the_start(former, epoch, total),
        attributes=live,
        attribute_epochs=epochs,
        ended_attributes={number: each for number, each in ended.items() if number not in active},
    )


def with_feed(former: InForce, active: frozenset[int]) -> InForce:
    """Return what is in force where the Calculated Attributes feed has these active connections.

    Those that were not there, or not active, begin with a first load, unless there are no values.
    """
    ended, new = former.fed - active, active - former.fed
    loads = {number: cursor for number, cursor in former.loads.items() if number not in ended}
    if former.attributes.attributes:
        loads |= dict.fromkeys(new, b"")
    return msgspec.structs.replace(former, loads=loads, fed=active)


def with_event_days(former: InForce, days: int, total: int) -> InForce:
    """Return what is in force where audiences see events so far back.

    If that is farther than before, a new epoch begins: of older events that are stored profiles do
    not know. `total`: how many profiles there are.
    """
    following = msgspec.structs.replace(former, event_days=days)
    seeing = [each.number for each in former.audiences.audiences if each.type == "real_time"]
    if days <= former.event_days or not seeing:
        return following
    epoch = former.epoch + 1
    return msgspec.structs.replace(
        walked_from_the_start(following, epoch, total),
        audience_epochs={**former.audience_epochs, **dict.fromkeys(seeing, epoch)},
    )


def walked_from_the_start(former: InForce, epoch: int, total: int) -> InForce:
    """Return what is in force once a new epoch has begun; `total`: how many profiles there are."""
    return msgspec.structs.replace(former, epoch=epoch, cursor=b"", walked=0, total=total)


def _with_loads(former: InForce, live: LiveAudiences) -> InForce:
    """Return whom subscriptions are still to be told of: new ones, and those that are to send."""
    subscribed = {each.subscription.number: each for each in former.audiences.subscriptions}
    wanted = {each.subscription.number: each for each in live.subscriptions}
    updates = {number: each for number, each in former.updates.items() if number in wanted}
    kept = wanted.keys() | former.fed
    loads = {number: cursor for number, cursor in former.loads.items() if number in kept}
    # What was to be sent when a subscription ended is not sent if it begins again.
    ended = {
        number: each.sends
        for number, each in subscribed.items()
        if number not in wanted and each.sends is not None
    }
    sent = {**former.sent, **ended}
    for number, each in wanted.items():
        former_one, times = subscribed.get(number), sent.get(number, 0)
        is_new = former_one is None or former_one.sends is not None  # it was given lists before
        if is_new if each.sends is None else each.sends > times:
            loads.setdefault(number, b"")
        elif former_one is not None and each.sends is None and _told(each) != _told(former_one):
            updates[number] = b""  # from the start: also those who were told of another list
    return msgspec.structs.replace(former, loads=loads, sent=sent, updates=updates)


def _told(live: LiveSubscription) -> tuple[object, ...]:
    """Return what decides what a subscription is told of whom."""
    told = live.subscription
    names = frozenset(told.shared_user_attributes), frozenset(told.withdrawn_attributes)
    return (*names, told.identities)
