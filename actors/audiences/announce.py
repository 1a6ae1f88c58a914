"""From changes of membership to the deliveries of the subscriptions that want them.

Sources: spec/audiences.md, 12.2; spec/connections.md, 5 and 7.1.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from actors.audiences.receivers import NOTHING_WITHHELD, Withheld
from actors.model.batches import AttributeText
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import Environment
from actors.outputs.audience_messages import (
    Action,
    MembershipChange,
    MembershipMessage,
    MessageAudience,
    encode,
)
from actors.profiles.device_view import by_last_seen, listed_identities
from actors.steps.enqueue import delivery_id

# Subscriptions share the outbox with connections, whose numbers lie below.
FIRST_NUMBER = 1 << 31


class Subscription(Struct, frozen=True):
    """An audience joined to an output, as a shard has to know it.

    Attributes:
        number: its connection number in the outbox, from `FIRST_NUMBER` on.
        id: names it in delivery ids.
        audience: number of the audience.
        name: what its receivers are told of the audience; a variation has a name of its own.
        workspace: number of the workspace.
        environments: those that are enabled for the output.
        identities: the types that the output takes, `None` for all: it then needs none.
        shared_user_attributes: names of attributes that go along with an `add`, and of whose
            changes members are told of.
        withdrawn_attributes: names that were shared before; updates tell that they are gone.
        withheld: what its receiver, if that is another account, is not told.
    """

    number: int
    id: str
    audience: int
    name: MessageAudience
    workspace: int
    output: str
    environments: frozenset[Environment]
    identities: frozenset[str] | None = None
    shared_user_attributes: tuple[str, ...] = ()
    withdrawn_attributes: tuple[str, ...] = ()
    withheld: Withheld = NOTHING_WITHHELD


class MemberChange(Struct, frozen=True):
    """That a user has entered or left an audience, or has other attributes (`changed`)."""

    key: ProfileKey
    audience: int
    action: Action
    changed: frozenset[str] = frozenset()


def identities_of(profile: Profile) -> dict[str, str]:
    """Return every identity of a profile: of several devices' the one that was seen last."""
    found: dict[str, str] = {}
    devices = (each for one in profile.workspaces.values() for each in one.devices.values())
    for device in sorted(devices, key=lambda each: each.last_seen_ms):
        found.update(device.identities)
    found.update({f"partner:{name}": each for name, each in profile.partner_identities.items()})
    found.update({name: each.value for name, each in profile.user_identities.items()})
    return found


def all_identities(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield all identities of a profile, of all devices too, each once (spec/audiences.md, 11)."""
    found = {(name, identity.value): None for name, identity in profile.user_identities.items()}
    found |= {(f"partner:{name}", each): None for name, each in profile.partner_identities.items()}
    for section in profile.workspaces.values():
        if section.is_aged_out:
            continue
        for each in listed_identities(by_last_seen(section)):
            found[each["type"], each["value"]] = None
    yield from found


def announce(
    change: MemberChange,
    profile: Profile,
    section: Section,
    calculated: Mapping[str, AttributeText],
    subscriptions: Iterable[Subscription],
    now_ms: int,
    next_sequence: Callable[[], int],
) -> list[Delivery]:
    """Make the deliveries of one change.

    Args:
        profile, section: of the user, after the change. Whom a subscription could not be told of,
            for want of an identity that its output takes, is noted in the section.
        calculated: the user's calculated attributes, which may be shared like others.
        subscriptions: the active ones of the audience.
        now_ms: when the change was made.
        next_sequence: draws a place in the outbox.
    """
    identities: dict[str, str] | None = None
    deliveries: list[Delivery] = []
    for each in subscriptions:
        if change.key.environment not in each.environments:
            continue
        is_update = change.action == "attribute_update"
        names = (*each.shared_user_attributes, *each.withdrawn_attributes)
        if is_update and change.changed.isdisjoint(names):
            continue
        if identities is None:
            identities = identities_of(profile)
        sent, hidden = identities, each.withheld.of(profile)
        if hidden:
            sent = {name: value for name, value in sent.items() if name not in hidden}
        if each.identities is not None:
            sent = {name: value for name, value in sent.items() if name in each.identities}
        is_reachable = bool(sent) or each.identities is None
        if not _is_reached(change, each.number, section, is_reachable=is_reachable):
            continue
        attributes: dict[str, AttributeText] = {}
        if change.action != "delete" and each.shared_user_attributes:
            attributes = shared(section, calculated, each.shared_user_attributes)
        # All that is shared, not only what is new: the newest of several updates is enough.
        missing = [name for name in names if name not in attributes]
        sequence = next_sequence()
        name = delivery_id(each.id, sequence, 0)
        message = MembershipMessage(
            name,
            now_ms,
            each.workspace,
            each.name,
            [
                MembershipChange(
                    change.key.mpid, change.action, sent, attributes, missing if is_update else ()
                )
            ],
        )
        deliveries.append(
            Delivery(
                sequence=sequence,
                connection=each.number,
                delivery_id=name,
                mpid=change.key.mpid,
                payload=encode(message),
                created_ms=now_ms,
                environment=change.key.environment,
            )
        )
    return deliveries


def _is_reached(change: MemberChange, number: int, section: Section, *, is_reachable: bool) -> bool:
    """Tell whether a change is told; keep in the section whom a subscription does not know."""
    is_unknown = number in section.untold
    if change.action == "add":
        if is_unknown and is_reachable:
            section.untold.remove(number)
        elif not is_unknown and not is_reachable:
            section.untold.append(number)
        return is_reachable
    if is_unknown and change.action == "delete":
        section.untold.remove(number)
    return is_reachable and not is_unknown


def shared(
    section: Section, calculated: Mapping[str, AttributeText], names: Sequence[str]
) -> dict[str, AttributeText]:
    """Return those of a user's attributes that a subscription shares; calculated ones shadow."""
    found: dict[str, AttributeText] = {}
    for name in names:
        if name in calculated:
            found[name] = calculated[name]
        elif name in section.user_attributes:
            found[name] = section.user_attributes[name].value
    return found
