"""What a shard does about calculated attributes besides calculating: seeds and previews."""

from collections.abc import Sequence

from actors.audiences.history import read_history
from actors.batches.attributes import LeftOut, attribute_value, check_attribute_name
from actors.calculated import applying
from actors.calculated.calls import Planting
from actors.calculated.definition import Attribute, Definition
from actors.calculated.detection import newest_values
from actors.calculated.state import Value
from actors.clock import Clock
from actors.model.profiles import AttributeValue, Profile, ProfileKey, Section
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.profiles.retention import age_out_overdue, revive
from actors.shard import Shard
from actors.store import log
from actors.store.environment import Transaction

DETECTION_S = 0.01  # that a shard gives for a look at the newest values
NO_INPUT = 0  # number that attributes have which came through none


class CalculatedWorker:
    """Answers for one shard."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._clock = clock
        self._workspace = shard.options.workspace

    def preview_calculated(
        self,
        attribute: Attribute,
        environment: Environment | None,
        mpids: Sequence[int],
        as_of_ms: int,
    ) -> list[Value]:
        """See `CalculatedShard`."""
        environments = ENVIRONMENTS if environment is None else (environment,)
        with self._shard.store.read() as txn:
            return [self._preview(txn, attribute, environments, mpid, as_of_ms) for mpid in mpids]

    def newest_values(self, definition: Definition) -> list[str]:
        """See `CalculatedShard`."""
        deadline_s = self._clock.monotonic() + DETECTION_S
        with self._shard.store.read() as txn:
            return newest_values(
                definition,
                map(log.decode, txn.newest("log")),
                self._workspace,
                lambda: self._clock.monotonic() >= deadline_s,
            )

    def plant_seeds(self, plantings: Sequence[Planting]) -> int:
        """See `CalculatedShard`."""
        dropped, audiences = 0, self._shard.audiences
        with self._shard.transaction() as txn:
            for planting in plantings:
                if not self._plant(txn, planting):
                    dropped += 1
            now_ms = max((each.received_ms for each in plantings), default=0)
            self._shard.outbox.take(audiences.changed_values(now_ms), now_ms)
        return dropped

    def _preview(
        self,
        txn: Transaction,
        attribute: Attribute,
        environments: Sequence[Environment],
        mpid: int,
        as_of_ms: int,
    ) -> Value:
        for environment in environments:
            key = ProfileKey(self._workspace.scope, environment, mpid)
            profile = self._shard.profiles.get(txn, key)
            section = None if profile is None else profile.workspaces.get(self._workspace.number)
            if section is None:
                continue
            batches = read_history(txn, key, section, 0).own
            former = section.calculated.get(attribute.number)
            return applying.calculate(attribute, batches, self._workspace, as_of_ms, former)
        return None

    def _plant(self, txn: Transaction, planting: Planting) -> bool:
        """Write what came for one user; tell whether there is such a user."""
        shard, now_ms = self._shard, planting.received_ms
        key = ProfileKey(self._workspace.scope, planting.environment, planting.mpid)
        known = shard.profiles.get(txn, key)
        is_known = known is not None and self._workspace.number in known.workspaces
        if not is_known and not planting.is_by_identities:
            return False
        if known is not None and known.is_expired:
            return False
        profile = shard.profiles.stage(txn, key, now_ms)
        section = self._active_section(profile, now_ms)
        in_force, attributes = shard.audiences.in_force, shard.audiences.attributes
        shard.audiences.feed.note(key, profile, attributes, in_force.ended_attributes)
        epochs = in_force.attribute_epochs
        # What began after the section was made ready takes the seed when it comes to it.
        waiting = [number for number, (epoch, _) in epochs.items() if epoch > section.epoch]
        for number, seed in planting.seeds.items():
            applying.plant(section, number, seed, attributes, waiting)
        self._set_attributes(section, planting)
        return True

    def _set_attributes(self, section: Section, planting: Planting) -> None:
        limits = self._workspace.limits
        for name, sent in planting.user_attributes.items():
            try:
                check_attribute_name(name, limits)
                value = attribute_value(sent, limits)
            except LeftOut:
                continue
            owned = self._shard.audiences.owned_attributes
            if name not in self._shard.groups.read_only and name not in owned:
                made = AttributeValue(value, planting.received_ms, NO_INPUT)
                section.user_attributes[name] = made

    def _active_section(self, profile: Profile, now_ms: int) -> Section:
        """Return the workspace's section with the times of activity moved on."""
        age_out_overdue(profile, self._workspace, now_ms)
        section = profile.workspaces.get(self._workspace.number)
        if section is None:
            section = profile.workspaces[self._workspace.number] = Section(now_ms, now_ms)
            epoch = self._shard.audiences.in_force.epoch
            section.epoch = section.entries_epoch = epoch  # nothing is stored yet
        revive(section, now_ms)
        section.last_seen_ms = max(section.last_seen_ms, now_ms)
        profile.last_stored_timestamp_ms = max(profile.last_stored_timestamp_ms, now_ms)
        return section
