"""Whether an invented user would be a member: for tests of definitions. Nothing is kept of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.joint import JointEngine
from actors.audiences.engine.records import Kept
from actors.audiences.engine.sources import Derived
from actors.audiences.language.dependencies import criteria_of
from actors.batches.decode import decode_batch
from actors.calculated.applying import calculate
from actors.calculated.definition import Attribute
from actors.model.batches import BatchContext, Event, StoredBatch
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.retention import DAY_MS
from actors.profiles.tiers import kept_events
from actors.steps.update_profiles import update_profile

_MPID = 1
_KEY = "trial"
_REVISION = 1


class SentBatch(Struct, frozen=True):
    """One batch of the user: the JSON of the Events API, to which workspace and through which input
    (numbers), and when."""

    body: dict[str, Any]
    workspace: int
    input: int
    received_ms: int


class Place(Struct, frozen=True):
    """A workspace whose rules hold, and its active calculated attributes."""

    workspace: WorkspaceInfo
    attributes: Sequence[Attribute]


class Tried(Struct, frozen=True):
    """A definition; `over`: numbers of its workspaces, if they are several."""

    node: Node
    over: tuple[int, ...] = ()


class Outcome(Struct, frozen=True):
    """Whether the user is a member, and what each criterion gives in the order of the document."""

    is_member: bool
    criteria: tuple[bool, ...]


def try_user(
    tried: Tried,
    targets: Mapping[int, Tried],
    places: Sequence[Place],
    sent: Sequence[SentBatch],
    now_ms: int,
) -> Outcome:
    """Evaluate a definition for a user of whom nothing is known but what was sent.

    Args:
        tried: the definition.
        targets: number to definition of the real-time audiences that it asks for; static and
            standard ones have no members.
        places: the workspace that has the audience, and then the others that it is over.
        sent: all batches of the user, in the order of their receipt.
        now_ms: instant of the evaluation; events after it are not seen.

    Raises:
        BatchRejected: a batch is not one that the Events API would take.
    """
    workspaces = [each.workspace for each in places]
    home, rules = workspaces[0], {each.number: each for each in workspaces}
    profile = Profile(created_timestamp_ms=sent[0].received_ms)
    stored = [
        _apply(profile, each, number, rules[each.workspace]) for number, each in enumerate(sent, 1)
    ]
    derived = {
        each.workspace.number: _derived(each, stored, now_ms)
        for each in places
        if each.workspace.number in profile.workspaces
    }
    own = max(targets, default=0) + 1
    criteria = [Tried(each, tried.over) for each in criteria_of(tried.node)]
    asked = dict(enumerate([tried, *criteria], own))
    lookback_ms = home.audience_event_days * DAY_MS
    key = ProfileKey(home.scope, "production", _MPID)

    single = {number: each for number, each in targets.items() if not each.over}
    joint = {number: each for number, each in targets.items() if each.over}
    engine = Engine(home, lookback_ms)
    for number, each in (single if tried.over else single | asked).items():
        engine.activate(number, "production", each.node, _REVISION)
    engine.load(key, profile, Kept(), derived.get(home.number, Derived()))
    found = _evaluated(engine, key, _of(home, stored), now_ms)
    if tried.over:
        over_several = JointEngine(workspaces, lookback_ms)
        for number, each in (joint | asked).items():
            over_several.activate_over(number, "production", each.node, each.over, _REVISION)
        over_several.load(key, profile, Kept(), Derived(audiences=found, workspaces=derived))
        found = _evaluated(over_several, key, stored, now_ms)
    return Outcome(own in found, tuple(number in found for number in asked if number != own))


def _evaluated(
    engine: Engine, key: ProfileKey, stored: Sequence[StoredBatch], now_ms: int
) -> frozenset[int]:
    """Return the audiences of an engine that the user, who was loaded, is in."""
    engine.rebuild_events(key, stored, _REVISION, now_ms, now_ms)
    engine.evaluate(engine.rows_of([key]), now_ms)
    return frozenset(engine.audiences_of(key))


def _derived(place: Place, stored: Iterable[StoredBatch], now_ms: int) -> Derived:
    own = _of(place.workspace, stored)
    return Derived(
        calculated={
            each.number: value
            for each in place.attributes
            if (value := calculate(each, own, place.workspace, now_ms)) is not None
        },
        names={each.name: each.number for each in place.attributes},
        regulations=place.workspace.regulations,
    )


def _of(workspace: WorkspaceInfo, stored: Iterable[StoredBatch]) -> list[StoredBatch]:
    return [each for each in stored if each.workspace == workspace.number]


def _apply(profile: Profile, sent: SentBatch, number: int, workspace: WorkspaceInfo) -> StoredBatch:
    """Apply one batch to the profile, and return it as the log would give it back."""
    context = BatchContext(sent.input, _KEY, "server_to_server", sent.received_ms, False)
    batch = decode_batch(orjson.dumps(sent.body), context, workspace)
    update = update_profile(profile, batch, context, workspace, by_identities=True)
    batch.events = [_as_read(each) for each in kept_events(batch, workspace)]
    profile.workspaces[workspace.number].newest_log_id = number
    return StoredBatch(
        log_id=number,
        previous_log_id=number - 1,
        workspace=workspace.number,
        scope=workspace.scope,
        mpid=_MPID,
        input=sent.input,
        received_ms=sent.received_ms,
        channel=context.channel,
        is_historical=False,
        device_key=update.device_key,
        batch=batch,
    )


def _as_read(event: Event) -> Event:
    encoded = event.to_json()
    return Event(
        event.event_type, event.timestamp_ms, orjson.loads(encoded), event.event_id, encoded
    )
