"""Users made by batches through the real decoder and the real step `update_profiles`."""

from collections.abc import Iterator
from typing import Any

import orjson

from actors.audiences.criteria import Node
from actors.batches.decode import decode_batch
from actors.model.batches import Batch, BatchContext, Event, StoredBatch
from actors.model.profiles import Profile
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.tiers import kept_events
from actors.steps.update_profiles import update_profile
from tests.oracle.audiences.evaluate import is_member
from tests.oracle.audiences.people import Person, Surroundings


class Users:
    """Profiles and their stored batches, as a shard would have them."""

    def __init__(self, workspace: WorkspaceInfo) -> None:
        self.workspace = workspace
        self.profiles: dict[int, Profile] = {}
        self.batches: dict[int, list[StoredBatch]] = {}
        self._log_id = 0

    def send(
        self,
        mpid: int,
        body: dict[str, Any],
        received_ms: int,
        *,
        source: int | None = None,
        is_historical: bool = False,
    ) -> StoredBatch:
        """Apply one batch, given as its JSON, to a user; by default through the first input."""
        number = next(iter(self.workspace.inputs)) if source is None else source
        context = BatchContext(number, "key", "server_to_server", received_ms, is_historical)
        batch = decode_batch(orjson.dumps(body), context, self.workspace)
        profile = self.profiles.setdefault(mpid, Profile(created_timestamp_ms=received_ms))
        update = update_profile(profile, batch, context, self.workspace, by_identities=True)
        return self._store(mpid, batch, context, update.device_key)

    def person(self, mpid: int) -> Person:
        """Return a user as the oracle takes it."""
        return Person(mpid, self.profiles[mpid], tuple(self.batches[mpid]), self.workspace)

    def people(self) -> Iterator[Person]:
        """Return all users."""
        for mpid in self.profiles:
            yield self.person(mpid)

    def members(self, node: Node, now_ms: int, **audiences: Node) -> set[int]:
        """Return who the oracle says is in an audience; `audiences` by `a<number>`."""
        known = {int(name[1:]): target for name, target in audiences.items()}
        around = Surroundings(self.workspace, known)
        return {each.mpid for each in self.people() if is_member(node, each, around, now_ms)}

    def _store(
        self, mpid: int, batch: Batch, context: BatchContext, device_key: str | None
    ) -> StoredBatch:
        """Append a batch to its user's chain, in the form in which the log gives it back."""
        self._log_id += 1
        section = self.profiles[mpid].workspaces[self.workspace.number]
        if context.is_historical:
            previous, section.newest_historical_id = section.newest_historical_id, self._log_id
        else:
            previous, section.newest_log_id = section.newest_log_id, self._log_id
        batch.events = [_as_read(event) for event in kept_events(batch, self.workspace)]
        stored = StoredBatch(
            log_id=self._log_id,
            previous_log_id=previous,
            workspace=self.workspace.number,
            scope=self.workspace.scope,
            mpid=mpid,
            input=context.input,
            received_ms=context.received_ms,
            channel=context.channel,
            is_historical=context.is_historical,
            device_key=device_key,
            batch=batch,
        )
        self.batches.setdefault(mpid, []).append(stored)
        return stored


def _as_read(event: Event) -> Event:
    encoded = event.to_json()
    return Event(
        event.event_type, event.timestamp_ms, orjson.loads(encoded), event.event_id, encoded
    )
