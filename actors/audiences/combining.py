"""What is in force on a shard that takes over from others."""

from collections.abc import Sequence

from actors.audiences.in_force import InForce, walked_from_the_start


def combined(parts: Sequence[InForce], total: int) -> InForce:
    """Return what is in force on one of the shards that take over from others.

    Profiles keep what they know, but whose epochs these were is lost: a new one begins. Attributes
    that were calculated everywhere are not calculated anew.

    Args:
        parts: of all former shards.
        total: how many profiles the new one has.
    """
    latest = max(parts, key=lambda each: each.attributes.version)
    latest_told = max(parts, key=lambda each: each.audiences.version)
    told = latest_told.audiences
    told_numbers = {each.number for each in told.audiences}
    epoch = 1 + max(each.epoch for each in parts)
    is_done = all(
        each.cursor is None and each.attributes.version == latest.attributes.version
        for each in parts
    )
    sent = {
        number: min(each.sent.get(number, 0) for each in parts)
        for number in {number for each in parts for number in each.sent}
    }
    under_way = {
        each.subscription.number
        for each in told.subscriptions
        if (
            any(_is_unloaded(each.subscription.number, part) for part in parts)
            if each.sends is None
            else each.sends > sent.get(each.subscription.number, 0)
        )
    }
    fed = frozenset[int]().union(*(each.fed for each in parts))
    under_way |= {
        number
        for number in fed
        if any(number in each.loads or number not in each.fed for each in parts)
    }
    following = InForce(
        audiences=told,
        attributes=latest.attributes,
        audience_epochs={each.number: epoch for each in told.audiences},
        attribute_epochs={
            number: (0 if is_done else epoch, begun_id)
            for number, (_, begun_id) in latest.attribute_epochs.items()
        },
        loads=dict.fromkeys(under_way, b""),
        list_change=min(each.list_change for each in parts),
        # The earliest: nobody is to leave who has become a member by another shard's epochs.
        starts={
            number: min(each.starts.get(number, start) for each in parts)
            for number, start in latest_told.starts.items()
        },
        calculated={
            each.number: each.revision
            for each in told.audiences
            if all(part.calculated.get(each.number) == each.revision for part in parts)
        },
        sent=sent,
        fed=fed,
        updates=dict.fromkeys({number for each in parts for number in each.updates}, b""),
        ended_over=frozenset[int]().union(
            *(part.ended_over for part in parts),
            *(
                each.workspaces
                for part in parts
                for each in part.audiences.audiences
                if each.is_joint and each.number not in told_numbers
            ),
        ),
        ended_attributes={
            number: (name, epoch)
            for part in parts
            for number, name in _names(part).items()
            if number not in latest.attribute_epochs
        },
    )
    is_ended = following.ended_over or following.ended_attributes
    if not (told.audiences or latest.attributes.attributes or is_ended):
        return following
    return walked_from_the_start(following, epoch, total)


def _is_unloaded(subscription: int, part: InForce) -> bool:
    known = (each.subscription.number for each in part.audiences.subscriptions)
    return subscription in part.loads or subscription not in known


def _names(part: InForce) -> dict[int, str]:
    """Return the names of attributes of which users of a shard may have values, by number."""
    names = {number: name for number, (name, _) in part.ended_attributes.items()}
    return names | {each.number: each.name for each in part.attributes.attributes}
