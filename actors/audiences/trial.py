"""Whether an invented user would be a member: for tests of definitions. Nothing is kept of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine, Kept
from actors.audiences.engine.sources import Derived
from actors.audiences.language.dependencies import criteria_of
from actors.batches.decode import decode_batch
from actors.calculated.applying import calculate
from actors.calculated.definition import Attribute
from actors.model import BatchContext, Event, Profile, ProfileKey, StoredBatch, WorkspaceInfo
from actors.profiles.retention import DAY_MS
from actors.profiles.tiers import kept_events
from actors.steps.update_profiles import update_profile

_MPID = 1
_KEY = "trial"
_REVISION = 1


class SentBatch(Struct, frozen=True):
    """One batch of the user: the JSON of the Events API, through which input, and when."""

    body: dict[str, Any]
    input: int
    received_ms: int


class Outcome(Struct, frozen=True):
    """Whether the user is a member, and what each criterion gives in the order of the document."""

    is_member: bool
    criteria: tuple[bool, ...]


def try_user(
    node: Node,
    targets: Mapping[int, Node],
    attributes: Iterable[Attribute],
    sent: Sequence[SentBatch],
    now_ms: int,
    workspace: WorkspaceInfo,
) -> Outcome:
    """Evaluate a definition for a user of whom nothing is known but what was sent.

    Args:
        node: the definition.
        targets: number to definition of the real-time audiences that it asks for; static and
            standard ones have no members.
        attributes: the active calculated attributes.
        sent: all batches of the user, in the order of their receipt.
        now_ms: instant of the evaluation; events after it are not seen.
        workspace: whose rules hold.

    Raises:
        BatchRejected: a batch is not one that the Events API would take.
    """
    profile = Profile(created_timestamp_ms=sent[0].received_ms)
    stored = [_apply(profile, each, number, workspace) for number, each in enumerate(sent, 1)]
    calculated = {
        each.number: value
        for each in attributes
        if (value := calculate(each, stored, workspace, now_ms)) is not None
    }
    names = {each.name: each.number for each in attributes}
    named = [each.criterion for each in criteria_of(node)]
    engine = Engine(workspace, workspace.audience_event_days * DAY_MS)
    own = max(targets, default=0) + 1
    for number, target in targets.items():
        engine.activate(number, "production", target, _REVISION)
    engine.activate(own, "production", node, _REVISION)
    for place, each in enumerate(criteria_of(node), own + 1):
        engine.activate(place, "production", each, _REVISION)
    key = ProfileKey(workspace.scope, "production", _MPID)
    engine.load(key, profile, Kept(), Derived(calculated=calculated, names=names))
    engine.rebuild_events(key, stored, _REVISION, now_ms, now_ms)
    engine.evaluate(engine.rows_of([key]), now_ms)
    found = frozenset(engine.audiences_of(key))
    places = range(own + 1, own + 1 + len(named))
    return Outcome(own in found, tuple(place in found for place in places))


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
